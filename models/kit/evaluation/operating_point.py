"""From which score on a case is called positive: chosen on validation cases by a stated rule, never on test cases."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from sklearn.metrics import roc_curve

from models.kit.evaluation.binary import Scores, Truth, rates


@dataclass(frozen=True, slots=True)
class OperatingPoint:
    """The threshold (scores from it up are positive), its rule in words, and its rates on the validation cases."""

    threshold: float
    rule: str
    sensitivity: float
    specificity: float


def choose(truth: Truth, scores: Scores, required_sensitivity: float | None = None) -> OperatingPoint:
    """The threshold of the validation cases.

    Args:
        required_sensitivity: the most specific threshold that still has this sensitivity; ``None``: the largest
            sensitivity + specificity - 1 (Youden, Cancer 1950).

    A threshold lies half way between the lowest score that is called positive and the next one below it.

    Raises:
        ValueError: only one class among the validation cases, or a sensitivity outside (0, 1].
    """
    if truth.all() or not truth.any():
        raise ValueError("an operating point needs validation cases of both classes")
    # The first point of the curve calls nothing positive, at an infinite threshold: no point to operate at.
    alarms, hits, thresholds = (one[1:] for one in roc_curve(truth, scores, drop_intermediate=False))
    if required_sensitivity is None:
        rule = "largest Youden index (sensitivity + specificity - 1) on the validation cases"
        best = int(np.argmax(hits - alarms))
    elif 0 < required_sensitivity <= 1:
        rule = f"highest threshold with sensitivity >= {required_sensitivity:g} on the validation cases"
        # Rates are ratios of counts: a hair of tolerance keeps 19/20 at 0.95.
        best = int(np.argmax(hits >= required_sensitivity - 1e-9))
    else:
        raise ValueError(f"{required_sensitivity} is no sensitivity that can be required")
    threshold = _half_way_below(scores, float(thresholds[best]))
    found = rates(truth, scores >= threshold)
    return OperatingPoint(threshold, rule, found["sensitivity"], found["specificity"])


def _half_way_below(scores: Scores, threshold: float) -> float:
    below = scores[scores < threshold]
    if not len(below) or not np.isfinite(threshold):
        return threshold
    middle = (threshold + float(below.max())) / 2
    return middle if middle > below.max() else threshold
