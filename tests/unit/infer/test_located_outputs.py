"""What a model may say of places, slices, qualities and names; and bad output of every kind, by its field."""

from __future__ import annotations

import math
import pickle
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
    Location,
    Measurement,
    Outcome,
    Quality,
    Reason,
    Segment,
    Segmentation,
)
from node.domain.study import Grid, Picture, SopRef
from node.errors import InvalidModelOutput
from node.infer.outputs import checked, checked_picture
from node.infer.registry import check_package

MODEL = check_package(Path(__file__).parents[2] / "fakes" / "models" / "threshold")
SOURCES = tuple(SopRef("1.2", f"1.2.{k}", k + 1) for k in range(2))
GRID = Grid((2, 3, 4), np.diag([3.0, 1, 1, 1]), "1.2.9", SOURCES)
TISSUE, LONG = CodedConcept("85756007", "SCT", "Tissue"), "m" * 70
MILLILITRE = CodedConcept("mL", "UCUM", "mL")
LABELS = np.zeros(GRID.shape, np.uint8)
POINT = Location(GraphicType.POINT, ((1.0, 2.0, 3.0),))
TWISTED = Location(GraphicType.POLYGON, ((0, 0, 0), (0, 2, 0), (1, 2, 3), (0, 0, 3)))
FINDING = Finding(TISSUE, (Measurement(TISSUE, 1.5, MILLILITRE),), probability=0.5)
PICTURE = Picture(np.zeros((4, 6), np.float32), SOURCES[0], "DX")


def found(**changes: Any) -> InferenceResult:
    return InferenceResult(Outcome.POSITIVE, (replace(FINDING, **changes),))


def coded(**changes: Any) -> CodedConcept:
    return replace(TISSUE, **changes)


def segmented(label_map: Any, *segments: Segment) -> InferenceResult:
    return InferenceResult(Outcome.POSITIVE, (FINDING,), Segmentation(segments or MODEL.segments, label_map))


def test_a_slice_becomes_its_image() -> None:
    result = checked(replace(found(slice=np.int64(1)), key_slices=(np.int64(1), 0, 1)), MODEL, GRID)
    (finding,) = result.findings
    assert (finding.image, finding.slice, type(finding.slice)) == (SOURCES[1], 1, int)
    assert result.key_images == (SOURCES[1], SOURCES[0])
    assert all(type(number) is int for number in result.key_slices)


def test_the_only_slice_of_a_picture_is_the_picture() -> None:
    result = checked_picture(replace(found(slice=0), key_slices=(0,)), MODEL, PICTURE)
    assert (result.findings[0].image, result.key_images) == (SOURCES[0], SOURCES[:1])


def test_what_is_said_is_kept_in_plain_numbers() -> None:
    given = Location(GraphicType.POINT, np.array([[1, 2, 3]], np.float32))  # type: ignore[arg-type]
    quality = Quality(TISSUE, coded(value="1"))
    (finding,) = checked(found(location=given, qualities=[quality], tracking_id="n 1"), MODEL, GRID).findings
    assert (finding.location, finding.qualities, finding.tracking_id) == (POINT, (quality,), "n 1")
    assert pickle.loads(pickle.dumps(finding)) == finding, "it crosses to another process"
    assert finding.location is not None
    assert {type(number) for point in finding.location.points for number in point} == {float}


def test_a_location_on_a_picture_has_rows_and_columns() -> None:
    here = Location(GraphicType.POINT, ((3.5, 5.5),))
    assert checked_picture(found(location=here), MODEL, PICTURE).findings[0].location == here


