"""Reliability, its error and the temperature, against hand-computed cases and scikit-learn."""

from __future__ import annotations

import numpy as np
import pytest
from scipy.special import softmax
from sklearn.calibration import calibration_curve
from sklearn.metrics import brier_score_loss

from models.kit.evaluation.calibration import (
    brier,
    expected_calibration_error,
    fit_temperature,
    reliability,
    scaled,
)


def test_the_bins_are_those_of_scikit_learn() -> None:
    generator = np.random.default_rng(0)
    probabilities = generator.random(300)
    truth = generator.random(300) < probabilities**2
    fractions, means = calibration_curve(truth, probabilities, n_bins=10)
    found = reliability(truth, probabilities)
    assert [one.positive_fraction for one in found] == pytest.approx(list(fractions))
    assert [one.mean_probability for one in found] == pytest.approx(list(means))
    assert sum(one.cases for one in found) == 300
    assert brier(truth, probabilities) == pytest.approx(brier_score_loss(truth, probabilities))


def test_the_calibration_error_by_hand() -> None:
    # Two cases at 0.95 of which one is positive, two at 0.05 of which none is: (2 * 0.45 + 2 * 0.05) / 4.
    truth = np.array([True, False, False, False])
    assert expected_calibration_error(truth, np.array([0.95, 0.95, 0.05, 0.05])) == pytest.approx(0.25)
    assert expected_calibration_error(np.array([True]), np.array([1.0])) == 0.0


def test_probabilities_outside_0_to_1_are_refused() -> None:
    with pytest.raises(ValueError, match=r"outside 0\.\.1"):
        reliability(np.array([True]), np.array([1.2]))


@pytest.mark.parametrize("temperature", [0.5, 1.0, 3.0])
def test_the_temperature_that_made_the_logits_overconfident_is_found(temperature: float) -> None:
    generator = np.random.default_rng(1)
    honest = generator.normal(0.0, 2.0, (8000, 3))
    labels = np.array([generator.choice(3, p=one) for one in softmax(honest, axis=1)])
    found = fit_temperature(honest * temperature, labels)
    assert found == pytest.approx(temperature, rel=0.06)
    before = expected_calibration_error(labels == 0, scaled(honest * temperature, 1.0)[:, 0])
    after = expected_calibration_error(labels == 0, scaled(honest * temperature, found)[:, 0])
    assert after < 0.02
    assert temperature == 1.0 or before > after


def test_no_cases_leave_the_temperature_at_one() -> None:
    assert fit_temperature(np.empty((0, 2)), np.empty(0, dtype=np.intp)) == 1.0
