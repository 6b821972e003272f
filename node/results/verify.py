"""Re-read every written object from its bytes. What fails here never leaves the node."""

from __future__ import annotations

import io
import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np
import pydicom
from pydicom.dataset import Dataset
from pydicom.errors import InvalidDicomError

from node.domain.identity import is_uid
from node.domain.result import CodedConcept, Finding
from node.domain.study import SopRef
from node.errors import ResultVerificationFailed
from node.ports import EncodedObject
from node.results.context import ResultContext
from node.results.predecessors import documents_named
from node.results.source import NEVER_ABSENT, PATIENT_AND_STUDY
from node.results.voxels import label_map_of, require

STANDARD_UIDS = "1.2.840.10008."
COMPREHENSIVE_3D_SR = "1.2.840.10008.5.1.4.1.1.88.34"
SEGMENTATION = "1.2.840.10008.5.1.4.1.1.66.4"
# A Decimal String has 16 characters.
NUMBER_TOLERANCE = 1e-9
TRACKING_UID, REFERENCED_SEGMENT, FINDING, OUTCOME = "112040", "121191", "121071", "111017"
SOURCE_IMAGE, PRESENCE, PRESENT, ABSENT = "121112", "121052", "52101004", "272519000"


@dataclass(frozen=True, slots=True)
class _Reference:
    sop_class_uid: str
    sop_instance_uid: str
    segments: tuple[int, ...]


def verify(context: ResultContext, objects: Sequence[EncodedObject]) -> None:
    """
    Raises:
        ResultVerificationFailed: ``details['check']`` names what does not hold, ``details['sop_instance_uid']`` where.
    """
    datasets = [_read(written) for written in objects]
    for written, dataset in zip(objects, datasets, strict=True):
        _identity(context, written, dataset)
        _uids(context, dataset)
    require(len({str(dataset.SOPInstanceUID) for dataset in datasets}) == len(datasets), "SOP Instance UIDs are unique")
    reports = [dataset for dataset in datasets if dataset.SOPClassUID == COMPREHENSIVE_3D_SR]
    segmentations = [dataset for dataset in datasets if dataset.SOPClassUID == SEGMENTATION]
    require(len(segmentations) == int(context.has_segmentation), "there is a SEG exactly where something is delineated")
    for segmentation in segmentations:
        _segmentation(context, segmentation)
    found = {str(report.SOPInstanceUID): report for report in reports}
    main, further = context.sop_instance_uid("SR"), context.further_report_uid
    require(set(found) == {main, *([further] if context.further_findings else [])}, "there is every report")
    _report(context, found[main], [other for other in datasets if other is not found[main]], context.main_findings)
    require(documents_named(found[main]) == context.predecessors, "predecessors", main)
    said = {written.sop_instance_uid: written.predecessors for written in objects if written.predecessors}
    require(said == ({main: context.predecessors} if context.predecessors else {}), "predecessors as told", main)
    if context.further_findings:
        _report(context, found[further], [], context.further_findings)


# ---------------------------------------------------------------- any object


def _read(written: EncodedObject) -> Dataset:
    try:
        dataset: Dataset = pydicom.dcmread(io.BytesIO(written.part10))
    except (InvalidDicomError, EOFError, ValueError, NotImplementedError) as error:
        raise ResultVerificationFailed(
            "an object cannot be read back", check="readable", sop_instance_uid=written.sop_instance_uid
        ) from error
    return dataset


def _identity(context: ResultContext, written: EncodedObject, dataset: Dataset) -> None:
    """File meta information, what the row of the result says, and the identifiers of the source, verbatim."""
    meta, where = dataset.file_meta, written.sop_instance_uid
    require(meta.MediaStorageSOPClassUID == dataset.SOPClassUID == written.sop_class_uid, "SOP Class UID", where)
    require(
        meta.MediaStorageSOPInstanceUID == dataset.SOPInstanceUID == written.sop_instance_uid, "SOP Instance UID", where
    )
    require(dataset.SeriesInstanceUID == written.series_instance_uid, "Series Instance UID", where)
    require(dataset.Modality == written.modality, "Modality", where)
    require(dataset.SeriesDescription == context.series_description, "Series Description", where)
    foreign = {str(header.SeriesInstanceUID) for header in context.headers}
    require(str(dataset.SeriesInstanceUID) not in foreign, "a series of its own", where)
    source = context.first
    for keyword in PATIENT_AND_STUDY:
        if keyword in source:
            require(keyword in dataset and dataset[keyword].value == source[keyword].value, keyword, where)
        elif keyword in NEVER_ABSENT:
            require(keyword in dataset and not dataset[keyword].value, keyword, where)
        else:
            require(keyword not in dataset, keyword, where)


