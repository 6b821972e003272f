"""What somebody asks for, out of the data set that says so: what is required, read and kept (PS3.4 Table CC.2.5-3)."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any

from pydicom.datadict import keyword_for_tag
from pydicom.dataset import Dataset

from node.domain.identity import is_uid
from node.domain.job import Priority
from node.domain.workitem import Commission, StepState, digest_of
from node.errors import (
    InvalidAttributeValue,
    InvalidWorkitemUid,
    MissingAttributeValue,
    WorkitemNotScheduled,
    WrongTransaction,
)
from node.ups.data_set import SAID, VERSION
from node.ups.elements import SCHEME, UNREADABLE, code_value, item, items_of, required, text_of, to_json

# Type 1 in a request to create. Those of type 2 may also be left out: they are then empty.
TYPE_1 = ("ProcedureStepLabel", "ScheduledProcedureStepStartDateTime")
PROGRESS, PERFORMED = "ProcedureStepProgressInformationSequence", "UnifiedProcedureStepPerformedProcedureSequence"
# What a performer says when it is at work.
OF_THE_PERFORMER = (PROGRESS, PERFORMED)
KEPT_AT_CREATION = tuple(keyword for keyword in SAID if keyword not in OF_THE_PERFORMER)
OF_PATIENT = ("PatientName", "PatientBirthDate", "PatientSex")
# Read, but not kept as they stand: the node's own rows say the same, or they are empty in a new workitem.
READ_AT_CREATION = frozenset({
    "SpecificCharacterSet", "SOPClassUID", "SOPInstanceUID", "ProcedureStepState", "ScheduledProcedureStepPriority",
    "ScheduledWorkitemCodeSequence", "InputReadinessState", "InputInformationSequence", "StudyInstanceUID",
    "PatientID", "TransactionUID", "ScheduledProcedureStepModificationDateTime", *OF_THE_PERFORMER, *OF_PATIENT,
})  # fmt: skip
SETTABLE = (
    "ProcedureStepLabel", "WorklistLabel", "CommentsOnTheScheduledProcedureStep", "ScheduledStationNameCodeSequence",
    "ScheduledStationClassCodeSequence", "ScheduledStationGeographicLocationCodeSequence",
    "ScheduledHumanPerformersSequence", "ScheduledProcedureStepStartDateTime", "ExpectedCompletionDateTime",
    *OF_THE_PERFORMER,
)  # fmt: skip
READ_IN_A_SET = frozenset({"SpecificCharacterSet", "TransactionUID", "ScheduledProcedureStepPriority"})
# Table CC.2.5-3, final state "P": what a performer has said when the workitem becomes COMPLETED.
FINAL_STATE = (
    "PerformedStationNameCodeSequence",
    "PerformedProcedureStepStartDateTime",
    "PerformedWorkitemCodeSequence",
    "PerformedProcedureStepEndDateTime",
)
OUTPUT = "OutputInformationSequence"


@dataclass(frozen=True, slots=True)
class Wanted:
    """``modified``: something of the request is not kept as it was said."""

    commission: Commission
    attributes: Mapping[str, Any]
    modified: bool


@dataclass(frozen=True, slots=True)
class Changes:
    """``by_performer``: only the performer may say this; ``left_out``: something asked for cannot be changed."""

    digest: str | None
    attributes: Mapping[str, Any]
    priority: Priority | None
    by_performer: bool
    left_out: bool
    progress: Mapping[str, Any] | None


def to_create(uid: str, request: Dataset) -> Wanted:
    """
    Raises:
        InvalidWorkitemUid, MissingAttribute, MissingAttributeValue, InvalidAttributeValue, WorkitemNotScheduled
    """
    if not is_uid(uid) or not uid:
        raise InvalidWorkitemUid("the SOP Instance UID is none")
    if required(request, "ProcedureStepState") != StepState.SCHEDULED:
        raise WorkitemNotScheduled("a workitem is created SCHEDULED")
    if required(request, "InputReadinessState") != "READY":
        raise InvalidAttributeValue("only what is READY can be analysed", attribute="InputReadinessState")
    for keyword in TYPE_1:
        required(request, keyword)
    for keyword in ("TransactionUID", *OF_THE_PERFORMER):
        if keyword in request and request.get(keyword):
            raise InvalidAttributeValue(f"{keyword} must be empty in a new workitem", attribute=keyword)
    model, version = _model(request)
    study, series = _input(request)
    commission = Commission(
        uid=uid,
        model=model,
        model_version=version,
        study_instance_uid=study,
        series_instance_uid=series,
        priority=_priority(required(request, "ScheduledProcedureStepPriority")),
        patient_id=text_of(request, "PatientID"),
    )
    kept = _only(request, KEPT_AT_CREATION)
    others = set(_keywords(request)) - {*KEPT_AT_CREATION, *READ_AT_CREATION}
    return Wanted(commission, to_json(kept), any(request.get(keyword) for keyword in others))


def to_update(request: Dataset) -> Changes:
    """
    Raises:
        InvalidAttributeValue
    """
    if "ProcedureStepState" in request:
        raise InvalidAttributeValue("the state is changed by an action of its own", attribute="ProcedureStepState")
    asked = set(_keywords(request))
    given = text_of(request, "ScheduledProcedureStepPriority")
    kept = _only(request, SETTABLE)
    return Changes(
        digest=transaction_of(request) if text_of(request, "TransactionUID") else None,
        attributes=to_json(kept),
        priority=_priority(given) if given else None,
        by_performer=any(keyword in request for keyword in OF_THE_PERFORMER),
        left_out=bool(asked - {*SETTABLE, *READ_IN_A_SET}),
        progress=to_json(_only(request, (PROGRESS,))) if PROGRESS in request else None,
    )


def transaction_of(request: Dataset) -> str:
    """The digest of the Transaction UID.

    Raises:
        WrongTransaction: there is none, or it is no UID.
    """
    uid = text_of(request, "TransactionUID")
    if not uid or not is_uid(uid):
        raise WrongTransaction("there is no Transaction UID")
    return digest_of(uid)


def state_wanted(request: Dataset) -> StepState:
    """
    Raises:
        MissingAttribute, MissingAttributeValue, InvalidAttributeValue
    """
    text = required(request, "ProcedureStepState")
    if text not in set(StepState):
        raise InvalidAttributeValue("there is no such state", attribute="ProcedureStepState")
    return StepState(text)


def missing_at_the_end(whole: Dataset) -> list[str]:
    """Attributes without which a workitem does not become COMPLETED."""
    performed = next(iter(items_of(whole, PERFORMED)), None)
    if performed is None:
        return [PERFORMED]
    missing = [keyword for keyword in FINAL_STATE if not performed.get(keyword)]
    return missing if OUTPUT in performed else [*missing, OUTPUT]


def canceling(request: Dataset) -> Dataset:
    """Why somebody wants it canceled, as an item of Procedure Step Progress Information Sequence."""
    said = _only(request, ("ReasonForCancellation", "ProcedureStepDiscontinuationReasonCodeSequence"))
    contact = _only(request, ("ContactURI", "ContactDisplayName"))
    if len(contact):
        said.ProcedureStepCommunicationsURISequence = [contact]
    return said


def cancel_report(request: Dataset, asker: str) -> dict[str, Any]:
    """The information of a UPS Cancel Requested report (PS3.4 Table CC.2.4-1)."""
    told = _only(
        request,
        ("ReasonForCancellation", "ProcedureStepDiscontinuationReasonCodeSequence", "ContactURI", "ContactDisplayName"),
    )
    told.update(item(RequestingAE=asker[:16]))
    return to_json(told)


def receiver_of(request: Dataset) -> str:
    """
    Raises:
        MissingAttribute, MissingAttributeValue
    """
    return required(request, "ReceivingAE")


def filter_of(request: Dataset) -> Dataset:
    """The matching keys of a filtered global subscription.

    Raises:
        MissingAttributeValue: there is none.
    """
    about_the_request = {"ReceivingAE", "DeletionLock", "SpecificCharacterSet"}
    kept = _only(request, [keyword for keyword in _keywords(request) if keyword not in about_the_request])
    if not any(kept.get(keyword) for keyword in _keywords(kept)):
        raise MissingAttributeValue("a filtered subscription needs a matching key")
    return kept


def _model(request: Dataset) -> tuple[str, str]:
    """The model that the workitem code names, and its version where one is said."""
    keyword = "ScheduledWorkitemCodeSequence"
    entries = list(items_of(request, keyword))
    if len(entries) != 1 or text_of(entries[0], "CodingSchemeDesignator") != SCHEME:
        words = f"one code of the scheme {SCHEME} must name a model"
        raise InvalidAttributeValue(words, attribute=keyword)
    version = text_of(entries[0], "CodingSchemeVersion")
    for parameter in items_of(request, "ScheduledProcessingParametersSequence"):
        names = [code_value(one) for one in items_of(parameter, "ConceptNameCodeSequence")]
        if names == [VERSION[0]]:
            version = text_of(parameter, "TextValue") or version
    return code_value(entries[0]), version


def _input(request: Dataset) -> tuple[str, str]:
    """The study, and the series where one is named."""
    keyword = "InputInformationSequence"
    required_items = list(items_of(request, keyword))
    if not required_items:
        required(request, keyword)
        raise MissingAttributeValue(f"{keyword} is empty", attribute=keyword)
    studies = {required(one, "StudyInstanceUID") for one in required_items}
    series = {text_of(one, "SeriesInstanceUID") for one in required_items} - {""}
    if len(studies) > 1 or len(series) > 1:
        raise InvalidAttributeValue("one workitem is about one series", attribute=keyword)
    return studies.pop(), series.pop() if series else ""


def _priority(text: str) -> Priority:
    if text not in Priority.__members__:
        words = "the priority is HIGH, MEDIUM or LOW"
        raise InvalidAttributeValue(words, attribute="ScheduledProcedureStepPriority")
    return Priority[text]


def _keywords(data_set: Dataset) -> Iterable[str]:
    """Of private and unknown attributes the tag."""
    return [keyword_for_tag(tag) or str(tag) for tag in data_set.keys()]  # noqa: SIM118  iterating decodes values


def _only(data_set: Dataset, keywords: Iterable[str]) -> Dataset:
    kept = Dataset()
    try:
        for keyword in keywords:
            if keyword in data_set:
                kept[keyword] = data_set[keyword]
    except UNREADABLE as error:
        raise InvalidAttributeValue("an attribute cannot be read") from error
    return kept
