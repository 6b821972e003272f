"""Subgroups of cases by what their set says of them: a mean can hide who pays for it."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import numpy.typing as npt

from models.kit.baselines.trivial import TECHNICAL
from models.kit.cases import Case

FEWEST_CASES = 10
MOST_VALUES = 8


def subgroups(cases: Sequence[Case]) -> dict[str, npt.NDArray[np.bool_]]:
    """Name (``sex = F``, ``area <= 120``) to membership (N,) of every subgroup with at least ten cases.

    Facts with at most eight values name a subgroup for each; numbers with more are cut at their terciles; text with
    more (an identifier) makes none. A fact that one subgroup alone would hold makes none either.
    """
    found: dict[str, npt.NDArray[np.bool_]] = {}
    for name in sorted({name for case in cases for name in case.facts} - TECHNICAL):
        values = [case.facts.get(name) for case in cases]
        made = {text: here for text, here in _cut(name, values).items() if here.sum() >= FEWEST_CASES}
        if len(made) > 1:
            found |= made
    return found


def _cut(name: str, values: Sequence[float | str | None]) -> dict[str, npt.NDArray[np.bool_]]:
    known = {value for value in values if value is not None}
    distinct = sorted(known, key=lambda value: (isinstance(value, str), value))
    if len(distinct) <= MOST_VALUES:
        return {f"{name} = {_text(one)}": np.array([value == one for value in values]) for one in distinct}
    if any(isinstance(value, str) for value in distinct):
        return {}
    numbers = np.array([np.nan if value is None else float(value) for value in values])
    low, high = np.nanquantile(numbers, [1 / 3, 2 / 3])
    return {
        f"{name} <= {low:g}": numbers <= low,
        f"{name} {low:g} to {high:g}": (numbers > low) & (numbers <= high),
        f"{name} > {high:g}": numbers > high,
    }


def _text(value: float | str) -> str:
    return value if isinstance(value, str) else f"{value:g}"