def _uids(context: ResultContext, dataset: Dataset) -> None:
    """Every UID is one of the standard's, one of the sources' or one that is derived: nothing is left to chance."""
    known = context.derived_uids()
    for header in context.headers:
        known |= set(_all_uids(header))
    for uid in _all_uids(dataset):
        require(is_uid(uid), "UIDs are UIDs", str(dataset.SOPInstanceUID))
        require(
            uid.startswith(STANDARD_UIDS) or uid in known, "UIDs are copied or derived", str(dataset.SOPInstanceUID)
        )


def _all_uids(dataset: Dataset) -> Iterator[str]:
    for element in dataset:
        if element.VR == "SQ":
            for item in element.value:
                yield from _all_uids(item)
        elif element.VR == "UI" and element.value:
            yield from map(str, element.value if element.VM > 1 else [element.value])


# ---------------------------------------------------------------- SEG


def _segmentation(context: ResultContext, dataset: Dataset) -> None:
    result, grid, where = context.run.result, context.run.grid, str(dataset.SOPInstanceUID)
    assert result.segmentation is not None
    assert grid is not None
    described = {int(item.SegmentNumber): str(item.TrackingUID) for item in dataset.SegmentSequence}
    wanted = {segment.number: context.segment_tracking_uid(segment.number) for segment in context.segments}
    require(described == wanted, "segments and their Tracking UIDs", where)
    require(dataset.get("FrameOfReferenceUID") == context.frame_of_reference_uid, "Frame of Reference", where)
    require(np.array_equal(label_map_of(dataset, grid), result.segmentation.label_map), "voxels", where)
    allowed = {ref.sop_instance_uid for ref in grid.sources}
    for reference in _references(dataset):
        require(reference.sop_instance_uid in allowed, "source images of the SEG", where)


# ---------------------------------------------------------------- SR


def _report(context: ResultContext, dataset: Dataset, others: Sequence[Dataset], findings: tuple[int, ...]) -> None:
    """``others`` are the objects that this report has to refer to, ``findings`` the indices of what it reports."""
    where = str(dataset.SOPInstanceUID)
    require(
        (dataset.CompletionFlag, dataset.PreliminaryFlag, dataset.VerificationFlag)
        == ("COMPLETE", "PRELIMINARY", "UNVERIFIED"),
        "COMPLETE, PRELIMINARY, UNVERIFIED",
        where,
    )
    sources = {str(header.SOPInstanceUID): str(header.SOPClassUID) for header in context.headers}
    ours = {str(other.SOPInstanceUID): str(other.SOPClassUID) for other in others}
    evidence = {ref.sop_instance_uid: ref.sop_class_uid for ref in _evidence(dataset)}
    require(evidence == sources | ours, "the evidence is the sources and our objects", where)
    references = list(_references_of_content(dataset))
    require(all(evidence.get(r.sop_instance_uid) == r.sop_class_uid for r in references), "references resolve", where)
    require(set(ours) <= {r.sop_instance_uid for r in references}, "every object is reachable from the report", where)
    outcomes = [item for item in _walk(dataset) if _name(item) == OUTCOME]
    require(len(outcomes) == 1, "the outcome is coded", where)
    groups = [item for item in _walk(dataset) if _name(item) == "125007"]
    require(len(groups) == len(findings), "one measurement group for each finding", where)
    for index, group in zip(findings, groups, strict=True):
        require(_tracking(group) == [context.tracking_uid(index)], "Tracking UID", where)
        _finding(context, group, context.run.result.findings[index], where)


