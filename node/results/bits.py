"""Frames of one bit a voxel, packed as a BINARY SEG holds them: no padding between frames (PS3.5 section 8.1.1)."""

from __future__ import annotations

from collections.abc import Iterable, Iterator

import numpy as np
import numpy.typing as npt

Plane = npt.NDArray[np.uint8]
# A plane (r, c) of a label map, a number, and the rows that have it: the first, and the one behind the last.
Mask = tuple[Plane, int, tuple[int, int]]
# So many frames fill whole bytes, whatever their size.
BATCH = 8


def packed(masks: Iterable[Mask], rows: int, columns: int) -> Iterator[memoryview]:
    """The frames that show where each plane of a label map holds its number, first voxel lowest bit.

    A few frames at a time, so that no array of all segments is ever held. The bits behind the last frame are zero.
    """
    return _packed_by_rows(masks, rows, columns) if columns % 8 == 0 else _packed_by_batches(masks, rows, columns)


def bands(plane: Plane) -> dict[int, tuple[int, int]]:
    """For each number on a plane (r, c) the first row that has it and the one behind the last; ascending."""
    voxels, columns = plane.ravel(), plane.shape[1]
    # Where another number begins: a segment has thousands of voxels on a slice, and few edges.
    starts = np.append(0, np.flatnonzero(voxels[1:] != voxels[:-1]) + 1)
    numbers, ends = voxels[starts], np.append(starts[1:], voxels.size)
    first, last = np.zeros(256, np.int64), np.zeros(256, np.int64)
    first[numbers[::-1]] = starts[::-1] // columns
    last[numbers] = (ends - 1) // columns
    return {int(number): (int(first[number]), int(last[number]) + 1) for number in np.unique(numbers)}


def _packed_by_rows(masks: Iterable[Mask], rows: int, columns: int) -> Iterator[memoryview]:
    """Every row is whole bytes: those without the number are zero without being looked at."""
    width = columns // 8
    blank = memoryview(bytes(rows * width))
    for plane, number, (first, after) in masks:
        yield blank[: first * width]
        yield np.packbits(plane[first:after] == number, bitorder="little").data
        yield blank[: (rows - after) * width]


def _packed_by_batches(masks: Iterable[Mask], rows: int, columns: int) -> Iterator[memoryview]:
    batch = np.empty((BATCH, rows, columns), np.bool_)
    held = 0
    for plane, number, _ in masks:
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


def unpacked(pixels: memoryview, index: int, rows: int, columns: int) -> tuple[int, npt.NDArray[np.bool_]]:
    """Frame ``index`` (from 0) of packed ``pixels``, from its first byte that is not zero to its last.

    Returns:
        Where in the frame these voxels begin, and they themselves, flat. All others of the frame are zero.
    """
    first, size = index * rows * columns, rows * columns
    held = np.frombuffer(pixels[first // 8 : -(-(first + size) // 8)], np.uint8)
    filled = np.flatnonzero(held != 0)
    front, end = (int(filled[0]), int(filled[-1]) + 1) if filled.size else (0, 0)
    bits = np.unpackbits(held[front:end], bitorder="little")
    begin = 8 * front - first % 8
    # The first and the last byte may hold voxels of the frames beside it.
    others = max(-begin, 0)
    return begin + others, bits[others : size - begin].view(np.bool_)
