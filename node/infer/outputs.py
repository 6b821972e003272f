"""Whether what a model returned is a result. Pure: numpy only, so that parent and child could both ask."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace

import numpy as np
import numpy.typing as npt

from node.domain.model import ModelDescription
from node.domain.result import HeatMap, InferenceResult, Outcome, Reason, Segment, Segmentation
from node.domain.study import Grid, Picture, SopRef
from node.domain.voxels import require_fractions, require_parametric_map
from node.infer.finding_outputs import Place, checked_findings, image_of_slice, invalid

# A model says what it sees; FAILED, PENDING and NOT WANTED are the node's own words.
OUTCOMES = (Outcome.POSITIVE, Outcome.NEGATIVE, Outcome.NOT_EVALUABLE)
# A heat map is scaled to 0..1 in float32.
RANGE_TOLERANCE = 1e-4


def checked(result: object, model: ModelDescription, grid: Grid) -> InferenceResult:
    """``result`` of a volume with plain Python numbers, if it can be written down.

    Plain numbers, because the result crosses to a process without the model's libraries. What a NEGATIVE result was
    looking for is marked as not present; the slices that it names have become images.

    Raises:
        InvalidModelOutput: ``details['field']`` names what is wrong.
    """
    result = _said(result)
    if result.heat_maps or result.key_images or any(finding.image is not None for finding in result.findings):
        raise invalid("findings", "an image or a heat map of a model that is given a volume")
    result = _checked(result, model, Place(grid.shape, grid.sources, grid.affine))
    declared = {segment.number: segment for segment in model.segments}
    segmentation = None if result.segmentation is None else _segmentation(result.segmentation, declared, grid)
    if segmentation is not None:
        require_fractions(segmentation, model.segmentation_type, len(model.segments), grid.shape)
    for index, parametric_map in enumerate(result.parametric_maps):
        require_parametric_map(parametric_map, f"parametric_maps[{index}]", grid.shape)
    return replace(result, segmentation=segmentation)


def checked_picture(result: object, model: ModelDescription, picture: Picture) -> InferenceResult:
    """``result`` of a picture, as ``checked``; every finding says on which image it was made.

    Raises:
        InvalidModelOutput: also a segmentation, a parametric map, or another image than the one that was given.
    """
    result = _said(result)
    if result.segmentation is not None:
        raise invalid("segmentation", "a segmentation of a picture: there is no volume to lay it on")
    if result.parametric_maps:
        raise invalid("parametric_maps", "a parametric map of a picture: there is no volume to lay it on")
    foreign = [ref for ref in _images(result) if ref is not None and ref != picture.ref]
    if foreign:
        raise invalid("findings", "a finding or a heat map on an image that is not the one given")
    result = _checked(result, model, Place(picture.shape, (picture.ref,)))
    findings = tuple(replace(finding, image=picture.ref) for finding in result.findings)
    heat_maps = tuple(checked_heat_map(heat_map.array, picture) for heat_map in result.heat_maps)
    return replace(result, findings=findings, heat_maps=heat_maps)


def checked_heat_map(given: object, picture: Picture) -> HeatMap:
    """
    Raises:
        InvalidModelOutput: not an array of 0..1 on the grid of the picture.
    """
    array: npt.NDArray[np.float32] = np.asarray(given, dtype=np.float32)
    if array.shape != picture.shape:
        raise invalid("heat_maps", f"shape {array.shape} instead of {picture.shape}, the grid of the image")
    if not (np.isfinite(array).all() and array.min() >= -RANGE_TOLERANCE and array.max() <= 1 + RANGE_TOLERANCE):
        raise invalid("heat_maps", "values outside 0 to 1")
    return HeatMap(picture.ref, np.clip(array, 0, 1))


def _images(result: InferenceResult) -> list[SopRef | None]:
    images = [*(finding.image for finding in result.findings), *(heat_map.image for heat_map in result.heat_maps)]
    return [*images, *result.key_images]


def _said(result: object) -> InferenceResult:
    if not isinstance(result, InferenceResult):
        raise invalid("result", f"postprocess returned {type(result).__name__}, not an InferenceResult")
    return result


def _checked(result: InferenceResult, model: ModelDescription, place: Place) -> InferenceResult:
    """What holds for a volume and for a picture alike."""
    if result.outcome not in OUTCOMES:
        raise invalid("outcome", f"{result.outcome} is not for a model to say")
    if (result.outcome is Outcome.NOT_EVALUABLE) != isinstance(result.reason, Reason):
        raise invalid("reason", "a reason belongs to NOT EVALUABLE, and only to it")
    said = (result.findings, result.segmentation, result.heat_maps, result.parametric_maps, result.key_slices)
    if result.outcome is Outcome.NOT_EVALUABLE and any(said):
        raise invalid("findings", "what is not evaluable has neither findings nor a segmentation nor a heat map")
    declared = {segment.number: segment for segment in model.segments}
    present = result.outcome is not Outcome.NEGATIVE
    key_images = dict.fromkeys(
        image_of_slice(f"key_slices[{index}]", number, place) for index, number in enumerate(result.key_slices)
    )
    return replace(
        result,
        findings=checked_findings(result.findings, declared, present, place),
        key_slices=tuple(map(int, result.key_slices)),
        key_images=tuple(key_images) or result.key_images,
    )


def _segmentation(given: Segmentation, declared: Mapping[int, Segment], grid: Grid) -> Segmentation:
    field = "segmentation.label_map"
    label_map = given.label_map
    if not isinstance(label_map, np.ndarray):
        raise invalid(field, f"{type(label_map).__name__} instead of a numpy array")
    if label_map.shape != grid.shape:
        raise invalid(field, f"shape {label_map.shape} instead of {grid.shape}, the grid of the input")
    if label_map.dtype != np.uint8:
        raise invalid(field, f"{label_map.dtype} instead of uint8")
    for segment in given.segments:
        if declared.get(segment.number) != segment:
            raise invalid("segmentation.segments", f"segment {segment.number} is not as model.toml declares it")
    used = set(np.flatnonzero(np.bincount(label_map.ravel(), minlength=1)).tolist()) - {0}
    undeclared = sorted(used - {segment.number for segment in given.segments})
    if undeclared:
        raise invalid(field, f"holds {undeclared}, which are no segments of this result")
    return replace(given, label_map=np.ascontiguousarray(label_map))
