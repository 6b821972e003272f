"""Which frames a SEG of each type has, and their voxels: made one after the other, never all together."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Protocol

import numpy as np
import numpy.typing as npt

from node.domain.result import Segmentation, SegmentationType
from node.errors import InvalidModelOutput
from node.results.bits import bands, bytes_of, packed

MAXIMUM_FRACTIONAL_VALUE = 255
# A frame by its slice k and the number of its segment; None where a frame holds all segments.
Place = tuple[int, int | None]


class SegmentationFrames(Protocol):
    """What a SEG of one type holds."""

    def numbers(self, k: int) -> tuple[int | None, ...]:
        """The segments that have a frame on slice ``k``; (None,) is one frame of all of them."""
        ...

    def voxels(self, places: Sequence[Place]) -> Iterator[bytes | memoryview]:
        """The voxels of these frames, as Pixel Data holds them."""
        ...

    def length(self, frames: int) -> int:
        """How many bytes so many frames take."""
        ...


def frames_of(segmentation: Segmentation, kind: SegmentationType) -> SegmentationFrames:
    """
    Raises:
        InvalidModelOutput: there are no fractions, or none above zero.
    """
    if kind is SegmentationType.BINARY:
        return _Binary(segmentation.label_map)
    if kind is SegmentationType.LABELMAP:
        return _LabelMap(segmentation.label_map)
    fractions = segmentation.fractions
    if fractions is None:
        raise InvalidModelOutput("segmentation.fractions: none for a FRACTIONAL SEG", field="segmentation.fractions")
    return _Fractional(fractions)


def stored_fractions(fractions: npt.NDArray[np.float32]) -> npt.NDArray[np.uint8]:
    """Fractions of 0..1 as the nearest stored values of 0..255 (PS3.3 C.8.20.2.3)."""
    stored: npt.NDArray[np.uint8] = np.rint(fractions * np.float32(MAXIMUM_FRACTIONAL_VALUE)).astype(np.uint8)
    return stored


class _Binary:
    """A frame for each segment on each slice that it is found on; the slices of a segment follow one another."""

    def __init__(self, label_map: npt.NDArray[np.uint8]) -> None:
        self._label_map = label_map
        self._bands = [bands(plane) for plane in label_map]

    def numbers(self, k: int) -> tuple[int | None, ...]:
        return tuple(number for number in self._bands[k] if number)

    def voxels(self, places: Sequence[Place]) -> Iterator[bytes | memoryview]:
        _, rows, columns = self._label_map.shape
        masks = ((self._label_map[k], number or 0, self._bands[k][number or 0]) for k, number in places)
        return packed(masks, rows, columns)

    def length(self, frames: int) -> int:
        _, rows, columns = self._label_map.shape
        return bytes_of(frames, rows, columns)


@dataclass(frozen=True, slots=True)
class _LabelMap:
    """One frame for each slice with any segment on it."""

    label_map: npt.NDArray[np.uint8]

    def numbers(self, k: int) -> tuple[int | None, ...]:
        return (None,) if self.label_map[k].any() else ()

    def voxels(self, places: Sequence[Place]) -> Iterator[bytes | memoryview]:
        return (self.label_map[k].tobytes() for k, _ in places)

    def length(self, frames: int) -> int:
        return frames * int(self.label_map[0].size)


@dataclass(frozen=True, slots=True)
class _Fractional:
    """As BINARY, with a byte for each voxel; a frame whose fractions all become zero is left out."""

    fractions: npt.NDArray[np.float32]

    def numbers(self, k: int) -> tuple[int | None, ...]:
        highest = stored_fractions(self.fractions[:, k].max(axis=(1, 2)))
        return tuple(int(index) + 1 for index in np.flatnonzero(highest))

    def voxels(self, places: Sequence[Place]) -> Iterator[bytes | memoryview]:
        return (stored_fractions(self.fractions[(number or 1) - 1, k]).tobytes() for k, number in places)

    def length(self, frames: int) -> int:
        return frames * int(self.fractions[0, 0].size)
