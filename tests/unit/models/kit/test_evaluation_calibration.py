"""Reliability, its error and the temperature, against hand-computed cases and scikit-learn."""

from __future__ import annotations

import numpy as np
import pytest
from scipy.special import softmax
from sklearn.calibration import calibration_curve
from sklearn.metrics import brier_score_loss

from models.kit.evaluation.binary import areas
from models.kit.evaluation.calibration import (
    believable,
    brier,
    expected_calibration_error,
    fit_temperature,
    log_odds,
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


def separated(count: int) -> tuple[np.ndarray, np.ndarray]:
    """Logits (N, 2) of which every most probable class is right, and the labels."""
    labels = np.arange(count) % 2
    margin = np.random.default_rng(3).uniform(0.1, 4.0, count)
    return np.stack([-margin * (2 * labels - 1) / 2, margin * (2 * labels - 1) / 2], axis=1), labels


def test_a_part_without_an_error_makes_nobody_certain() -> None:
    logits, labels = separated(130)
    found = fit_temperature(logits, labels)
    probabilities = scaled(logits, found)
    assert 0.2 < found < 1
    assert probabilities.max() < 1 - 1e-5
    # The fewer cases have shown it, the less is believed.
    assert fit_temperature(logits[:10], labels[:10]) > found


def test_what_is_believed_of_few_cases_by_hand() -> None:
    # Three cases of the first class, one of the third.
    found = believable(np.array([0, 0, 2, 0]), 3)
    assert found[0] == pytest.approx([4 / 6, 1 / 6, 1 / 6])
    assert found[2] == pytest.approx([1 / 4, 1 / 4, 2 / 4])
    # Platt's targets of two classes.
    assert believable(np.array([0] * 8 + [1] * 3), 2)[0] == pytest.approx([9 / 10, 1 / 10])
    assert np.allclose(found.sum(axis=1), 1)


@pytest.mark.parametrize("temperature", [0.05, 0.4, 1.0, 20.0])
def test_no_temperature_changes_the_area_of_two_classes(temperature: float) -> None:
    generator = np.random.default_rng(4)
    logits = generator.normal(0.0, 12.0, (400, 2))
    truth = logits[:, 1] - logits[:, 0] + generator.normal(0.0, 12.0, 400) > 0
    odds = log_odds(logits, (1,), temperature)
    assert len(np.unique(odds)) == 400
    assert areas(truth, odds) == areas(truth, log_odds(logits, (1,)))
    # The probabilities alone would tie.
    assert temperature > 0.1 or len(np.unique(scaled(logits, temperature)[:, 1])) < 400


def test_log_odds_are_those_of_the_summed_probability() -> None:
    logits = np.random.default_rng(5).normal(0.0, 2.0, (50, 4))
    chance = scaled(logits, 1.7)[:, [1, 3]].sum(axis=1)
    assert log_odds(logits, (1, 3), 1.7) == pytest.approx(np.log(chance / (1 - chance)))
