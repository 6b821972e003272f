"""Places, qualities and names that no content item can be made of are refused before anything is encoded."""

from __future__ import annotations

import math
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from node.domain.result import (
    CodedConcept,
    Finding,
    GraphicType,
    InferenceResult,
    Outcome,
    Quality,
    Segment,
    Segmentation,
)
from node.domain.study import SopRef
from node.errors import InvalidModelOutput
from node.ports import Run
from node.results.writer import DicomResultWriter
from tests import pictures
from tests.unit.results.located import MARGIN, NODULE, outlines, place, result_of
from tests.unit.results.runs import MODEL, STRUCTURE, not_evaluable, run_on

LONG = "m" * 70
STRANGER = SopRef("1.2.840.10008.5.1.4.1.1.4", "1.2.3.4.5.6.7")


def _found(**changes: Any) -> InferenceResult:
    return result_of(replace(outlines(3)["polygon"], **changes))


def _quality(**changes: Any) -> InferenceResult:
    return _found(qualities=(replace(MARGIN, **changes),))


BAD: dict[str, InferenceResult] = {
    "findings[0].location.points": _found(location=place(GraphicType.POINT, (1.0, 2.0))),
    "findings[0].location.points ": _found(location=place(GraphicType.POINT, (1.0, 2.0, 7.6))),
    "findings[0].location.points  ": _found(location=place(GraphicType.POINT, (1.0, 2.0, math.inf))),
    "findings[0].location.points   ": _found(
        location=place(GraphicType.POLYGON, (0, 0, 0), (0, 3, 0), (1, 3, 3), (0, 0, 3))
    ),
    "findings[0].location.graphic_type": _found(location=place("ELLIPSE", (1.0, 2.0, 3.0))),  # type: ignore[arg-type]
    "findings[0].tracking_id": _found(tracking_id="t" * 65),
    "findings[0].tracking_id ": _found(tracking_id=""),
    "findings[0].image": _found(image=STRANGER),
    "findings[0].qualities[0].concept.value": _quality(concept=CodedConcept("", "SCT", "Margin")),
    "findings[0].qualities[0].value.scheme": _quality(value=CodedConcept("1", "", "Round")),
    "findings[0].qualities[0].value.meaning": _quality(value=CodedConcept("1", "SCT", LONG)),
    "findings[0].qualities[0].concept": _found(qualities=(Quality(CodedConcept("121071", "DCM", "Finding"), NODULE),)),
    "key_images[0]": replace(_found(), key_images=(STRANGER,)),
}


@pytest.mark.parametrize("field", BAD)
def test_what_no_group_can_be_made_of(field: str, series: list[Path], writer: DicomResultWriter) -> None:
    with pytest.raises(InvalidModelOutput) as caught:
        writer.write(replace(run_on(series), result=BAD[field]))
    assert caught.value.details["field"] == field.strip()


def test_one_segment_has_one_name(series: list[Path], writer: DicomResultWriter) -> None:
    run = run_on(series)
    first, *rest = run.result.findings
    twice = (replace(first, tracking_id="a"), replace(first, tracking_id="b"), *rest)
    with pytest.raises(InvalidModelOutput) as caught:
        writer.write(replace(run, result=replace(run.result, findings=twice)))
    assert caught.value.details["field"] == "findings[1].tracking_id"


@pytest.mark.parametrize(
    ("segments", "field"),
    [
        ([Segment(n, f"Part {n}", STRUCTURE, NODULE) for n in range(1, 301)], "segmentation.segments"),
        ([Segment(1, LONG, STRUCTURE, NODULE)], "segmentation.segments[1].label"),
        ([Segment(1, "Part", STRUCTURE, replace(NODULE, meaning=LONG))], "segmentation.segments[1].type.meaning"),
        ([Segment(1, "Part", replace(STRUCTURE, scheme=""), NODULE)], "segmentation.segments[1].category.scheme"),
    ],
)
def test_segments_that_do_not_fit(
    segments: list[Segment], field: str, series: list[Path], writer: DicomResultWriter
) -> None:
    run = run_on(series, model=replace(MODEL, segments=()))
    assert run.grid is not None
    segmentation = Segmentation(tuple(segments), np.ones(run.grid.shape, np.uint8))
    result = InferenceResult(Outcome.POSITIVE, (Finding(NODULE, segment=1),), segmentation)
    with pytest.raises(InvalidModelOutput) as caught:
        writer.write(replace(run, result=result))
    assert caught.value.details["field"] == field


def _picture(folder: Path, finding: Finding) -> Run:
    image = pictures.dx(np.zeros((8, 10), np.uint8), 1)
    base = run_on(pictures.save(folder, [image]), not_evaluable(), replace(MODEL, segments=()))
    return replace(base, result=result_of(finding))


def test_a_place_on_a_picture_is_inside_of_it(tmp_path: Path, writer: DicomResultWriter) -> None:
    source = pictures.dx(np.zeros((8, 10), np.uint8), 1)
    ref = SopRef(str(source.SOPClassUID), str(source.SOPInstanceUID))
    for points, fits in ([(7.5, 9.5)], True), ([(9.0, 3.0)], False), ([(1.0, 3.0, 4.0)], False):
        finding = Finding(NODULE, location=place(GraphicType.POINT, *points), image=ref)
        if fits:
            assert len(writer.write(_picture(tmp_path, finding))) == 1
        else:
            with pytest.raises(InvalidModelOutput) as caught:
                writer.write(_picture(tmp_path, finding))
            assert caught.value.details["field"] == "findings[0].location.points"


def test_a_place_on_no_image(tmp_path: Path, writer: DicomResultWriter) -> None:
    with pytest.raises(InvalidModelOutput) as caught:
        writer.write(_picture(tmp_path, Finding(NODULE, location=place(GraphicType.POINT, (1.0, 2.0)))))
    assert caught.value.details["field"] == "findings[0].location"
