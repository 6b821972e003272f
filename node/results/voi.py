"""How a header makes values of interest visible: VOI LUT Function and VOI LUT Sequence (PS3.3 C.11.2). Pure."""

from __future__ import annotations

import enum
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt
from pydicom.dataset import Dataset

from node.domain.viewing import Window

Values = npt.NDArray[np.float32]
MOST_ENTRIES = 2**16


class Function(enum.StrEnum):
    """VOI LUT Function (0028,1056)."""

    LINEAR = "LINEAR"
    LINEAR_EXACT = "LINEAR_EXACT"
    SIGMOID = "SIGMOID"


@dataclass(frozen=True, slots=True)
class Table:
    """A VOI LUT: ``levels`` (0..1) of the values from ``first`` on; beyond its ends the first and last hold."""

    first: int
    levels: Values

    def shown(self, values: Values) -> Values:
        """0..1, of the shape of ``values`` (after the modality LUT); NaN is 0."""
        at = np.nan_to_num(np.rint(values - np.float32(self.first)), posinf=MOST_ENTRIES)
        found: Values = self.levels[np.clip(at, 0, len(self.levels) - 1).astype(np.intp)]
        found[np.isnan(values)] = 0
        return found


def function_of(stated: Any) -> Function:
    """What is not of the standard counts as LINEAR, which holds where nothing is stated."""
    text = str(stated or "").strip().upper()
    return next((one for one in Function if one.value == text), Function.LINEAR)


def table_of(sequence: Any, signed: bool) -> Table | None:
    """The first table of a VOI LUT Sequence; None where there is none that can be read.

    ``signed``: the values that it maps may be negative, so that a first one of 32768 or more is.
    """
    item: Dataset | None = next(iter(sequence or ()), None)
    if item is None:
        return None
    try:
        count, first, bits = (int(one) for one in item.LUTDescriptor)
        entries = _entries(item.LUTData, count % MOST_ENTRIES or MOST_ENTRIES)
    except (AttributeError, TypeError, ValueError):
        return None
    if entries is None or not 1 <= bits <= 16:
        return None
    if signed and first >= MOST_ENTRIES // 2:
        first -= MOST_ENTRIES
    levels = np.clip(entries.astype(np.float32) / np.float32(2**bits - 1), 0, 1)
    return Table(first, levels)


def through(values: Values, window: Window, function: Function) -> Values:
    """0..1 of ``values`` through one of the functions that are no plain line (C.11.2.1.3.1, C.11.2.1.3.2)."""
    away = (values - np.float32(window.center)) / np.float32(max(window.width, 1e-6))
    if function is Function.SIGMOID:
        # Beyond 20 the exponential only overflows.
        found: Values = 1 / (1 + np.exp(np.clip(-4 * np.nan_to_num(away, nan=-20.0), -80, 80)))
    else:
        found = np.clip(np.nan_to_num(away + np.float32(0.5)), 0, 1)
    return found


def _entries(data: Any, count: int) -> npt.NDArray[np.integer[Any]] | None:
    """Entries of 16 bits, little endian, or of 8 bits where only those are as many as there should be."""
    if not isinstance(data, bytes):
        found: npt.NDArray[np.integer[Any]] = np.atleast_1d(np.asarray(data, np.int64)) & 0xFFFF
    else:
        found = np.frombuffer(data, np.uint8 if len(data) < 2 * count else "<u2")
    return found[:count] if len(found) >= count else None
