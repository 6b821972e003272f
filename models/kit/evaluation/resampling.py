"""Bootstrap intervals that respect who belongs together.

Images of one patient are no independent witnesses: whole groups are drawn with replacement (cluster bootstrap,
Davison and Hinkley, "Bootstrap Methods and their Application", 1997, section 3.8), and the interval is that of the
2.5th and 97.5th percentile.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from math import isnan, nan

import numpy as np
import numpy.typing as npt

Indices = npt.NDArray[np.intp]
Measure = Callable[[Indices], Mapping[str, float]]

SAMPLES = 1000
LEVEL = 0.95


@dataclass(frozen=True, slots=True)
class Estimate:
    """A figure and its 95 % interval; NaN where it is not defined (a rate of nothing, an AUC of one class)."""

    value: float
    low: float = nan
    high: float = nan

    def as_json(self) -> dict[str, float | None]:
        """``value``, ``low`` and ``high`` with four decimals; null where not defined."""
        return {name: _rounded(getattr(self, name)) for name in ("value", "low", "high")}

    def __str__(self) -> str:
        if isnan(self.value):
            return "not defined"
        if isnan(self.low):
            return f"{self.value:.3f}"
        return f"{self.value:.3f} ({self.low:.3f}-{self.high:.3f})"


def estimates(measure: Measure, groups: Sequence[str], samples: int = SAMPLES, seed: int = 0) -> dict[str, Estimate]:
    """Every figure of ``measure`` over all cases, with its interval over resampled groups.

    Args:
        measure: indices of cases, possibly repeated, to named figures; NaN where a figure is not defined.
        groups: of each case.

    Resamples in which a figure is not defined are passed over for that figure; with fewer than two groups, or where
    it is defined in less than half of the resamples, there is no interval.
    """
    point = measure(np.arange(len(groups)))
    if len(set(groups)) < 2:
        return {name: Estimate(float(value)) for name, value in point.items()}
    drawn = [measure(picked) for picked in resamples(groups, samples, seed)]
    return {
        name: Estimate(float(value), *_percentiles([float(one[name]) for one in drawn]))
        for name, value in point.items()
    }


def resamples(groups: Sequence[str], samples: int, seed: int) -> Iterator[Indices]:
    """Indices of the cases of as many groups as there are, drawn with replacement; the same for the same seed."""
    names, group_of = np.unique(np.asarray(groups), return_inverse=True)
    generator = np.random.default_rng(seed)
    every = np.arange(len(groups))
    for _ in range(samples):
        times = np.bincount(generator.integers(0, len(names), len(names)), minlength=len(names))
        yield np.repeat(every, times[group_of])


def widened(estimate: Estimate, groups: int) -> Estimate:
    """A rate of exactly 0 or 1, whose resamples all agree, with the exact bound of that many independent groups.

    Clopper and Pearson, Biometrika 1934: with ``n`` of ``n`` successes the lower 95 % bound is ``0.025 ** (1 / n)``.
    """
    if groups < 1 or estimate.value not in (0.0, 1.0):
        return estimate
    bound = ((1 - LEVEL) / 2) ** (1 / groups)
    return Estimate(1.0, bound, 1.0) if estimate.value == 1.0 else Estimate(0.0, 0.0, 1 - bound)


def _percentiles(values: list[float]) -> tuple[float, float]:
    defined = [value for value in values if not isnan(value)]
    if len(defined) * 2 < len(values):
        return nan, nan
    low, high = np.percentile(defined, [50 * (1 - LEVEL), 50 * (1 + LEVEL)])
    return float(low), float(high)


def _rounded(value: float) -> float | None:
    return None if isnan(value) else round(value, 4)
