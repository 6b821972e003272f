"""The reports of a run once more, as a person has accepted or corrected them: VERIFIED, and naming whom they follow.

An assessment is content with an author and a time (PS3.3 C.17.2): a new document of its own series, which replaces the
algorithm's by its Predecessor Documents Sequence. The algorithm's own stays as it was.
"""

from __future__ import annotations

import io
import math
from collections.abc import Mapping, Sequence
from dataclasses import replace
from datetime import tzinfo
from typing import Any

import pydicom
from highdicom.sr import CodedConcept as DicomConcept
from highdicom.sr import ObserverContext, PersonObserverIdentifyingAttributes, RelationshipTypeValues, TextContentItem
from pydicom.config import disable_value_validation
from pydicom.dataset import Dataset
from pydicom.sr.codedict import codes

from node.domain.assessment import Assessment, Decision
from node.domain.identity import derive_uid
from node.domain.result import DocumentRef, Outcome
from node.errors import ResultVerificationFailed
from node.ports import EncodedObject
from node.results.concepts import SUMMARY_OF_OUTCOME
from node.results.context import Maker, offset_of
from node.results.header import encoded
from node.results.predecessors import documents_named, predecessor_documents
from node.results.reading import code, evidence, name_of, references_of_content, walk
from node.results.reports import SEGMENT_GROUP, template_told
from node.results.sr_document import UNVERIFIED_NOTICE
from node.results.verify_groups import (
    ALGORITHM_NAME,
    ALGORITHM_PARAMETERS,
    ALGORITHM_VERSION,
    MEASUREMENT_GROUP,
    NUMBER_TOLERANCE,
)
from node.results.verify_report import OUTCOME
from node.results.voxels import require
from node.results.written import MULTI_FRAME

SERIES_NUMBERS_FROM = 94_000
REPORTS = "1.2.840.10008.5.1.4.1.1.88."
RESULTS = MULTI_FRAME
# Verifying Organization (0040,A027) is of type 1; not every source names one.
UNKNOWN_ORGANISATION = "unknown"
WORDS: Mapping[Decision, str] = {Decision.ACCEPT: "accepted", Decision.CORRECT: "corrected"}
_SUMMARY, _COMMENT, _MEASUREMENTS, _FURTHER = "121111", "121106", "126010", "121070"
_NO_COMPONENTS = str.maketrans("^=", "  ")
_OF_THE_ALGORITHM = (ALGORITHM_NAME, ALGORITHM_VERSION, ALGORITHM_PARAMETERS)


