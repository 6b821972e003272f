"""Frames of one bit a voxel, packed as a BINARY SEG holds them: no padding between frames (PS3.5 section 8.1.1)."""

from __future__ import annotations

from collections.abc import Iterable, Iterator

import numpy as np
import numpy.typing as npt

Plane = npt.NDArray[np.uint8]
# So many frames fill whole bytes, whatever their size.
BATCH = 8


def packed(masks: Iterable[tuple[Plane, int]], rows: int, columns: int) -> Iterator[memoryview]:
    """The frames that show where each plane of a label map (r, c) holds the number beside it, first voxel lowest bit.

    A batch at a time, so that no array of all segments is ever held. The bits behind the last frame are zero.
    """
    batch = np.empty((BATCH, rows, columns), np.bool_)
    held = 0
    for plane, number in masks:
        np.equal(plane, number, out=batch[held])
        held += 1
        if held == BATCH:
            yield np.packbits(batch, bitorder="little").data
            held = 0
    if held:
        yield np.packbits(batch[:held], bitorder="little").data


def bytes_of(frames: int, rows: int, columns: int) -> int:
    """How many bytes so many packed frames take."""
    return -(-frames * rows * columns // 8)


def unpacked(pixels: memoryview, index: int, rows: int, columns: int) -> npt.NDArray[np.bool_]:
    """Frame ``index`` (from 0) of packed ``pixels``, as (r, c)."""
    first = index * rows * columns
    after = first + rows * columns
    held = np.frombuffer(pixels[first // 8 : -(-after // 8)], np.uint8)
    bits = np.unpackbits(held, bitorder="little")[first % 8 :][: rows * columns]
    return bits.view(np.bool_).reshape(rows, columns)
