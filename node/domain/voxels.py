"""Whether what a model says of every voxel can be written down; asked where it is said, and where it is written."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from node.domain.result import ParametricMap, Segmentation, SegmentationType
from node.domain.texts import LONG_STRING, require_concept, require_text
from node.errors import InvalidModelOutput


def require_fractions(segmentation: Segmentation, kind: SegmentationType, segments: int, shape: Sequence[int]) -> None:
    """``segments`` is how many the SEG describes, ``shape`` that of the grid (k, r, c).

    Raises:
        InvalidModelOutput: fractions that a SEG of this type does not hold or lacks, that do not lie on the grid, or
            are none.
    """
    field, fractions = "segmentation.fractions", segmentation.fractions
    if kind is not SegmentationType.FRACTIONAL:
        _require(fractions is None, field, f"fractions although model.toml declares {kind}")
        return
    _require(fractions is not None, field, "none although model.toml declares FRACTIONAL")
    _require_array(fractions, (segments, *shape), field)
    assert fractions is not None
    for index, part in enumerate(fractions):
        low, high = float(part.min(initial=0.0)), float(part.max(initial=0.0))
        # NaN fails both comparisons
        _require(low >= 0.0 and high <= 1.0, f"{field}[{index}]", f"{low:g} to {high:g} is not within 0 to 1")


def require_parametric_map(given: ParametricMap, field: str, shape: Sequence[int]) -> None:
    """``shape`` is that of the grid (k, r, c).

    Raises:
        InvalidModelOutput: ``details['field']`` names what is wrong.
    """
    _require(isinstance(given, ParametricMap), field, f"{type(given).__name__}, not a ParametricMap")
    require_text(given.label, f"{field}.label", LONG_STRING)
    require_concept(given.quantity, f"{field}.quantity")
    require_concept(given.unit, f"{field}.unit")
    _require(given.unit.scheme == "UCUM", f"{field}.unit", f"a unit of {given.unit.scheme}, not of UCUM")
    _require_array(given.array, tuple(shape), f"{field}.array")
    # The sum of finite values may be infinite, the extremes of an array with NaN are not finite.
    extremes = np.array([given.array.min(initial=0.0), given.array.max(initial=0.0)])
    _require(bool(np.isfinite(extremes).all()), f"{field}.array", "holds values that are not finite")


def _require_array(array: object, shape: Sequence[int], field: str) -> None:
    if not isinstance(array, np.ndarray):
        raise InvalidModelOutput(f"{field}: {type(array).__name__} instead of a numpy array", field=field)
    _require(array.shape == tuple(shape), field, f"shape {array.shape} instead of {tuple(shape)}")
    _require(array.dtype == np.float32, field, f"{array.dtype} instead of float32")


def _require(condition: bool, field: str, problem: str) -> None:
    if not condition:
        raise InvalidModelOutput(f"{field}: {problem}", field=field)
