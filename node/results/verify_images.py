"""What holds of a written SEG or parametric map, beside what holds of every object."""

from __future__ import annotations

from collections.abc import Sequence

from pydicom.dataset import Dataset

from node.domain.result import ParametricMap, SegmentationType
from node.results.context import ResultContext
from node.results.reading import code, coded, references
from node.results.seg_frames import MAXIMUM_FRACTIONAL_VALUE
from node.results.voxels import require, require_map, require_segments
from node.results.written import Written

BACKGROUND = 0  # of a LABELMAP SEG, described like a segment


def verify_segmentation(context: ResultContext, written: Written) -> None:
    """
    Raises:
        ResultVerificationFailed: as ``verify``.
    """
    dataset, grid, where = written.dataset, context.run.grid, str(written.dataset.SOPInstanceUID)
    segmentation, kind = context.run.result.segmentation, context.segmentation_type
    assert segmentation is not None
    assert grid is not None
    require(dataset.SOPClassUID == context.segmentation_class, "SOP Class of the SEG", where)
    require(dataset.SegmentationType == kind, "Segmentation Type", where)
    if kind is SegmentationType.FRACTIONAL:
        full = (dataset.SegmentationFractionalType, dataset.MaximumFractionalValue)
        require(full == ("PROBABILITY", MAXIMUM_FRACTIONAL_VALUE), "what a fraction means", where)
    described = {int(item.SegmentNumber): str(item.get("TrackingUID", "")) for item in dataset.SegmentSequence}
    if kind is SegmentationType.LABELMAP:
        require(described.pop(BACKGROUND, None) == "", "background is described", where)
    wanted = {segment.number: context.segment_tracking_uid(segment.number) for segment in context.segments}
    require(described == wanted, "segments and their Tracking UIDs", where)
    _on_the_source(context, written, "source images of the SEG")
    require_segments(written, grid, segmentation, kind)


def verify_parametric_maps(context: ResultContext, found: Sequence[Written]) -> None:
    """
    Raises:
        ResultVerificationFailed: as ``verify``.
    """
    wanted = context.run.result.parametric_maps
    require(len(found) == len(wanted), "there is every parametric map")
    for number, (written, given) in enumerate(zip(found, wanted, strict=True), 1):
        where = str(written.dataset.SOPInstanceUID)
        require(where == context.parametric_map_uid(number), "parametric maps in their order", where)
        _mapping(written, given, where)
        anatomy = written.dataset.SharedFunctionalGroupsSequence[0].get("FrameAnatomySequence") or []
        require([_names_a_region(item) for item in anatomy] == [True], "Frame Anatomy", where)
        _on_the_source(context, written, "source images of the parametric map")
        assert context.run.grid is not None
        require_map(written, context.run.grid, given)


def _mapping(written: Written, given: ParametricMap, where: str) -> None:
    """Stored values are the quantity itself, in its unit."""
    (mapping,) = written.dataset.SharedFunctionalGroupsSequence[0].RealWorldValueMappingSequence
    (unit,), (quantity,) = mapping.MeasurementUnitsCodeSequence, mapping.QuantityDefinitionSequence
    require(code(unit) == coded(given.unit), "unit of the parametric map", where)
    require(code(quantity.ConceptCodeSequence[0]) == coded(given.quantity), "quantity of the parametric map", where)
    require((mapping.RealWorldValueSlope, mapping.RealWorldValueIntercept) == (1, 0), "values as they are", where)


def _names_a_region(anatomy: Dataset) -> bool:
    return bool(anatomy.get("FrameLaterality")) and len(anatomy.get("AnatomicRegionSequence") or []) == 1


def _on_the_source(context: ResultContext, written: Written, check: str) -> None:
    """In the Frame of Reference of the source, and referring to its images alone."""
    assert context.run.grid is not None
    where = str(written.dataset.SOPInstanceUID)
    same = written.dataset.get("FrameOfReferenceUID") == context.frame_of_reference_uid
    require(same, "Frame of Reference", where)
    allowed = {ref.sop_instance_uid for ref in context.run.grid.sources}
    for part in (written.dataset, *written.planes):
        require({one.sop_instance_uid for one in references(part)} <= allowed, check, where)
