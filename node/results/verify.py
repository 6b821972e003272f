"""Re-read every written object from its bytes. What fails here never leaves the node."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from pydicom.dataset import Dataset
from pydicom.uid import ParametricMapStorage, SegmentationStorage

from node.domain.identity import is_uid
from node.ports import EncodedObject
from node.results.context import LABEL_MAP_SEGMENTATION, ResultContext
from node.results.predecessors import documents_named
from node.results.reports import reports_of
from node.results.source import NEVER_ABSENT, PATIENT_AND_STUDY
from node.results.verify_images import verify_parametric_maps, verify_segmentation
from node.results.verify_pictures import verify_key_objects, verify_picture
from node.results.verify_report import verify_report
from node.results.voxels import require
from node.results.written import Written, read_back

STANDARD_UIDS = "1.2.840.10008."
COMPREHENSIVE_3D_SR = "1.2.840.10008.5.1.4.1.1.88.34"
SEGMENTATIONS = frozenset({SegmentationStorage, LABEL_MAP_SEGMENTATION})
KEY_OBJECT_SELECTION = "1.2.840.10008.5.1.4.1.1.88.59"


def verify(context: ResultContext, objects: Sequence[EncodedObject]) -> None:
    """
    Raises:
        ResultVerificationFailed: ``details['check']`` names what does not hold, ``details['sop_instance_uid']`` where.
    """
    read = [read_back(written) for written in objects]
    datasets = [one.dataset for one in read]
    _every_object(context, objects, read)
    require(len({str(dataset.SOPInstanceUID) for dataset in datasets}) == len(datasets), "SOP Instance UIDs are unique")
    reports = [dataset for dataset in datasets if dataset.SOPClassUID == COMPREHENSIVE_3D_SR]
    segmentations = [one for one in read if one.dataset.SOPClassUID in SEGMENTATIONS]
    require(len(segmentations) == int(context.has_segmentation), "there is a SEG exactly where something is delineated")
    for segmentation in segmentations:
        verify_segmentation(context, segmentation)
    verify_parametric_maps(context, [one for one in read if one.dataset.SOPClassUID == ParametricMapStorage])
    key_objects = [dataset for dataset in datasets if dataset.SOPClassUID == KEY_OBJECT_SELECTION]
    require(len(key_objects) == int(context.has_key_objects), "there is a KOS exactly where there are key images")
    for selection in key_objects:
        verify_key_objects(context, selection)
    found = {str(report.SOPInstanceUID): report for report in reports}
    wanted = reports_of(context)
    require(set(found) == {report.sop_instance_uid for report in wanted}, "there is every report")
    for report in wanted:
        others = [other for other in datasets if other is not found[report.sop_instance_uid]] if report.is_root else []
        verify_report(context, report, found[report.sop_instance_uid], others)
    main = context.sop_instance_uid("SR")
    require(documents_named(found[main]) == context.predecessors, "predecessors", main)
    said = {written.sop_instance_uid: written.predecessors for written in objects if written.predecessors}
    require(said == ({main: context.predecessors} if context.predecessors else {}), "predecessors as told", main)


def verify_drawn(context: ResultContext, objects: Sequence[EncodedObject]) -> None:
    """Pictures: nothing else refers to them, for not every destination gets them.

    Raises:
        ResultVerificationFailed: as ``verify``.
    """
    read = [read_back(written) for written in objects]
    _every_object(context, objects, read)
    for written, one in zip(objects, read, strict=True):
        verify_picture(context, written.rendition, one.dataset)


# ---------------------------------------------------------------- any object


def _every_object(context: ResultContext, objects: Sequence[EncodedObject], read: Sequence[Written]) -> None:
    known = _known_uids(context)
    for written, one in zip(objects, read, strict=True):
        _identity(context, written, one.dataset)
        for part in (one.dataset, *one.planes):
            _uids(part, known, written.sop_instance_uid)


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


def _known_uids(context: ResultContext) -> frozenset[str]:
    """Of the sources, or derived."""
    return context.derived_uids().union(*(_all_uids(header) for header in context.headers))


def _uids(dataset: Dataset, known: frozenset[str], where: str) -> None:
    """Every UID is one of the standard's, or one that is known: nothing is left to chance."""
    for uid in _all_uids(dataset):
        require(is_uid(uid), "UIDs are UIDs", where)
        require(uid.startswith(STANDARD_UIDS) or uid in known, "UIDs are copied or derived", where)


def _all_uids(dataset: Dataset) -> Iterator[str]:
    for raw in dataset.elements():
        if raw.VR not in ("SQ", "UI"):
            continue
        element = dataset[raw.tag]
        if element.VR == "SQ":
            for item in element.value:
                yield from _all_uids(item)
        elif element.value:
            yield from map(str, element.value if element.VM > 1 else [element.value])
