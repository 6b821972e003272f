"""A whole chest CT as patches that look like the training crops, and the patches' answers as one map again."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
import torch
from torch.nn import functional

from models.lung_nodule_ct import crops

Float = npt.NDArray[np.float32]
Mask = npt.NDArray[np.bool_]

# What lies outside is metal, and what scanners write outside the reconstructed circle.
RANGE_HU = (-1024.0, 1200.0)
# Every pixel lies in the middle ``STRIDE`` of a patch, where the training crops had their nodules.
STRIDE = 48


@dataclass(frozen=True, slots=True)
class Patches:
    """Where the patches lie: slices with pixels of ``PIXEL_MM``, of ``scaled`` (rows, columns), cut at ``corners``.

    ``corners`` is int (n, 3) of (slice, row, column); ``shape`` is that of the series.
    """

    shape: tuple[int, int, int]
    scaled: tuple[int, int]
    corners: npt.NDArray[np.intp]


def scaled_slices(array: Float, spacing_mm: tuple[float, float]) -> Float:
    """HU (k, r, c) cut to ``RANGE_HU`` on pixels of ``PIXEL_MM``, at least one patch wide."""
    rows, columns = (
        max(crops.SIZE, round(size * mm / crops.PIXEL_MM)) for size, mm in zip(array.shape[1:], spacing_mm, strict=True)
    )
    clipped = torch.from_numpy(np.clip(array, *RANGE_HU))[:, None]
    return _resized(clipped, (rows, columns))


def planned(scaled: Float, lungs: Mask) -> Patches:
    """Of a regular, overlapping grid every patch that has lung in its middle.

    Args:
        scaled: of ``scaled_slices``.
        lungs: where candidates count, on the grid of the series.
    """
    shape = (lungs.shape[0], lungs.shape[1], lungs.shape[2])
    counted = on_series(lungs.astype(np.float32), (1, *scaled.shape[1:])) > 0
    corners = [
        (index, row, column)
        for row, rows in _starts(scaled.shape[1])
        for column, columns in _starts(scaled.shape[2])
        for index in np.flatnonzero(counted[:, rows, columns].any(axis=(1, 2)))
    ]
    return Patches(shape, (scaled.shape[1], scaled.shape[2]), np.array(sorted(corners), dtype=np.intp).reshape(-1, 3))


def cut(scaled: Float, patches: Patches) -> Float:
    """The normalised patches (n, SIZE, SIZE)."""
    made = np.zeros((len(patches.corners), crops.SIZE, crops.SIZE), dtype=np.float32)
    for number, (index, row, column) in enumerate(patches.corners):
        made[number] = crops.normalised(scaled[index, row : row + crops.SIZE, column : column + crops.SIZE])
    return made


def joined(probability: Float, patches: Patches) -> Float:
    """Probabilities of the patches (n, SIZE, SIZE) as a map (k, rows, columns) of the scaled slices.

    Where patches overlap their mean, in which a patch's border counts less; 0 where there was no patch.
    """
    total = np.zeros((patches.shape[0], *patches.scaled), dtype=np.float32)
    weights = np.zeros_like(total)
    bell = np.outer(np.hanning(crops.SIZE + 2)[1:-1], np.hanning(crops.SIZE + 2)[1:-1]).astype(np.float32) + 1e-3
    for (index, row, column), one in zip(patches.corners, probability, strict=True):
        place = (index, slice(row, row + crops.SIZE), slice(column, column + crops.SIZE))
        total[place] += bell * one
        weights[place] += bell
    return np.asarray(total / np.maximum(weights, 1e-6), dtype=np.float32)


def on_series(joined_map: Float, shape: tuple[int, int, int]) -> Float:
    """A map of the scaled slices on the grid of the series (k, r, c)."""
    return _resized(torch.from_numpy(joined_map)[:, None], (shape[1], shape[2]))


def _resized(slices: torch.Tensor, size: tuple[int, int]) -> Float:
    if tuple(slices.shape[2:]) == size:
        made: Float = slices[:, 0].numpy()
        return made
    parts = [
        functional.interpolate(part, size, mode="bilinear", align_corners=False, antialias=True)[:, 0]
        for part in torch.split(slices, 8)
    ]
    return np.asarray(torch.cat(parts).numpy(), dtype=np.float32)


def _starts(size: int) -> list[tuple[int, slice]]:
    """First pixels of overlapping windows over ``size`` pixels, and the middles of the windows.

    The last window ends with the picture. The middles cover it all; those of the outer windows reach to its border.
    """
    last, margin = size - crops.SIZE, (crops.SIZE - STRIDE) // 2
    return [
        (start, slice(start + margin if start else 0, start + crops.SIZE - margin if start < last else size))
        for start in sorted({*range(0, last + 1, STRIDE), last})
    ]
