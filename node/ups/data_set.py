"""A workitem as a data set (PS3.3 sections C.30.1 to C.30.4): a pure function of job, study, inputs and outputs.

The Transaction UID is nowhere in it: the node does not keep it.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from pydicom.dataset import Dataset

from node.domain.document import failure_reason
from node.domain.job import JobState
from node.domain.review import Review
from node.domain.workitem import PUSH, Referenced, Step, StepState, Workitem
from node.ups.elements import SCHEME, code, from_json, item, moment, put, to_json

UNSPECIFIED = ("110513", "DCM", "Discontinued for unspecified reason")
EQUIPMENT_FAILURE = ("110501", "DCM", "Equipment failure")
DUPLICATE = ("110510", "DCM", "Duplicate order")
NAME = ("111001", "DCM", "Algorithm Name")
VERSION = ("111003", "DCM", "Algorithm Version")

# What is said of a workitem by whoever creates or performs it, and kept as it was said.
SAID = (
    "ProcedureStepLabel",
    "WorklistLabel",
    "CommentsOnTheScheduledProcedureStep",
    "ScheduledProcessingParametersSequence",
    "ScheduledStationNameCodeSequence",
    "ScheduledStationClassCodeSequence",
    "ScheduledStationGeographicLocationCodeSequence",
    "ScheduledHumanPerformersSequence",
    "ScheduledProcedureStepStartDateTime",
    "ExpectedCompletionDateTime",
    "AdmissionID",
    "IssuerOfAdmissionIDSequence",
    "AdmittingDiagnosesDescription",
    "AdmittingDiagnosesCodeSequence",
    "ReferencedRequestSequence",
    "ReplacedProcedureStepSequence",
    "ProcedureStepProgressInformationSequence",
    "UnifiedProcedureStepPerformedProcedureSequence",
)


@dataclass(frozen=True, slots=True)
class ReviewWords:
    """How reviews are called: ``code`` is Code Value, Coding Scheme Designator and Code Meaning (CID 9231)."""

    label: str = "Review AI results"
    code: tuple[str, str, str] = ("110005", "DCM", "Interpretation")


@dataclass(frozen=True, slots=True)
class Node:
    """Who we are: ``titles`` of models, and the AE title of each destination from which what was sent is retrieved."""

    ae_title: str
    titles: Mapping[str, str] = field(default_factory=dict)
    archives: Mapping[str, str] = field(default_factory=dict)
    review: ReviewWords = ReviewWords()


def data_set(workitem: Step, inputs: Sequence[Referenced], outputs: Sequence[Referenced], node: Node) -> Dataset:
    about = workitem.about
    made = item(
        SpecificCharacterSet="ISO_IR 192",
        SOPClassUID=PUSH,
        SOPInstanceUID=workitem.uid,
        PatientName=about.patient_name,
        PatientID=about.patient_id,
        PatientBirthDate=about.patient_birth_date,
        PatientSex=about.patient_sex,
        AdmissionID="",
        IssuerOfAdmissionIDSequence=[],
        AdmittingDiagnosesDescription="",
        AdmittingDiagnosesCodeSequence=[],
        StudyInstanceUID=workitem.study_instance_uid,
        ReferencedRequestSequence=[_request(workitem)],
        ScheduledProcedureStepPriority=workitem.priority.name,
        ScheduledProcedureStepModificationDateTime=moment(workitem.updated_at),
        ScheduledProcedureStepStartDateTime=moment(workitem.created_at),
        WorklistLabel=node.ae_title,
        ScheduledStationClassCodeSequence=[],
        ScheduledStationGeographicLocationCodeSequence=[],
        InputReadinessState="READY",
        InputInformationSequence=[each for one in inputs for each in _input(one, node)],
        ProcedureStepState=workitem.state.value,
        ProcedureStepProgressInformationSequence=[],
        UnifiedProcedureStepPerformedProcedureSequence=[],
    )
    made.update(_of_review(workitem, node) if isinstance(workitem, Review) else _of_job(workitem, node))
    made.update(from_json(workitem.attributes))
    if workitem.state is StepState.CANCELED:
        put(made, ProcedureStepProgressInformationSequence=[_canceled(workitem, made)])
    elif isinstance(workitem, Workitem) and workitem.state is StepState.COMPLETED and workitem.performer is None:
        put(made, UnifiedProcedureStepPerformedProcedureSequence=[_performed(workitem, outputs, node)])
    return made


def state_report(workitem: Step, state: StepState, whole: Dataset) -> dict[str, Any]:
    """The information of a UPS State Report (PS3.4 Table CC.2.4-1), in the DICOM JSON model."""
    told = item(ProcedureStepState=state.value, InputReadinessState="READY")
    if state is StepState.CANCELED and workitem.state is StepState.CANCELED:
        ended = whole.ProcedureStepProgressInformationSequence[0]
        put(
            told,
            ReasonForCancellation=str(ended.get("ReasonForCancellation", "") or ""),
            ProcedureStepDiscontinuationReasonCodeSequence=list(ended.ProcedureStepDiscontinuationReasonCodeSequence),
        )
    return to_json(told)


def _of_job(workitem: Step, node: Node) -> Dataset:
    """What only a job says: which model is to run, and where."""
    assert isinstance(workitem, Workitem)
    job = workitem.job
    return item(
        ProcedureStepLabel=node.titles.get(job.model, job.model)[:64],
        ScheduledProcessingParametersSequence=[_text(NAME, job.model), _text(VERSION, job.model_version)],
        ScheduledStationNameCodeSequence=[_station(node)],
        ScheduledWorkitemCodeSequence=[_model(workitem, node)],
        CommentsOnTheScheduledProcedureStep="",
    )


def _of_review(review: Review, node: Node) -> Dataset:
    """What only a review says: that somebody is to look, and at what. Where, nobody has said."""
    made = item(
        ProcedureStepLabel=f"{node.review.label}: {review.summary}"[:64],
        ScheduledProcessingParametersSequence=[],
        ScheduledStationNameCodeSequence=[],
        ScheduledWorkitemCodeSequence=[code(*node.review.code)],
        CommentsOnTheScheduledProcedureStep=review.comment,
    )
    if review.replaces is None:
        return made
    former = item(ReferencedSOPClassUID=PUSH, ReferencedSOPInstanceUID=review.replaces)
    return put(made, ReplacedProcedureStepSequence=[former])


def _input(one: Referenced, node: Node) -> list[Dataset]:
    """Once for each archive that has it from us."""
    known = [node.archives[name] for name in one.destinations if name in node.archives]
    archives: list[str | None] = [*known] or [None]
    return [_referenced(one, archive) for archive in archives]


def _request(workitem: Step) -> Dataset:
    return item(
        StudyInstanceUID=workitem.study_instance_uid,
        AccessionNumber=workitem.accession_number,
        IssuerOfAccessionNumberSequence=[],
        PlacerOrderNumberImagingServiceRequest="",
        FillerOrderNumberImagingServiceRequest="",
        RequestedProcedureID="",
        RequestedProcedureDescription=workitem.about.study_description,
        RequestedProcedureCodeSequence=[],
    )


def _station(node: Node) -> Dataset:
    return code(node.ae_title, SCHEME, node.ae_title)


def _model(workitem: Workitem, node: Node) -> Dataset:
    job = workitem.job
    return code(job.model, SCHEME, node.titles.get(job.model, job.model), job.model_version)


def _text(concept: tuple[str, str, str], value: str) -> Dataset:
    """A content item (PS3.3 Table 10-2)."""
    return item(ValueType="TEXT", ConceptNameCodeSequence=[code(*concept)], TextValue=value)


def _referenced(one: Referenced, retrieve_from: str | None) -> Dataset:
    """Referenced Instances and Access (PS3.3 Table 10-3b)."""
    made = item(
        TypeOfInstances="DICOM",
        StudyInstanceUID=one.study_instance_uid,
        SeriesInstanceUID=one.series_instance_uid,
        ReferencedSOPSequence=[
            item(ReferencedSOPClassUID=ref.sop_class_uid, ReferencedSOPInstanceUID=ref.sop_instance_uid)
            for ref in one.instances
        ],
    )
    if retrieve_from is not None:
        put(made, DICOMRetrievalSequence=[item(RetrieveAETitle=retrieve_from)])
    return made


def _performed(workitem: Workitem, outputs: Sequence[Referenced], node: Node) -> Dataset:
    """What our own worker did, with every object that it wrote and the archives that these are sent to."""
    job = workitem.job
    known = [node.archives[name] for name in job.destinations if name in node.archives]
    archives: list[str | None] = [*known] or [None]
    return item(
        PerformedStationNameCodeSequence=[_station(node)],
        PerformedProcedureStepStartDateTime=moment(job.started_at or job.created_at),
        PerformedProcedureStepEndDateTime=moment(job.finished_at or workitem.updated_at),
        PerformedProcedureStepDescription=f"{job.model} {job.model_version}"[:64],
        CommentsOnThePerformedProcedureStep="" if job.outcome is None else job.outcome.value,
        PerformedWorkitemCodeSequence=[_model(workitem, node)],
        OutputInformationSequence=[_referenced(one, archive) for one in outputs for archive in archives],
    )


def _canceled(workitem: Step, said: Dataset) -> Dataset:
    """How it ended, in the words of whoever canceled it where there are some."""
    given = said.ProcedureStepProgressInformationSequence
    ended = given[0] if given else Dataset()
    reason, why = _ending(workitem)
    if not ended.get("ProcedureStepCancellationDateTime"):
        put(ended, ProcedureStepCancellationDateTime=moment(workitem.finished_at or workitem.updated_at))
    if not ended.get("ReasonForCancellation"):
        put(ended, ReasonForCancellation=reason)
    if not ended.get("ProcedureStepDiscontinuationReasonCodeSequence"):
        put(ended, ProcedureStepDiscontinuationReasonCodeSequence=[code(*why)])
    return ended


def _ending(workitem: Step) -> tuple[str, tuple[str, str, str]]:
    if isinstance(workitem, Workitem) and workitem.job.state is JobState.FAILED:
        return failure_reason(workitem.job.error_code or "").text, EQUIPMENT_FAILURE
    if isinstance(workitem, Review) and workitem.superseded:
        return "the study has changed: another review follows when it is analysed", UNSPECIFIED
    if workitem.is_replaced:
        return "a newer workitem stands for this one", DUPLICATE
    return "", UNSPECIFIED
