"""Frames of one bit a voxel: against numpy's own packing of all of them at once, for sizes that fill no bytes too."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt
import pytest

from node.results.bits import bands, bytes_of, packed, unpacked

SIZES = [(8, 16), (5, 8), (3, 5), (7, 9), (1, 1), (16, 1)]


def label_map(rows: int, columns: int) -> npt.NDArray[np.uint8]:
    """Some numbers, some of them in few places, on slices that differ."""
    chance = np.random.default_rng(rows * 100 + columns)
    numbers = chance.integers(0, 4, (6, rows, columns)).astype(np.uint8)
    numbers[chance.random(numbers.shape) < 0.7] = 0
    numbers[5] = 255
    return numbers


@pytest.mark.parametrize(("rows", "columns"), SIZES)
def test_frames_are_packed_without_padding_and_read_back(rows: int, columns: int) -> None:
    numbers = label_map(rows, columns)
    found = [bands(plane) for plane in numbers]
    places = [(k, n) for n in (1, 2, 3, 255) for k in range(len(numbers)) if n in found[k]]
    masks = np.array([numbers[k] == n for k, n in places])
    pixels = b"".join(packed(((numbers[k], n, found[k][n]) for k, n in places), rows, columns))
    assert pixels == np.packbits(masks.ravel(), bitorder="little").tobytes()
    assert len(pixels) == bytes_of(len(places), rows, columns)
    for index, mask in enumerate(masks):
        begin, part = unpacked(memoryview(pixels), index, rows, columns)
        whole = np.zeros(rows * columns, bool)
        whole[begin : begin + part.size] = part
        np.testing.assert_array_equal(whole, mask.ravel())


@pytest.mark.parametrize(("rows", "columns"), SIZES)
def test_bands_are_the_rows_that_have_a_number(rows: int, columns: int) -> None:
    for plane in label_map(rows, columns):
        meant = {}
        for number in np.unique(plane):
            (with_it,) = np.nonzero((plane == number).any(axis=1))
            meant[int(number)] = (int(with_it[0]), int(with_it[-1]) + 1)
        assert bands(plane) == meant


def test_a_frame_of_nothing_is_empty() -> None:
    begin, part = unpacked(memoryview(bytes(64)), 3, 8, 16)
    assert (begin, part.size) == (0, 0)


def test_the_voxels_of_the_frames_beside_it_are_not_its_own() -> None:
    """3 x 5 voxels a frame: the second begins with the last bit of one byte and ends within another."""
    _, part = unpacked(memoryview(bytes([0xFF, 0x7F, 0x00, 0xC0])), 1, 3, 5)
    assert not part.any()
    begin, part = unpacked(memoryview(bytes([0x00, 0x80, 0x00, 0x60])), 1, 3, 5)
    assert (begin, np.flatnonzero(part).tolist(), part.size) == (0, [0, 14], 15)
