"""Whether a probability of 0.8 is right eight times in ten, and one number that helps where it is not."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
from scipy.optimize import minimize_scalar
from scipy.special import log_softmax, logsumexp, softmax

from models.kit.evaluation.binary import Scores, Truth

BINS = 10
LOWEST_TEMPERATURE, HIGHEST_TEMPERATURE = 0.05, 20.0


@dataclass(frozen=True, slots=True)
class ReliabilityBin:
    """Cases whose probability lies in one bin: their mean probability and the fraction that is positive."""

    mean_probability: float
    positive_fraction: float
    cases: int


def reliability(truth: Truth, probabilities: Scores, bins: int = BINS) -> tuple[ReliabilityBin, ...]:
    """The bins of equal width over 0..1 that have cases, in rising order; the last one includes 1.

    Raises:
        ValueError: a probability is outside 0..1.
    """
    if len(probabilities) and (probabilities.min() < 0 or probabilities.max() > 1):
        raise ValueError("a probability is outside 0..1")
    which = np.minimum((probabilities * bins).astype(int), bins - 1)
    return tuple(
        ReliabilityBin(float(probabilities[here].mean()), float(truth[here].mean()), int(here.sum()))
        for here in (which == one for one in range(bins))
        if here.any()
    )


def expected_calibration_error(truth: Truth, probabilities: Scores, bins: int = BINS) -> float:
    """Mean distance of probability and fraction over the bins, weighted by their cases (Guo et al., ICML 2017)."""
    found = reliability(truth, probabilities, bins)
    return sum(one.cases * abs(one.mean_probability - one.positive_fraction) for one in found) / len(truth)


def brier(truth: Truth, probabilities: Scores) -> float:
    """Mean squared distance of probability and truth (Brier, Monthly Weather Review 1950)."""
    return float(np.mean((probabilities - truth) ** 2))


def fit_temperature(logits: npt.NDArray[np.float64], labels: npt.NDArray[np.intp]) -> float:
    """The number that logits (N, classes) are divided by so that their cross-entropy on validation cases is least.

    Temperature scaling, Guo et al., "On Calibration of Modern Neural Networks", ICML 2017. It never changes which
    class is the most probable. Where the most probable class is right in every case, that cross-entropy has no least
    value: the lower the temperature, the better, down to probabilities of 0 and 1, which so many cases do not bear
    out. So the truth is what ``believable`` makes of it. Clamped to 0.05..20; 1.0 for no cases.
    """
    if not len(logits):
        return 1.0
    truth = believable(labels, logits.shape[1])

    def loss(log_temperature: float) -> float:
        return -float((truth * log_softmax(logits / np.exp(log_temperature), axis=1)).sum(axis=1).mean())

    bounds = (np.log(LOWEST_TEMPERATURE), np.log(HIGHEST_TEMPERATURE))
    return float(np.exp(minimize_scalar(loss, bounds=bounds, method="bounded").x))


def believable(labels: npt.NDArray[np.intp], classes: int) -> npt.NDArray[np.float64]:
    """What to believe of cases (N, classes) like these: of a class with n cases (n + 1) / (n + classes), not 1.

    Laplace's rule of succession: n cases of a class, all of them right, do not show that the next one will be. Platt,
    "Probabilistic Outputs for Support Vector Machines", 1999, section 2.2, has it for two classes.
    """
    counts = np.bincount(labels, minlength=classes)[labels][:, None]
    own = np.arange(classes) == labels[:, None]
    truth: npt.NDArray[np.float64] = np.where(own, counts + 1, 1) / (counts + classes)
    return truth


def scaled(logits: npt.NDArray[np.float64], temperature: float) -> npt.NDArray[np.float64]:
    """Probabilities (N, classes) of logits at a temperature."""
    probabilities: npt.NDArray[np.float64] = softmax(logits / temperature, axis=1)
    return probabilities


def log_odds(
    logits: npt.NDArray[np.float64], positive: Sequence[int], temperature: float = 1.0
) -> npt.NDArray[np.float64]:
    """Log-odds (N,) of the ``positive`` classes together against the others.

    It orders cases as their probability does, and tells apart what there is rounded to the same 0 or 1. Of two classes
    the order is the same at every temperature, and so are the areas under their curves.
    """
    inside = np.isin(np.arange(logits.shape[1]), positive)
    scaled_logits = logits / temperature
    odds: npt.NDArray[np.float64] = logsumexp(scaled_logits[:, inside], axis=1) - logsumexp(
        scaled_logits[:, ~inside], axis=1
    )
    return odds