# Bad input of a model, each by the field that is wrong.
BAD_OF_A_VOLUME = [
    (found(probability=1.2), "findings[0].probability"),
    (found(probability=math.nan), "findings[0].probability"),
    (found(measurements=(replace(FINDING.measurements[0], value=math.nan),)), "findings[0].measurements[0].value"),
    (segmented(np.zeros((2, 4, 3), np.uint8)), "segmentation.label_map"),
    (segmented(np.zeros((3, 3, 4), np.uint8)), "segmentation.label_map"),
    (segmented(np.full(GRID.shape, math.nan, np.float32)), "segmentation.label_map"),
    (
        segmented(LABELS, *(Segment(number, f"Part {number}", TISSUE, TISSUE) for number in range(1, 301))),
        "segmentation.segments",
    ),
    (segmented(LABELS, replace(MODEL.segments[0], label=LONG)), "segmentation.segments"),
    (found(concept=coded(meaning=LONG)), "findings[0].concept.meaning"),
    (found(concept=coded(scheme="s" * 17)), "findings[0].concept.scheme"),
    (found(concept=coded(value="v" * 257)), "findings[0].concept.value"),
    (found(concept=coded(value="a\\b")), "findings[0].concept.value"),
    (found(concept=coded(meaning="a\nb")), "findings[0].concept.meaning"),
    (found(concept=coded(value=85756007)), "findings[0].concept.value"),
    (found(concept=coded(value="")), "findings[0].concept"),
    (found(concept=coded(scheme="")), "findings[0].concept"),
    (found(concept="Tissue"), "findings[0].concept"),
    (found(site=coded(meaning=LONG)), "findings[0].site.meaning"),
    (found(tracking_id="t" * 65), "findings[0].tracking_id"),
    (found(tracking_id=" "), "findings[0].tracking_id"),
    (found(tracking_id=7), "findings[0].tracking_id"),
    (found(qualities=(Quality(coded(value=""), TISSUE),)), "findings[0].qualities[0].concept"),
    (found(qualities=(Quality(TISSUE, TISSUE), Quality(TISSUE, coded(scheme="")))), "findings[0].qualities[1].value"),
    (found(qualities=(Quality(TISSUE, coded(meaning=LONG)),)), "findings[0].qualities[0].value.meaning"),
    (found(qualities=(TISSUE,)), "findings[0].qualities[0]"),
    (found(location=((1, 2, 3),)), "findings[0].location"),
    (found(location=replace(POINT, graphic_type="CIRCLE")), "findings[0].location.graphic_type"),
    (found(location=replace(POINT, points=((1.0, 2.0),))), "findings[0].location.points"),
    (found(location=replace(POINT, points=((2.0, 2.0, 3.0),))), "findings[0].location.points"),
    (found(location=replace(POINT, points=((1.0, math.nan, 3.0),))), "findings[0].location.points"),
    (found(location=TWISTED), "findings[0].location.points"),
    (found(slice=2), "findings[0].slice"),
    (found(slice=-1), "findings[0].slice"),
    (found(slice=0.0), "findings[0].slice"),
    (found(slice=True), "findings[0].slice"),
    (replace(found(), key_slices=(0, 2)), "key_slices[1]"),
    (replace(found(), key_images=SOURCES), "findings"),
    (InferenceResult(Outcome.NOT_EVALUABLE, reason=Reason("X", "why"), key_slices=(0,)), "findings"),
]


@pytest.mark.parametrize(("result", "field"), BAD_OF_A_VOLUME)
def test_bad_output_names_its_field(result: InferenceResult, field: str) -> None:
    with pytest.raises(InvalidModelOutput) as caught:
        checked(result, MODEL, GRID)
    assert caught.value.details["field"] == field
    assert caught.value.message.startswith(field)


@pytest.mark.parametrize(
    ("result", "field"),
    [
        (found(location=POINT), "findings[0].location.points"),
        (found(location=replace(POINT, points=((4.0, 2.0),))), "findings[0].location.points"),
        (found(slice=1), "findings[0].slice"),
        (replace(found(), key_slices=(1,)), "key_slices[0]"),
        (replace(found(), key_images=(SOURCES[1],)), "findings"),
    ],
)
def test_bad_output_of_a_picture_names_its_field(result: InferenceResult, field: str) -> None:
    with pytest.raises(InvalidModelOutput) as caught:
        checked_picture(result, MODEL, PICTURE)
    assert caught.value.details["field"] == field
