"""The one figure by which epochs are compared on validation cases: area under the ROC curve, or mean Dice."""

from __future__ import annotations

import math

import numpy as np
import numpy.typing as npt
from scipy import stats

Floats = npt.NDArray[np.float64]


def roc_auc(positive: npt.NDArray[np.bool_], scores: Floats) -> float:
    """Area under the ROC curve by the ranks of Mann and Whitney, ties by half; NaN where one side is empty."""
    ones = int(positive.sum())
    zeros = len(positive) - ones
    if not ones or not zeros:
        return math.nan
    ranks = stats.rankdata(scores)
    return float((ranks[positive].sum() - ones * (ones + 1) / 2) / (ones * zeros))


def dice(truth: npt.NDArray[np.uint8], found: npt.NDArray[np.uint8], classes: int) -> float:
    """Mean Dice over the classes but background that are in ``truth`` or ``found``; NaN where neither has any."""
    values = []
    for index in range(1, classes):
        wanted, got = truth == index, found == index
        size = int(wanted.sum()) + int(got.sum())
        if size:
            values.append(2 * int((wanted & got).sum()) / size)
    return float(np.mean(values)) if values else math.nan


def mean_dice(values: list[float]) -> float:
    """The mean over the cases in which there was something to find, or something was found; NaN without any."""
    known = [value for value in values if not math.isnan(value)]
    return float(np.mean(known)) if known else math.nan
