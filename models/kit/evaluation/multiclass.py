"""Three classes and more: the confusion matrix and what each class gets."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from math import nan

import numpy as np
import numpy.typing as npt
from sklearn.metrics import confusion_matrix

from models.kit.evaluation.binary import areas, rates
from models.kit.evaluation.calibration import log_odds
from models.kit.evaluation.resampling import SAMPLES, Estimate, Indices, estimates, widened

Labels = npt.NDArray[np.intp]


def confusion(labels: Labels, called: Labels, classes: int) -> list[list[int]]:
    """Cases by true class (row) and most probable class (column)."""
    matrix: list[list[int]] = confusion_matrix(labels, called, labels=range(classes)).tolist()
    return matrix


def measured(
    labels: Labels,
    logits: npt.NDArray[np.float64],
    classes: Sequence[str],
    groups: Sequence[str],
    samples: int = SAMPLES,
) -> dict[str, Estimate]:
    """Accuracy, its mean over the classes (balanced), macro F1, and for each class recall, precision and ROC AUC.

    ``logits`` (N, classes) or logarithms of probabilities. The class of a case is its most probable one; AUCs are of
    one class against all others, by their log-odds. Intervals by group.
    """
    called = logits.argmax(axis=1)
    odds = np.stack([log_odds(logits, (index,)) for index in range(len(classes))], axis=1)

    def measure(picked: Indices) -> Mapping[str, float]:
        truth, found = labels[picked], called[picked]
        each = {
            name: rates(truth == index, found == index) | areas(truth == index, odds[picked, index])
            for index, name in enumerate(classes)
        }
        figures = {
            "accuracy": float(np.mean(truth == found)),
            "balanced_accuracy": _mean([one["sensitivity"] for one in each.values()]),
            "macro_f1": _mean([one["f1"] for one in each.values()]),
        }
        wanted = {"recall": "sensitivity", "precision": "precision", "roc_auc": "roc_auc"}
        return figures | {f"{key} {name}": one[of] for name, one in each.items() for key, of in wanted.items()}

    made = estimates(measure, groups, samples)
    made["accuracy"] = widened(made["accuracy"], len(set(groups)))
    for index, name in enumerate(classes):
        for key, here in ((f"recall {name}", labels == index), (f"precision {name}", called == index)):
            made[key] = widened(made[key], len(set(np.asarray(groups)[here])))
    return made


def _mean(values: list[float]) -> float:
    """Over the classes that occur."""
    defined = [value for value in values if not np.isnan(value)]
    return float(np.mean(defined)) if defined else nan
