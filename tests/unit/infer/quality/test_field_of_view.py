"""A body that goes on beyond the field of view, and lungs that go on beyond the slices."""

from __future__ import annotations

import numpy as np
import pytest

from node.domain.quality import QualityLimits
from node.errors import IncompleteOrgan, TruncatedFieldOfView
from node.infer.quality.field_of_view import truncation, whole_organ

SIDE = 64
LUNGS = QualityLimits(whole_organ="lungs")


def body(radius: float, shift: float = 0.0, circle: bool = False) -> np.ndarray:
    """Four slices of a disc of soft tissue in air, in HU; ``circle``: nothing was reconstructed outside one."""
    rows, columns = np.mgrid[:SIDE, :SIDE] - (SIDE - 1) / 2
    plane = np.where(np.hypot(rows, columns - shift) < radius, 40.0, -1000.0)
    if circle:
        plane[np.hypot(rows, columns) > SIDE / 2] = -3024
    return plane[None].repeat(4, axis=0).astype(np.float32)


@pytest.mark.parametrize("circle", [False, True])
def test_a_body_within_its_field(circle: bool) -> None:
    found = truncation(body(20, circle=circle), QualityLimits(truncated_at_most=0.0))
    assert (found.check.value, found.error) == (0, None)


@pytest.mark.parametrize("circle", [False, True])
def test_a_body_over_the_edge(circle: bool) -> None:
    array = body(28, shift=14, circle=circle)
    found = truncation(array, QualityLimits(truncated_at_most=0.1))
    assert isinstance(found.error, TruncatedFieldOfView)
    assert found.check.value is not None
    assert 0.15 < found.check.value < 0.5
    at_the_limit = truncation(array, QualityLimits(truncated_at_most=found.check.value + 1e-6))
    assert at_the_limit.error is None


def test_a_field_all_within_the_body_is_cut_everywhere() -> None:
    assert truncation(body(80), QualityLimits(truncated_at_most=0.5)).check.value == 1


def test_without_a_limit_it_is_only_measured() -> None:
    found = truncation(body(80), QualityLimits())
    assert (found.check.passed, found.error, found.check.value) == (None, None, 1)


def thorax(areas: list[int]) -> np.ndarray:
    """A body with a square of lung of so many pixels a side in each slice."""
    array = body(30)[:1].repeat(len(areas), axis=0)
    for plane, side in zip(array, areas, strict=True):
        plane[32 - side // 2 : 32 + side // 2, 32 - side // 2 : 32 + side // 2] = -850
    return array


def test_lungs_that_end_within_the_slices() -> None:
    assert whole_organ(thorax([0, 8, 24, 24, 16, 0]), LUNGS).error is None


@pytest.mark.parametrize("areas", [[24, 24, 16, 0], [0, 8, 24, 24]])
def test_lungs_that_go_on(areas: list[int]) -> None:
    found = whole_organ(thorax(areas), LUNGS)
    assert isinstance(found.error, IncompleteOrgan)
    assert found.check.value == 1


def test_half_of_the_largest_area_is_the_limit() -> None:
    assert whole_organ(thorax([16, 16, 24, 0]), LUNGS).error is None  # 16 of 36 sampled pixels
    assert whole_organ(thorax([20, 20, 24, 0]), LUNGS).error is not None


def test_a_body_without_lungs() -> None:
    found = whole_organ(thorax([0, 0, 0]), LUNGS)
    assert found.error is not None
    assert "no lung" in found.error.message


def test_no_organ_is_asked_for() -> None:
    assert whole_organ(thorax([24, 24]), QualityLimits()).check.passed is None
