"""Intervals: whether they hold what they promise."""

from __future__ import annotations

from collections.abc import Mapping
from math import isnan, nan

import numpy as np
import pytest

from models.kit.evaluation.resampling import Estimate, Indices, estimates, resamples, widened


def interval_of_mean(values: np.ndarray, groups: list[str], samples: int = 400, seed: int = 0) -> Estimate:
    def measure(picked: Indices) -> Mapping[str, float]:
        return {"mean": float(values[picked].mean())}

    return estimates(measure, groups, samples, seed)["mean"]


def test_groups_stay_together() -> None:
    groups = ["a", "a", "a", "b", "c", "c"]
    for picked in resamples(groups, 50, 0):
        times = np.bincount(picked, minlength=6)
        assert times[0] == times[1] == times[2]
        assert times[4] == times[5]
        assert times[0] + times[3] + times[4] == 3


def test_intervals_cover_the_truth_about_95_times_in_100() -> None:
    generator = np.random.default_rng(1)
    covered = 0
    for seed in range(200):
        patients = generator.normal(0.0, 1.0, 60)
        values = np.repeat(patients, 3) + generator.normal(0.0, 0.3, 180)
        found = interval_of_mean(values, [str(index // 3) for index in range(180)], 200, seed)
        covered += found.low <= 0.0 <= found.high
    # 200 trials at 0.95: standard error 1.5 %; the percentile method is a little short with 60 groups.
    assert 0.91 <= covered / 200 <= 0.98


def test_images_of_one_patient_count_as_one_witness() -> None:
    generator = np.random.default_rng(2)
    patients = generator.normal(0.0, 1.0, 40)
    values = np.repeat(patients, 9) + generator.normal(0.0, 0.1, 360)
    by_patient = interval_of_mean(values, [str(index // 9) for index in range(360)])
    naive = interval_of_mean(values, [str(index) for index in range(360)])
    # Nine images that say nearly the same: the naive interval is about three times too narrow.
    ratio = (by_patient.high - by_patient.low) / (naive.high - naive.low)
    assert 2.3 < ratio < 3.7


def test_the_same_seed_gives_the_same_interval() -> None:
    values, groups = np.arange(30.0), [str(one) for one in range(30)]
    assert interval_of_mean(values, groups) == interval_of_mean(values, groups)
    assert interval_of_mean(values, groups) != interval_of_mean(values, groups, seed=1)


def test_one_group_has_a_value_and_no_interval() -> None:
    found = interval_of_mean(np.array([1.0, 3.0]), ["a", "a"])
    assert found.value == 2.0
    assert isnan(found.low)
    assert found.as_json() == {"value": 2.0, "low": None, "high": None}
    assert str(found) == "2.000"


def test_a_figure_that_most_resamples_lack_has_no_interval() -> None:
    def measure(picked: Indices) -> Mapping[str, float]:
        return {"rare": 1.0 if len(set(picked)) == 8 else nan}

    assert isnan(estimates(measure, [str(one) for one in range(8)], 200)["rare"].low)


def test_widening_leaves_other_rates_alone() -> None:
    assert widened(Estimate(0.5, 0.4, 0.6), 10) == Estimate(0.5, 0.4, 0.6)
    none = widened(Estimate(0.0, 0.0, 0.0), 3)
    assert (none.low, none.high) == (0.0, pytest.approx(1 - 0.025 ** (1 / 3)))
    assert str(Estimate(nan)) == "not defined"
