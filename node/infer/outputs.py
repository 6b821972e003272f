"""Whether what a model returned is a result. Pure: numpy only, so that parent and child could both ask."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import replace

import numpy as np
import numpy.typing as npt

from node.domain.model import ModelDescription
from node.domain.result import (
    CodedConcept,
    Finding,
    HeatMap,
    InferenceResult,
    Measurement,
    Outcome,
    Reason,
    Segment,
    Segmentation,
)
from node.domain.study import Grid, Picture, SopRef
from node.errors import InvalidModelOutput

# A model says what it sees; FAILED, PENDING and NOT WANTED are the node's own words.
OUTCOMES = (Outcome.POSITIVE, Outcome.NEGATIVE, Outcome.NOT_EVALUABLE)
# A heat map is scaled to 0..1 in float32.
RANGE_TOLERANCE = 1e-4


def checked(result: object, model: ModelDescription, grid: Grid) -> InferenceResult:
    """``result`` of a volume with plain Python numbers, if it can be written down.

    Plain numbers, because the result crosses to a process without the model's libraries. What a NEGATIVE result was
    looking for is marked as not present.

    Raises:
        InvalidModelOutput: ``details['field']`` names what is wrong.
    """
    result = _checked(result, model)
    if result.heat_maps or any(finding.image is not None for finding in result.findings):
        raise _invalid("findings", "an image or a heat map of a model that is given a volume")
    declared = {segment.number: segment for segment in model.segments}
    segmentation = None if result.segmentation is None else _segmentation(result.segmentation, declared, grid)
    return replace(result, segmentation=segmentation)


def checked_picture(result: object, model: ModelDescription, picture: Picture) -> InferenceResult:
    """``result`` of a picture, as ``checked``; every finding says on which image it was made.

    Raises:
        InvalidModelOutput: also a segmentation, or another image than the one that was given.
    """
    result = _checked(result, model)
    if result.segmentation is not None:
        raise _invalid("segmentation", "a segmentation of a picture: there is no volume to lay it on")
    foreign = [ref for ref in _images(result) if ref is not None and ref != picture.ref]
    if foreign:
        raise _invalid("findings", "a finding or a heat map on an image that is not the one given")
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
        raise _invalid("heat_maps", f"shape {array.shape} instead of {picture.shape}, the grid of the image")
    if not (np.isfinite(array).all() and array.min() >= -RANGE_TOLERANCE and array.max() <= 1 + RANGE_TOLERANCE):
        raise _invalid("heat_maps", "values outside 0 to 1")
    return HeatMap(picture.ref, np.clip(array, 0, 1))


def _images(result: InferenceResult) -> list[SopRef | None]:
    return [*(finding.image for finding in result.findings), *(heat_map.image for heat_map in result.heat_maps)]


def _checked(result: object, model: ModelDescription) -> InferenceResult:
    if not isinstance(result, InferenceResult):
        raise _invalid("result", f"postprocess returned {type(result).__name__}, not an InferenceResult")
    if result.outcome not in OUTCOMES:
        raise _invalid("outcome", f"{result.outcome} is not for a model to say")
    if (result.outcome is Outcome.NOT_EVALUABLE) != isinstance(result.reason, Reason):
        raise _invalid("reason", "a reason belongs to NOT EVALUABLE, and only to it")
    if result.outcome is Outcome.NOT_EVALUABLE and (result.findings or result.segmentation or result.heat_maps):
        raise _invalid("findings", "what is not evaluable has neither findings nor a segmentation nor a heat map")
    declared = {segment.number: segment for segment in model.segments}
    present = result.outcome is not Outcome.NEGATIVE
    findings = tuple(_finding(index, finding, declared, present) for index, finding in enumerate(result.findings))
    return replace(result, findings=findings)


def _segmentation(given: Segmentation, declared: Mapping[int, Segment], grid: Grid) -> Segmentation:
    field = "segmentation.label_map"
    label_map = given.label_map
    if not isinstance(label_map, np.ndarray):
        raise _invalid(field, f"{type(label_map).__name__} instead of a numpy array")
    if label_map.shape != grid.shape:
        raise _invalid(field, f"shape {label_map.shape} instead of {grid.shape}, the grid of the input")
    if label_map.dtype != np.uint8:
        raise _invalid(field, f"{label_map.dtype} instead of uint8")
    for segment in given.segments:
        if declared.get(segment.number) != segment:
            raise _invalid("segmentation.segments", f"segment {segment.number} is not as model.toml declares it")
    used = set(np.flatnonzero(np.bincount(label_map.ravel(), minlength=1)).tolist()) - {0}
    undeclared = sorted(used - {segment.number for segment in given.segments})
    if undeclared:
        raise _invalid(field, f"holds {undeclared}, which are no segments of this result")
    return Segmentation(given.segments, np.ascontiguousarray(label_map))


def _finding(index: int, finding: Finding, declared: Mapping[int, Segment], present: bool) -> Finding:
    field = f"findings[{index}]"
    _require_concept(f"{field}.concept", finding.concept)
    if finding.site is not None:
        _require_concept(f"{field}.site", finding.site)
    if finding.segment is not None and finding.segment not in declared:
        raise _invalid(f"{field}.segment", f"segment {finding.segment} is not declared in model.toml")
    probability = None if finding.probability is None else _number(f"{field}.probability", finding.probability)
    if probability is not None and not 0 <= probability <= 1:
        raise _invalid(f"{field}.probability", f"{probability:g} lies outside 0 to 1")
    measurements = tuple(
        _measurement(f"{field}.measurements[{number}]", measurement)
        for number, measurement in enumerate(finding.measurements)
    )
    segment = None if finding.segment is None else int(finding.segment)
    return replace(
        finding,
        measurements=measurements,
        probability=probability,
        segment=segment,
        present=present and bool(finding.present),
    )


def _measurement(field: str, measurement: Measurement) -> Measurement:
    _require_concept(f"{field}.concept", measurement.concept)
    _require_concept(f"{field}.unit", measurement.unit)
    if measurement.unit.scheme != "UCUM":
        raise _invalid(f"{field}.unit", f"a unit of {measurement.unit.scheme}, not of UCUM")
    return Measurement(measurement.concept, _number(f"{field}.value", measurement.value), measurement.unit)


def _number(field: str, value: object) -> float:
    try:
        number = float(value)  # type: ignore[arg-type]
    except (TypeError, ValueError):
        raise _invalid(field, f"{type(value).__name__} is no number") from None
    if not math.isfinite(number):
        raise _invalid(field, f"{number} is not finite")
    return number


def _require_concept(field: str, concept: CodedConcept) -> None:
    if not (concept.value and concept.scheme and concept.meaning):
        raise _invalid(field, "a coded concept needs value, scheme and meaning")


def _invalid(field: str, problem: str) -> InvalidModelOutput:
    return InvalidModelOutput(f"{field}: {problem}", field=field)