class VerifiedReportWriter:
    """``ports.AssessedReportWriter``: everything but the person's word comes from the algorithm's reports."""

    def __init__(self, maker: Maker, zone: tzinfo | None = None) -> None:
        """``zone``: the site's time zone, for reports that name none; None is that of this machine."""
        self._maker = maker
        self._zone = zone

    def assessed(
        self,
        reports: Sequence[bytes],
        findings: Sequence[Mapping[str, Any]],
        assessment: Assessment,
        before: Assessment | None,
    ) -> Sequence[EncodedObject]:
        """See ``ports.AssessedReportWriter``."""
        read = [pydicom.dcmread(io.BytesIO(part10)) for part10 in reports]
        # A negative result has no findings: what stood beside the main report is replaced by it alone.
        kept = read[-1:] if assessment.word.outcome is Outcome.NEGATIVE else read
        replaced = [_reference(report, before, report is read[-1]) for report in read]
        places = [_place(read, findings, value.finding) for value in assessment.word.values]
        series_uid = _series_uid(read[-1], assessment)
        uids = {str(report.SOPInstanceUID): _instance_uid(report, assessment) for report in kept}
        uids |= {str(report.SeriesInstanceUID): series_uid for report in kept}
        written = []
        for number, report in enumerate(kept):
            named = replaced if kept is not read else replaced[number : number + 1]
            with disable_value_validation():
                dataset = self._follow(report, read, assessment, named, uids)
                _write_values(dataset, number, assessment, places, findings)
                one = encoded(dataset)
            _verify(one, assessment, named)
            written.append(replace(one, predecessors=tuple(named)))
        return written

    def _follow(
        self,
        report: Dataset,
        run: Sequence[Dataset],
        assessment: Assessment,
        named: Sequence[DocumentRef],
        uids: Mapping[str, str],
    ) -> Dataset:
        if assessment.word.outcome is Outcome.NEGATIVE:
            _drop_findings(report, {str(one.SOPInstanceUID) for one in run})
        _rename(report, uids)
        report.SeriesNumber = SERIES_NUMBERS_FROM + int(report.get("SeriesNumber") or 0) % 1000
        report.SeriesDescription = _description(str(report.get("SeriesDescription") or ""), assessment)
        report.PreliminaryFlag, report.VerificationFlag = "FINAL", "VERIFIED"
        report.PredecessorDocumentsSequence = predecessor_documents(named)
        report.ManufacturerModelName = self._maker.model_name
        report.SoftwareVersions = self._maker.software_version
        self._sign(report, assessment)
        _name_observer(report, assessment)
        _write_outcome(report, assessment)
        return report

    def _sign(self, report: Dataset, assessment: Assessment) -> None:
        """Verifying Observer Sequence (PS3.3 Table C.17-2), and the times, which are those of the assessment."""
        offset = offset_of(str(report.get("TimezoneOffsetFromUTC") or ""))
        at = assessment.word.at.astimezone(offset or self._zone)
        for kind in ("Series", "Content", "InstanceCreation"):
            setattr(report, f"{kind}Date", at.strftime("%Y%m%d"))
            setattr(report, f"{kind}Time", at.strftime("%H%M%S"))
        item = Dataset()
        item.VerifyingObserverName = _person(assessment)
        item.VerifyingObserverIdentificationCodeSequence = []
        item.VerifyingOrganization = _organisation(report)
        item.VerificationDateTime = at.strftime("%Y%m%d%H%M%S")
        report.VerifyingObserverSequence = [item]


# ---------------------------------------------------------------- identity


def _instance_uid(report: Dataset, assessment: Assessment) -> str:
    return derive_uid("assessed report", str(report.SOPInstanceUID), *_content_of(assessment))


def _series_uid(main: Dataset, assessment: Assessment) -> str:
    return derive_uid("assessed series", str(main.SeriesInstanceUID), *_content_of(assessment))


def _content_of(assessment: Assessment) -> tuple[str, ...]:
    """Everything that an assessment writes into a document: one UID, one content."""
    word = assessment.word
    values = (f"{one.finding}.{one.measurement}={one.value!r}" for one in word.values)
    return (word.decision, word.by, word.at.isoformat(), word.reason, str(word.outcome or ""), *values)


def _reference(report: Dataset, before: Assessment | None, is_main: bool) -> DocumentRef:
    """What the new document follows: the algorithm's report, or what an earlier assessment made of it."""
    uids = (str(report.SeriesInstanceUID), str(report.SOPInstanceUID))
    if before is not None and (is_main or before.word.outcome is not Outcome.NEGATIVE):
        uids = (_series_uid(report, before), _instance_uid(report, before))
    return DocumentRef(str(report.StudyInstanceUID), uids[0], str(report.SOPClassUID), uids[1])


def _rename(dataset: Dataset, uids: Mapping[str, str]) -> None:
    """The reports of a run refer to each other; those that follow them do, too."""
    for keyword in ("SOPInstanceUID", "SeriesInstanceUID", "ReferencedSOPInstanceUID"):
        if keyword in dataset and str(dataset[keyword].value) in uids:
            setattr(dataset, keyword, uids[str(dataset[keyword].value)])
    for element in list(dataset):
        if element.VR == "SQ":
            for item in element.value:
                _rename(item, uids)


def _description(given: str, assessment: Assessment) -> str:
    """``AI <algorithm> <version> - <outcome> - accepted`` from ``... - unverified``."""
    head, *rest = given.rsplit(" - ", 2)
    outcome = assessment.word.outcome or assessment.outcome_found
    return f"{head} - {outcome} - {WORDS[assessment.word.decision]}" if len(rest) == 2 else given


def _person(assessment: Assessment) -> str:
    """The name of an account as a Person Name (PS3.5 section 6.2.1): all of it a family name."""
    return f"{assessment.word.by.translate(_NO_COMPONENTS)}^"


