"""What a model may say of a picture."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from node.domain.result import CodedConcept, Finding, HeatMap, InferenceResult, Outcome, Segmentation
from node.domain.study import Grid, Picture, SopRef
from node.errors import InvalidModelOutput
from node.infer.outputs import checked, checked_heat_map, checked_picture
from node.infer.registry import check_package

MODEL = check_package(Path(__file__).parents[2] / "fakes" / "models" / "bright_picture")
REF, OTHER = SopRef("1.2", "1.2.3"), SopRef("1.2", "1.2.4")
PICTURE = Picture(np.zeros((4, 6), np.float32), REF, "DX")
BRIGHT = CodedConcept("BRIGHT", "99AINODE", "Bright")
FINDING = Finding(BRIGHT, probability=0.7)
MAP = np.linspace(0, 1, 24, dtype=np.float32).reshape(4, 6)


def test_the_image_is_filled_in() -> None:
    result = checked_picture(InferenceResult(Outcome.POSITIVE, (FINDING,)), MODEL, PICTURE)
    assert (result.findings[0].image, result.findings[0].present) == (REF, True)


def test_a_negative_says_what_it_looked_for() -> None:
    result = checked_picture(InferenceResult(Outcome.NEGATIVE, (FINDING,)), MODEL, PICTURE)
    assert [(one.present, one.probability) for one in result.findings] == [(False, 0.7)]


def test_a_heat_map_is_kept_as_it_is() -> None:
    given = InferenceResult(Outcome.POSITIVE, (FINDING,), heat_maps=(HeatMap(REF, MAP),))
    (kept,) = checked_picture(given, MODEL, PICTURE).heat_maps
    np.testing.assert_array_equal(kept.array, MAP)
    assert checked_heat_map(MAP * 1.00001, PICTURE).array.max() == 1


@pytest.mark.parametrize(
    "heat_map", [MAP.T, MAP[..., None], MAP * 2, MAP - 0.5, np.full_like(MAP, np.nan), np.zeros((0, 0))]
)
def test_a_heat_map_that_is_none(heat_map: np.ndarray) -> None:
    with pytest.raises(InvalidModelOutput, match="heat_maps"):
        checked_heat_map(heat_map, PICTURE)


@pytest.mark.parametrize(
    ("result", "field"),
    [
        (InferenceResult(Outcome.POSITIVE, (Finding(BRIGHT, image=OTHER),)), "findings"),
        (InferenceResult(Outcome.POSITIVE, (FINDING,), heat_maps=(HeatMap(OTHER, MAP),)), "findings"),
        (InferenceResult(Outcome.POSITIVE, (Finding(BRIGHT, probability=1.5),)), "findings[0].probability"),
        (
            InferenceResult(Outcome.POSITIVE, (FINDING,), Segmentation((), np.zeros((1, 4, 6), np.uint8))),
            "segmentation",
        ),
        ("bright", "result"),
    ],
)
def test_what_no_result_can_be_made_of(result: object, field: str) -> None:
    with pytest.raises(InvalidModelOutput) as caught:
        checked_picture(result, MODEL, PICTURE)
    assert caught.value.details["field"] == field


def test_a_volume_has_neither_image_nor_heat_map() -> None:
    grid = Grid((1, 4, 6), np.eye(4), "", (REF,))
    for result in (
        InferenceResult(Outcome.POSITIVE, (Finding(BRIGHT, image=REF),)),
        InferenceResult(Outcome.POSITIVE, (FINDING,), heat_maps=(HeatMap(REF, MAP),)),
    ):
        with pytest.raises(InvalidModelOutput):
            checked(result, MODEL, grid)
