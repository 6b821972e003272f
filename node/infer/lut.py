"""Lookup tables of a header (PS3.3 C.11.1.1 Modality LUT, C.7.6.3.1.5 and .6 palettes). Pure."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt
from pydicom.dataset import Dataset

from node.errors import UnsupportedImage

MOST_ENTRIES = 2**16
BIT_DEPTHS = range(8, 17)


@dataclass(frozen=True, slots=True)
class Table:
    """``entries`` belong to the stored values from ``first`` on; beyond its ends the first and last entry hold.

    ``bits`` of each entry are used.
    """

    first: int
    bits: int
    entries: npt.NDArray[np.float32]

    def mapped(self, stored: npt.NDArray[np.integer[Any]]) -> npt.NDArray[np.float32]:
        """float32, of the shape of ``stored``."""
        index = np.clip(stored.astype(np.int64) - self.first, 0, len(self.entries) - 1)
        return self.entries[index]

    def inverted(self) -> Table:
        """Its smallest output becomes the largest: for MONOCHROME1."""
        return Table(self.first, self.bits, self.entries.max() + self.entries.min() - self.entries)


def modality_table(header: Dataset, signed: bool) -> Table | None:
    """The Modality LUT of ``header``; None where it has none.

    Raises:
        UnsupportedImage: it is not as long as it claims.
    """
    sequence = header.get("ModalityLUTSequence")
    if not sequence:
        return None
    item: Dataset = sequence[0]
    return entries_of(item.get("LUTDescriptor"), item.get("LUTData"), "modality lookup table", signed)


def entries_of(descriptor: Any, data: Any, words: str, signed: bool = False) -> Table:
    """The table of a descriptor (number of entries, first mapped value, bits) and its data.

    Raises:
        UnsupportedImage: ``words`` names what is absent or not as long as it claims.
    """
    if descriptor is None or data is None or len(descriptor) != 3:
        raise UnsupportedImage(f"an image without a complete {words}")
    count, first, bits = (int(value) for value in descriptor)
    count = count % MOST_ENTRIES or MOST_ENTRIES  # 65536 does not fit into 16 bits and is written as 0
    if signed and first >= MOST_ENTRIES // 2:
        first -= MOST_ENTRIES
    values = _values(data, count)
    if bits not in BIT_DEPTHS or len(values) < count:
        raise UnsupportedImage(f"a {words} of {len(values)} entries with {bits} bits that claims {count}")
    return Table(first, bits, values[:count].astype(np.float32))


def _values(data: bytes | Sequence[int], count: int) -> npt.NDArray[np.integer[Any]]:
    """Entries of 16 bits, little endian, or of 8 bits where only those are as many as there should be."""
    if not isinstance(data, bytes):
        return np.atleast_1d(np.asarray(data, dtype=np.int64)) & 0xFFFF
    if len(data) < 2 * count:
        return np.frombuffer(data, np.uint8)
    return np.frombuffer(data, "<u2", count=count)
