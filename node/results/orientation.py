"""The directions of rows and columns in letters (PS3.3 C.7.6.1.1.1). Pure."""

from __future__ import annotations

from collections.abc import Sequence

# Toward the patient's left, back and head the coordinates grow.
_LETTERS = (("L", "R"), ("P", "A"), ("H", "F"))
# A direction is named by every axis that is at least this much of it (cosine).
NOTICEABLE = 0.2


def patient_orientation(cosines: Sequence[float]) -> list[str]:
    """Of the direction cosines of a row and a column; the nearest axis first, for example ``["L", "PH"]``."""
    return [_letters(cosines[:3]), _letters(cosines[3:])]


def _letters(direction: Sequence[float]) -> str:
    nearest = sorted(range(3), key=lambda axis: -abs(direction[axis]))
    kept = [axis for axis in nearest if abs(direction[axis]) >= NOTICEABLE] or nearest[:1]
    return "".join(_LETTERS[axis][direction[axis] < 0] for axis in kept)
