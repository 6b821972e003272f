"""Bad model output is refused before anything is encoded, and the error names the field."""

from __future__ import annotations

import io
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pydicom
import pytest

from node.domain.result import CodedConcept, Finding, InferenceResult, Measurement, Outcome, Reason, Segmentation
from node.errors import InvalidModelOutput
from node.ports import Run
from node.results.writer import DicomResultWriter
from tests.unit.results.runs import ANTERIOR, HIPPOCAMPUS, MILLILITRE, MODEL, SEGMENTS, VOLUME, run_on


def _finding(run: Run, **changes: Any) -> InferenceResult:
    first, *rest = run.result.findings
    return replace(run.result, findings=(replace(first, **changes), *rest))


def _measurement(run: Run, **changes: Any) -> InferenceResult:
    measurement = replace(run.result.findings[0].measurements[0], **changes)
    return _finding(run, measurements=(measurement,))


def _label_map(run: Run, change: Any) -> InferenceResult:
    segmentation = run.result.segmentation
    assert segmentation is not None
    return replace(run.result, segmentation=replace(segmentation, label_map=change(segmentation.label_map.copy())))


def _with_value(label_map: Any, value: int) -> Any:
    label_map[0, 0, 0] = value
    return label_map


def _segments(run: Run, *segments: Any) -> InferenceResult:
    assert run.result.segmentation is not None
    return replace(run.result, segmentation=Segmentation(tuple(segments), run.result.segmentation.label_map))


BAD = {
    "findings[0].segment": lambda run: _finding(run, segment=3),
    "findings[0].probability": lambda run: _finding(run, probability=1.2),
    "findings[0].probability ": lambda run: _finding(run, probability=float("nan")),
    "findings[0].concept.value": lambda run: _finding(run, concept=CodedConcept("", "SCT", "Nothing")),
    "findings[0].concept.meaning": lambda run: _finding(run, concept=CodedConcept("1", "SCT", "m" * 65)),
    "findings[0].concept.scheme": lambda run: _finding(run, concept=CodedConcept("1", "s" * 17, "m")),
    "findings[0].site.meaning": lambda run: _finding(run, site=CodedConcept("1", "SCT", "left\\right")),
    "findings[0].measurements[0].value": lambda run: _measurement(run, value=float("nan")),
    "findings[0].measurements[0].value ": lambda run: _measurement(run, value=float("inf")),
    "findings[0].measurements[0].unit.value": lambda run: _measurement(run, unit=CodedConcept(" ", "UCUM", "mL")),
    "segmentation.label_map": lambda run: _label_map(run, lambda array: array[1:]),
    "segmentation.label_map ": lambda run: _label_map(run, lambda array: _with_value(array, 3)),
    "segmentation.label_map  ": lambda run: _label_map(run, lambda array: array.astype(np.int64)),
    "segmentation.segments": lambda run: _segments(run, replace(SEGMENTS[0], number=3), SEGMENTS[1]),
    "segmentation.segments ": lambda run: _segments(run, replace(SEGMENTS[0], type=HIPPOCAMPUS), SEGMENTS[1]),
    "findings": lambda run: InferenceResult(Outcome.POSITIVE),
    "findings ": lambda run: InferenceResult(Outcome.NEGATIVE, (Finding(ANTERIOR),)),
    "reason": lambda run: InferenceResult(Outcome.NOT_EVALUABLE),
    "reason.text": lambda run: InferenceResult(Outcome.FAILED, reason=Reason("WorkerLost", "")),
    "outcome": lambda run: InferenceResult(Outcome.PENDING),
}


@pytest.mark.parametrize("field", BAD)
def test_what_no_result_can_be_made_of(field: str, series: list[Path], writer: DicomResultWriter) -> None:
    run = run_on(series)
    with pytest.raises(InvalidModelOutput) as caught:
        writer.write(replace(run, result=BAD[field](run)))
    assert caught.value.details["field"] == field.strip()


def test_a_segmentation_needs_a_grid(series: list[Path], writer: DicomResultWriter) -> None:
    with pytest.raises(InvalidModelOutput, match="without a grid"):
        writer.write(replace(run_on(series), grid=None))


@pytest.mark.parametrize("change", [{"name": ""}, {"version": "1\\2"}, {"manufacturer": "m" * 65}])
def test_an_algorithm_that_cannot_be_named(
    change: dict[str, Any], series: list[Path], writer: DicomResultWriter
) -> None:
    model = replace(MODEL, algorithm=replace(MODEL.algorithm, **change))
    with pytest.raises(InvalidModelOutput) as caught:
        writer.write(run_on(series, model=model))
    assert caught.value.details["field"] == f"algorithm.{next(iter(change))}"


def test_extreme_but_valid_numbers_are_written(series: list[Path], writer: DicomResultWriter) -> None:
    run = run_on(series)
    for value in (0.0, -1e-300, 1e300, 1 / 3, 123456789.123456789, -2.5e-10):
        result = _finding(run, measurements=(Measurement(VOLUME, value, MILLILITRE),))
        assert len(writer.write(replace(run, result=result))) == 2


@pytest.mark.parametrize(
    ("field", "change"),
    [
        ("segmentation.segments", {"number": 3}),
        ("segmentation.segments[2].label", {"label": "l" * 65}),
        ("segmentation.segments[2].colour_rgb", {"colour_rgb": (0, 0, 256)}),
        ("segmentation.segments[2].type.value", {"type": CodedConcept("", "SCT", "Nothing")}),
    ],
)
def test_segments_that_cannot_be_described(
    field: str, change: dict[str, Any], series: list[Path], writer: DicomResultWriter
) -> None:
    segments = (SEGMENTS[0], replace(SEGMENTS[1], **change))
    run = run_on(series, model=replace(MODEL, segments=segments))
    with pytest.raises(InvalidModelOutput) as caught:
        writer.write(replace(run, result=_segments(run, *segments)))
    assert caught.value.details["field"] == field


def test_a_result_that_mentions_some_of_the_declared_segments(series: list[Path], writer: DicomResultWriter) -> None:
    run = run_on(series)
    result = _segments(run, SEGMENTS[1])
    seg = pydicom.dcmread(io.BytesIO(writer.write(replace(run, result=result))[0].part10))
    assert [item.SegmentLabel for item in seg.SegmentSequence] == [segment.label for segment in SEGMENTS]
