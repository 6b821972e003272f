"""Figures of two classes against hand-computed cases and scikit-learn."""

from __future__ import annotations

from math import isnan

import numpy as np
import pytest
from sklearn import metrics

from models.kit.evaluation import binary, multiclass
from models.kit.evaluation.operating_point import choose

TRUTH = np.array([1, 1, 1, 0, 0, 0, 0, 1], dtype=bool)
SCORES = np.array([0.9, 0.8, 0.3, 0.7, 0.2, 0.1, 0.4, 0.6])


def test_rates_counted_by_hand() -> None:
    # Called positive: 0.9 0.8 0.7 0.6, three of them in truth; missed: 0.3.
    called = SCORES >= 0.5
    assert binary.counts(TRUTH, called) == (3, 1, 3, 1)
    assert binary.rates(TRUTH, called) == pytest.approx(
        {"accuracy": 6 / 8, "sensitivity": 3 / 4, "specificity": 3 / 4, "precision": 3 / 4, "f1": 0.75}
    )


def test_a_rate_of_nothing_is_not_defined() -> None:
    found = binary.rates(np.zeros(3, dtype=bool), np.zeros(3, dtype=bool))
    assert isnan(found["sensitivity"])
    assert isnan(found["precision"])
    assert found["specificity"] == 1.0


@pytest.mark.parametrize("seed", range(20))
def test_areas_are_those_of_scikit_learn_ties_and_all(seed: int) -> None:
    generator = np.random.default_rng(seed)
    truth = generator.random(60) < 0.3
    truth[:2] = True, False
    scores = np.round(generator.random(60) + 0.3 * truth, 1 if seed % 2 else 6)
    found = binary.areas(truth, scores)
    assert found["roc_auc"] == pytest.approx(metrics.roc_auc_score(truth, scores))
    assert found["pr_auc"] == pytest.approx(metrics.average_precision_score(truth, scores))


def test_areas_of_one_class_are_not_defined() -> None:
    assert all(isnan(one) for one in binary.areas(np.ones(4, dtype=bool), np.arange(4.0)).values())


def test_scores_that_are_not_finite_are_refused() -> None:
    with pytest.raises(ValueError, match="not finite"):
        binary.measured(TRUTH, np.full(8, np.nan), 0.5, list("abcdefgh"))


def test_a_perfect_rate_has_no_perfect_interval() -> None:
    truth = np.arange(20) % 2 == 1
    found = binary.measured(truth, truth.astype(float), 0.5, [str(one) for one in range(20)], samples=50)
    # Ten of ten: Clopper and Pearson's lower bound is 0.025 ** (1 / 10).
    assert (found["sensitivity"].value, found["sensitivity"].high) == (1.0, 1.0)
    assert found["sensitivity"].low == pytest.approx(0.6915, abs=1e-4)
    assert found["accuracy"].low == pytest.approx(0.025 ** (1 / 20))


def test_the_youden_point() -> None:
    # By hand: from 0.7 up three of four positives and no negative (J 0.75); from 0.1 up everything (J 0).
    point = choose(np.arange(8) < 4, np.array([0.9, 0.8, 0.7, 0.1, 0.6, 0.5, 0.4, 0.2]))
    # Half way to the next lower score.
    assert point.threshold == pytest.approx(0.65)
    assert (point.sensitivity, point.specificity) == (0.75, 1.0)
    assert "Youden" in point.rule


@pytest.mark.parametrize(
    ("wanted", "threshold", "specificity"), [(0.75, 0.5, 0.75), (0.5, 0.75, 1.0), (1.0, 0.25, 0.5)]
)
def test_a_required_sensitivity_takes_the_most_specific_point(
    wanted: float, threshold: float, specificity: float
) -> None:
    point = choose(TRUTH, SCORES, wanted)
    assert point.threshold == pytest.approx(threshold)
    assert point.sensitivity >= wanted
    assert point.specificity == specificity


def test_an_operating_point_needs_both_classes_and_a_possible_sensitivity() -> None:
    with pytest.raises(ValueError, match="both classes"):
        choose(np.ones(3, dtype=bool), np.arange(3.0))
    with pytest.raises(ValueError, match="no sensitivity"):
        choose(TRUTH, SCORES, 1.5)


def test_several_classes_against_scikit_learn() -> None:
    generator = np.random.default_rng(0)
    labels = generator.integers(0, 3, 80)
    probabilities = generator.dirichlet([1, 1, 1], 80)
    probabilities[np.arange(80), labels] += 0.4
    probabilities /= probabilities.sum(axis=1, keepdims=True)
    called = probabilities.argmax(axis=1)
    names = ("none", "mild", "grave")
    found = multiclass.measured(labels, np.log(probabilities), names, [str(one) for one in range(80)], samples=20)
    assert found["accuracy"].value == pytest.approx(metrics.accuracy_score(labels, called))
    assert found["balanced_accuracy"].value == pytest.approx(metrics.balanced_accuracy_score(labels, called))
    assert found["macro_f1"].value == pytest.approx(metrics.f1_score(labels, called, average="macro"))
    areas = [metrics.roc_auc_score(labels == index, probabilities[:, index]) for index in range(3)]
    assert [found[f"roc_auc {name}"].value for name in names] == pytest.approx(areas)
    assert multiclass.confusion(labels, called, 3) == metrics.confusion_matrix(labels, called).tolist()


def test_scores_that_are_the_wrong_way_round_still_have_a_finite_threshold() -> None:
    assert np.isfinite(choose(TRUTH, -SCORES).threshold)
