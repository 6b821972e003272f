"""Two classes: rates at an operating point, and areas that need none."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from math import nan

import numpy as np
import numpy.typing as npt

from models.kit.evaluation.resampling import SAMPLES, Estimate, Indices, estimates, widened

Truth = npt.NDArray[np.bool_]
Scores = npt.NDArray[np.float64]

# Which cases a rate is of: needed where none of them failed and the bootstrap cannot tell.
RATES = ("accuracy", "sensitivity", "specificity", "precision")


def counts(truth: Truth, called: Truth) -> tuple[int, int, int, int]:
    """True positives, false positives, true negatives, false negatives."""
    hits = int(np.count_nonzero(truth & called))
    alarms = int(np.count_nonzero(called)) - hits
    misses = int(np.count_nonzero(truth)) - hits
    return hits, alarms, len(truth) - hits - alarms - misses, misses


def rates(truth: Truth, called: Truth) -> dict[str, float]:
    """Accuracy, sensitivity (recall), specificity, precision and F1; NaN for a rate of nothing."""
    hits, alarms, passes, misses = counts(truth, called)
    return {
        "accuracy": _ratio(hits + passes, len(truth)),
        "sensitivity": _ratio(hits, hits + misses),
        "specificity": _ratio(passes, passes + alarms),
        "precision": _ratio(hits, hits + alarms),
        "f1": _ratio(2 * hits, 2 * hits + alarms + misses),
    }


def areas(truth: Truth, scores: Scores) -> dict[str, float]:
    """Area under the ROC curve and average precision (the area under the precision-recall curve).

    The figures of scikit-learn's ``roc_auc_score`` and ``average_precision_score``, which the tests hold them against,
    at a thirtieth of their time: a bootstrap asks a thousand times.
    """
    positives = int(np.count_nonzero(truth))
    negatives = len(truth) - positives
    if not positives or not negatives:
        return {"roc_auc": nan, "pr_auc": nan}
    order = np.argsort(-scores, kind="stable")
    ordered = scores[order]
    last_of_ties = np.append(np.flatnonzero(ordered[1:] != ordered[:-1]), len(ordered) - 1)
    hits = np.cumsum(truth[order])[last_of_ties]
    called = last_of_ties + 1
    recall = np.append(0, hits) / positives
    alarm = np.append(0, called - hits) / negatives
    return {
        "roc_auc": float(np.sum(np.diff(alarm) * (recall[1:] + recall[:-1]) / 2)),
        "pr_auc": float(np.sum(np.diff(recall) * (hits / called))),
    }


def measured(
    truth: Truth,
    scores: Scores,
    threshold: float,
    groups: Sequence[str],
    samples: int = SAMPLES,
    order: Scores | None = None,
) -> dict[str, Estimate]:
    """All of the above with intervals by group; a case is called positive from ``threshold`` up.

    Args:
        order: what the areas are of, where ``scores`` are rounded; ``None``: the scores.

    Raises:
        ValueError: a score is not finite.
    """
    ranked = scores if order is None else order
    if not np.isfinite(scores).all() or not np.isfinite(ranked).all():
        raise ValueError("a score is not finite")
    called = scores >= threshold

    def measure(picked: Indices) -> Mapping[str, float]:
        return rates(truth[picked], called[picked]) | areas(truth[picked], ranked[picked])

    found = estimates(measure, groups, samples)
    of = {"accuracy": np.ones_like(truth), "sensitivity": truth, "specificity": ~truth, "precision": called}
    names = np.asarray(groups)
    return found | {name: widened(found[name], len(set(names[of[name]]))) for name in RATES}


def _ratio(part: int, whole: int) -> float:
    return part / whole if whole else nan