def _organisation(report: Dataset) -> str:
    for item in report.get("ContributingEquipmentSequence") or []:
        if item.get("InstitutionName"):
            return str(item.InstitutionName)[:64]
    return str(report.get("InstitutionName") or UNKNOWN_ORGANISATION)[:64]


# ---------------------------------------------------------------- content


def _name_observer(report: Dataset, assessment: Assessment) -> None:
    """TID 1001: beside the device that observed the person who looked at it, TID 1003."""
    person = ObserverContext(
        observer_type=DicomConcept.from_code(codes.DCM.Person),
        observer_identifying_attributes=PersonObserverIdentifyingAttributes(name=_person(assessment)),
    )
    items = list(report.ContentSequence)
    last = max(index for index, item in enumerate(items) if item.RelationshipType == "HAS OBS CONTEXT")
    report.ContentSequence = [*items[: last + 1], *person, *items[last + 1 :]]


def _write_outcome(report: Dataset, assessment: Assessment) -> None:
    word, by = assessment.word, f"{WORDS[assessment.word.decision]} by {assessment.word.by}"
    for item in walk(report):
        if name_of(item) == _COMMENT and item.ValueType == "TEXT" and item.TextValue == UNVERIFIED_NOTICE:
            item.TextValue = f"AI result, {by}"
        elif word.outcome is not None and name_of(item) == OUTCOME:
            item.ConceptCodeSequence = [DicomConcept.from_code(SUMMARY_OF_OUTCOME[word.outcome])]
        elif word.outcome is not None and name_of(item) == _SUMMARY and item.ValueType == "TEXT":
            item.TextValue = f"{word.outcome}: {by}; the algorithm said {assessment.outcome_found}"
    if word.reason:
        _comment(report, f"{word.by}: {word.reason}")


def _write_values(
    report: Dataset,
    number: int,
    assessment: Assessment,
    places: Sequence[tuple[int, int]],
    findings: Sequence[Mapping[str, Any]],
) -> None:
    """Another number in place of the algorithm's, which is told beside it and no longer said to be the algorithm's.

    ``places``: for each value the report and the group of its finding; ``number`` is that of this report.
    """
    groups = [item for item in walk(report) if name_of(item) == MEASUREMENT_GROUP]
    for value, (where, group) in zip(assessment.word.values, places, strict=True):
        if where == number:
            told = findings[value.finding]["measurements"][value.measurement]
            _write_value(report, _measured(groups[group], told), value.value)


def _write_value(report: Dataset, item: Dataset, value: float) -> None:
    measured = item.MeasuredValueSequence[0]
    before = str(measured.NumericValue)
    measured.NumericValue = _decimal(value)
    for keyword in ("FloatingPointValue", "RationalNumeratorValue", "RationalDenominatorValue"):
        if keyword in measured:
            delattr(measured, keyword)
    rest = [one for one in item.get("ContentSequence") or [] if name_of(one) not in _OF_THE_ALGORITHM]
    if rest:
        item.ContentSequence = rest
    else:
        del item.ContentSequence
    name = str(item.ConceptNameCodeSequence[0].CodeMeaning)
    unit = str(measured.MeasurementUnitsCodeSequence[0].CodeValue)
    _comment(report, f"{name}: {measured.NumericValue} {unit}, corrected from {before} {unit}")


def _place(run: Sequence[Dataset], findings: Sequence[Mapping[str, Any]], finding: int) -> tuple[int, int]:
    """In which report, and as which of its groups, a finding stands: reports hold them in their order, each kind of
    group in a report of its own.

    Raises:
        ResultVerificationFailed: it stands in none.
    """
    held = [
        (str(item.ContentTemplateSequence[0].TemplateIdentifier), number, index)
        for number, report in enumerate(run)
        for index, item in enumerate(item for item in walk(report) if name_of(item) == MEASUREMENT_GROUP)
    ]
    has_segmentation = any(template == SEGMENT_GROUP for template, _, _ in held)
    template = template_told(findings[finding], has_segmentation)
    before = sum(template_told(one, has_segmentation) == template for one in findings[:finding])
    places = [(number, index) for one, number, index in held if one == template]
    require(before < len(places), "the finding that is corrected", str(run[-1].SOPInstanceUID))
    return places[before]