def _finding(context: ResultContext, group: Dataset, finding: Finding, where: str) -> None:
    coded = [_code(item.ConceptCodeSequence[0]) for item in group.ContentSequence if _name(item) == FINDING]
    require(coded == [_coded(finding.concept)], "Finding", where)
    segments = [
        ref.segments for item in group.ContentSequence if _name(item) == REFERENCED_SEGMENT for ref in _references(item)
    ]
    number = context.segment_of(finding)
    require(segments == ([] if number is None else [(number,)]), "Referenced Segment", where)
    if number is None:
        images = [ref for item in group.ContentSequence if _name(item) == SOURCE_IMAGE for ref in _images(item)]
        require(images == list(context.images_of(finding)), "source images of the finding", where)
    presence = [_code(item.ConceptCodeSequence[0]) for item in group.ContentSequence if _name(item) == PRESENCE]
    stated = finding.image is not None or not finding.present
    require(presence == ([(PRESENT if finding.present else ABSENT, "SCT")] if stated else []), "presence", where)
    numbers = [item for item in group.ContentSequence if item.ValueType == "NUM"]
    written = [_measured(item) for item in numbers]
    for measurement in finding.measurements:
        wanted = (_coded(measurement.concept), _coded(measurement.unit))
        same = [value for *names, value in written if tuple(names) == wanted]
        require(
            any(math.isclose(value, measurement.value, rel_tol=NUMBER_TOLERANCE) for value in same),
            "measurement",
            where,
        )
    expected = len(finding.measurements) + (finding.probability is not None)
    require(len(written) == expected, "number of measurements", where)


def _measured(item: Dataset) -> tuple[tuple[str, str], tuple[str, str], float]:
    value = item.MeasuredValueSequence[0]
    return (
        _code(item.ConceptNameCodeSequence[0]),
        _code(value.MeasurementUnitsCodeSequence[0]),
        float(value.NumericValue),
    )


def _evidence(dataset: Dataset) -> Iterator[_Reference]:
    for study in dataset.get("CurrentRequestedProcedureEvidenceSequence") or []:
        for series in study.ReferencedSeriesSequence:
            for item in series.ReferencedSOPSequence:
                yield _Reference(str(item.ReferencedSOPClassUID), str(item.ReferencedSOPInstanceUID), ())


def _references_of_content(dataset: Dataset) -> Iterator[_Reference]:
    for item in _walk(dataset):
        if "ReferencedSOPSequence" in item:
            for reference in item.ReferencedSOPSequence:
                yield _reference(reference)


# Words of the source about patient and study (PS3.3 C.7.1.1 and C.7.2.1): they refer to no image of ours.
_OF_THE_STUDY = frozenset({"ReferencedStudySequence", "ReferencedPatientSequence"})


def _references(dataset: Dataset) -> Iterator[_Reference]:
    """Every reference to a SOP Instance, at any depth, but for what is copied from the source as it is."""
    if "ReferencedSOPInstanceUID" in dataset:
        yield _reference(dataset)
    for element in dataset:
        if element.VR == "SQ" and element.keyword not in _OF_THE_STUDY:
            for item in element.value:
                yield from _references(item)


def _reference(item: Dataset) -> _Reference:
    segments = item.get("ReferencedSegmentNumber")
    numbers = (
        [] if segments is None else segments if isinstance(segments, list | pydicom.multival.MultiValue) else [segments]
    )
    return _Reference(
        str(item.ReferencedSOPClassUID), str(item.ReferencedSOPInstanceUID), tuple(int(number) for number in numbers)
    )


def _images(item: Dataset) -> Iterator[SopRef]:
    for reference in item.ReferencedSOPSequence:
        frame = reference.get("ReferencedFrameNumber")
        yield SopRef(
            str(reference.ReferencedSOPClassUID),
            str(reference.ReferencedSOPInstanceUID),
            None if frame is None else int(frame),
        )


def _walk(item: Dataset) -> Iterator[Dataset]:
    """Content items in the order of the document."""
    for child in item.get("ContentSequence") or []:
        yield child
        yield from _walk(child)


def _tracking(group: Dataset) -> list[str]:
    return [str(item.UID) for item in group.ContentSequence if _name(item) == TRACKING_UID]


def _name(item: Dataset) -> str:
    names = item.get("ConceptNameCodeSequence") or []
    return _code(names[0])[0] if names else ""


def _code(item: Dataset) -> tuple[str, str]:
    return str(item.get("CodeValue") or item.get("LongCodeValue") or ""), str(item.CodingSchemeDesignator)


def _coded(concept: CodedConcept) -> tuple[str, str]:
    return concept.value, concept.scheme
