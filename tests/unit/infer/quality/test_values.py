"""Constant, saturated, blank and implausible values: each check passes, fails, and holds at its very limit."""

from __future__ import annotations

import json

import numpy as np
import pytest

from node.domain.interval import Interval
from node.domain.quality import QualityLimits
from node.errors import ConstantImage, EmptySlices, ImplausibleIntensity, SaturatedImage
from node.infer.quality.checks import Checks, Judged
from node.infer.quality.values import (
    empty_slice_checks,
    hounsfield_checks,
    picture_values,
    value_checks,
    volume_values,
)

LIMITS = QualityLimits()


def by_name(found: list[Judged]) -> dict[str, Judged]:
    return {one.check.name: one for one in found}


def picture(*values: float) -> np.ndarray:
    return np.array([values], dtype=np.float32)


def judged(array: np.ndarray, limits: QualityLimits = LIMITS) -> dict[str, Judged]:
    return by_name(list(value_checks(picture_values(array), limits, "the picture")))


def test_a_constant_picture_is_empty_and_judged_no_further() -> None:
    found = judged(np.full((8, 8, 3), 7, np.float32))
    assert found.keys() == {"contrast"}
    assert isinstance(found["contrast"].error, ConstantImage)
    assert "every pixel has the value 7" in found["contrast"].error.message


@pytest.mark.parametrize("value", [np.nan, np.inf, -np.inf])
def test_values_that_are_not_finite(value: float) -> None:
    found = judged(picture(0, 1, value, 2))
    assert isinstance(found["contrast"].error, ImplausibleIntensity)
    assert "not finite" in found["contrast"].error.message
    json.dumps(found["contrast"].check.plain(), allow_nan=False)


def test_saturation_at_its_limit() -> None:
    limits = QualityLimits(saturated_at_most=0.5)
    assert judged(picture(0, 1, 9, 9), limits)["saturation"].error is None
    failed = judged(picture(0, 9, 9, 9), limits)["saturation"]
    assert isinstance(failed.error, SaturatedImage)
    assert (failed.check.value, failed.check.limit, failed.check.passed) == (0.75, 0.5, False)


def test_colour_saturates_by_its_brightest_channel() -> None:
    red = np.zeros((4, 4, 3), np.float32)
    red[:, :, 0] = 255
    red[0, 0, 0] = 0
    assert judged(red)["saturation"].check.value == pytest.approx(15 / 16)


@pytest.mark.parametrize(("low", "high", "passed"), [(0, 0, True), (0.5, None, False), (None, -1, False)])
def test_percentiles_where_they_are_declared(low: float | None, high: float | None, passed: bool) -> None:
    values = np.array([[0.0] * 50 + [100.0] * 50])
    found = judged(values.astype(np.float32), QualityLimits(percentile_1=Interval(low, high)))
    assert found["intensity, percentile 1"].check.passed is passed
    assert "intensity, percentile 99" not in found
    assert (found["intensity, percentile 1"].error is None) is passed


def slices(*empty: bool) -> np.ndarray:
    """A volume whose slices are empty where that is said."""
    array = np.arange(16, dtype=np.float32).reshape(1, 4, 4).repeat(len(empty), axis=0)
    array[list(empty)] = 3
    return array


@pytest.mark.parametrize(
    ("empty", "failed"),
    [
        ((False, False, False, False), []),
        ((True, False, False, True), []),  # exactly the half, at the ends
        ((True, True, False, True), ["empty slices"]),
        ((False, True, False, False), ["empty slices between others"]),
        ((True, True, True, True), ["empty slices"]),
    ],
)
def test_empty_slices(empty: tuple[bool, ...], failed: list[str]) -> None:
    found = list(empty_slice_checks(volume_values(slices(*empty)), LIMITS))
    assert [one.check.name for one in found if one.error] == failed
    assert all(isinstance(one.error, EmptySlices) for one in found if one.error)


def test_hounsfield_units_have_air_and_soft_tissue() -> None:
    values = np.full(1000, 700, np.float32)
    values[0], values[1:11] = -501, 40
    assert [one.error for one in hounsfield_checks(values, LIMITS)] == [None, None]  # exactly the limits
    values[0] = -500
    air, soft = hounsfield_checks(values, LIMITS)
    assert (air.check.passed, soft.check.passed) == (False, True)
    values[0], values[10] = -501, 300
    air, soft = hounsfield_checks(values, LIMITS)
    assert (air.check.passed, soft.check.passed) == (True, False)
    assert isinstance(soft.error, ImplausibleIntensity)


def test_a_ct_without_its_rescale_has_no_air() -> None:
    values = np.random.default_rng(0).normal(40, 30, 1000).astype(np.float32)
    values[:400] = -1000
    assert all(one.error is None for one in hounsfield_checks(values, LIMITS))
    assert any(one.error for one in hounsfield_checks(values + 1024, LIMITS))


def test_all_that_fails_is_said_together() -> None:
    checks = Checks()
    with pytest.raises(ImplausibleIntensity) as caught:
        checks.require(hounsfield_checks(np.full(100, 700, np.float32), LIMITS))
    assert caught.value.message.count("are expected") == 2
    assert [check.passed for check in checks.made] == [False, False]