def _measured(group: Dataset, told: Mapping[str, Any]) -> Dataset:
    """The NUM item of a measurement of the group.

    Raises:
        ResultVerificationFailed: there is none.
    """
    wanted = (told["code"]["value"], told["code"]["scheme"])
    for item in group.ContentSequence:
        if item.ValueType == "NUM" and code(item.ConceptNameCodeSequence[0]) == wanted:
            number = float(item.MeasuredValueSequence[0].NumericValue)
            if math.isclose(number, told["value"], rel_tol=NUMBER_TOLERANCE):
                found: Dataset = item
                return found
    raise ResultVerificationFailed("a written object does not hold: the measurement that is corrected")


def _comment(report: Dataset, text: str) -> None:
    """Into the container of qualitative evaluations, which is the last."""
    container = report.ContentSequence[-1]
    item = TextContentItem(codes.DCM.Comment, text, RelationshipTypeValues.CONTAINS)
    container.ContentSequence = [*container.ContentSequence, item]


def _decimal(value: float) -> str:
    """A Decimal String (PS3.5 Table 6.2-1): at most 16 characters."""
    for digits in range(16, 0, -1):
        text = f"{value:.{digits}g}"
        if len(text) <= 16:
            return text
    raise ValueError("a number of one digit is longer than 16 characters")


def _drop_findings(report: Dataset, run: set[str]) -> None:
    """No measurements and no references to what shows them; as evidence what is not said is only pertinent."""
    report.ContentSequence = [item for item in report.ContentSequence if name_of(item) != _MEASUREMENTS]
    for container in report.ContentSequence:
        if container.ValueType == "CONTAINER":
            items = [item for item in container.ContentSequence if name_of(item) != _FURTHER]
            container.ContentSequence = items
    ours = {str(one.sop_instance_uid) for one in evidence(report) if _is_result(one.sop_class_uid)} | run
    current: list[Dataset] = []
    other: list[Dataset] = []
    for study in report.get("CurrentRequestedProcedureEvidenceSequence") or []:
        for sequence, keep in ((current, False), (other, True)):
            part = _part(study, ours, keep)
            if part is not None:
                sequence.append(part)
    report.CurrentRequestedProcedureEvidenceSequence = current
    if other:
        report.PertinentOtherEvidenceSequence = other


def _is_result(sop_class_uid: str) -> bool:
    """Whether an object of this class stands among the evidence because the run wrote it."""
    return sop_class_uid in RESULTS or sop_class_uid.startswith(REPORTS)


def _part(study: Dataset, ours: set[str], keep: bool) -> Dataset | None:
    """The references of a study to what is (``keep``), or is not, among ``ours``; None where there is none."""
    part = Dataset()
    part.StudyInstanceUID = study.StudyInstanceUID
    part.ReferencedSeriesSequence = []
    for series in study.ReferencedSeriesSequence:
        items = [one for one in series.ReferencedSOPSequence if (str(one.ReferencedSOPInstanceUID) in ours) == keep]
        if items:
            copied = Dataset()
            copied.SeriesInstanceUID = series.SeriesInstanceUID
            copied.ReferencedSOPSequence = items
            part.ReferencedSeriesSequence.append(copied)
    return part if part.ReferencedSeriesSequence else None


def _verify(written: EncodedObject, assessment: Assessment, named: Sequence[DocumentRef]) -> None:
    """
    Raises:
        ResultVerificationFailed
    """
    report, where = pydicom.dcmread(io.BytesIO(written.part10)), written.sop_instance_uid
    flags = (report.CompletionFlag, report.PreliminaryFlag, report.VerificationFlag)
    require(flags == ("COMPLETE", "FINAL", "VERIFIED"), "COMPLETE, FINAL, VERIFIED", where)
    require(
        str(report.VerifyingObserverSequence[0].VerifyingObserverName) == _person(assessment), "who verified", where
    )
    require(documents_named(report) == tuple(named), "predecessors", where)
    require(where not in {one.sop_instance_uid for one in named}, "a document of its own", where)
    listed = {one.sop_instance_uid for one in evidence(report)}
    require({one.sop_instance_uid for one in references_of_content(report)} <= listed, "references resolve", where)
    require(UNVERIFIED_NOTICE not in {str(item.get("TextValue")) for item in walk(report)}, "no word of before", where)
