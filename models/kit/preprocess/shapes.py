"""Steps that change the grid: sizes with and without their aspect, spacing, the order of axes. float32 in and out."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt
import torch
from torch.nn import functional

from models.kit.preprocess.whole_picture import resized

Float = npt.NDArray[np.float32]


def letterboxed(array: Float, rows: int, columns: int, fill: float = 0.0) -> Float:
    """(rows, columns) or (rows, columns, 3) scaled with its aspect kept, centred in a frame of ``fill``."""
    height, width = array.shape[:2]
    scale = min(rows / height, columns / width)
    inner = resized(array, max(1, round(height * scale)), max(1, round(width * scale)))
    top, left = (rows - inner.shape[0]) // 2, (columns - inner.shape[1]) // 2
    framed = np.full((rows, columns, *array.shape[2:]), fill, dtype=np.float32)
    framed[top : top + inner.shape[0], left : left + inner.shape[1]] = inner
    return framed


def centred(array: Float, rows: int, columns: int, fill: float = 0.0) -> Float:
    """The middle (rows, columns) of a picture, padded with ``fill`` where it is smaller; nothing is scaled."""
    out = np.full((rows, columns, *array.shape[2:]), fill, dtype=np.float32)
    spans = [_overlap(have, want) for have, want in zip(array.shape[:2], (rows, columns), strict=True)]
    (from_row, to_row, height), (from_column, to_column, width) = spans
    out[to_row : to_row + height, to_column : to_column + width] = array[
        from_row : from_row + height, from_column : from_column + width
    ]
    return out


def respaced(array: Float, spacing: tuple[float, ...], target: tuple[float, ...]) -> Float:
    """A picture (rows, columns) or a volume (k, rows, columns) on voxels of ``target`` mm instead of ``spacing``.

    Linear, without aliasing.

    Raises:
        ValueError: the spacings are not positive, or not as many as the array has axes.
    """
    if not len(spacing) == len(target) == array.ndim or min((*spacing, *target)) <= 0:
        raise ValueError(f"spacings {spacing} and {target} for an array of shape {array.shape}")
    size = [max(1, round(side * old / new)) for side, old, new in zip(array.shape, spacing, target, strict=True)]
    tensor = torch.from_numpy(np.ascontiguousarray(array, dtype=np.float32))[None, None]
    for axis, side in enumerate(size):
        tensor = _along(tensor, axis + 2, side)
    made: Float = tensor[0, 0].numpy()
    return made


def channels_first(array: Float) -> Float:
    """(rows, columns) as (1, rows, columns), (rows, columns, 3) as (3, rows, columns)."""
    return np.ascontiguousarray(array[np.newaxis] if array.ndim == 2 else np.moveaxis(array, 2, 0), dtype=np.float32)


def _along(tensor: torch.Tensor, axis: int, side: int) -> torch.Tensor:
    """One axis on another number of voxels, linear, without aliasing (which torch does for pictures only)."""
    lines = tensor.movedim(axis, -1)
    flat = lines.reshape(1, 1, -1, lines.shape[-1])
    made = functional.interpolate(flat, (flat.shape[2], side), mode="bilinear", align_corners=False, antialias=True)
    return made.reshape(*lines.shape[:-1], side).movedim(-1, axis)


def _overlap(have: int, want: int) -> tuple[int, int, int]:
    """Where the middle begins in what there is and in what is wanted, and how long it is."""
    return max(0, (have - want) // 2), max(0, (want - have) // 2), min(have, want)
