"""A heat map as a transparent PNG to be laid over its image: from nothing over red to yellow. Pure."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from node.results.viewing.image import png

FULL = 255.0


def heat_png(heat: npt.NDArray[np.float32], edge: int, aspect: float) -> bytes:
    """``heat`` (rows, columns) in 0..1; 0 is transparent. ``aspect`` as in ``png``."""
    known = np.clip(np.nan_to_num(heat), 0, 1)
    coloured = np.zeros((*known.shape, 4), np.uint8)
    coloured[..., 0] = 255
    coloured[..., 1] = np.rint(FULL * np.clip(2 * known - 1, 0, 1))
    coloured[..., 3] = np.rint(FULL * known)
    return png(coloured, edge, aspect)


def scaled(values: npt.NDArray[np.float32], low: float, high: float) -> npt.NDArray[np.float32]:
    """Values of a map as 0..1 between the smallest and the largest of all its slices."""
    return (values - np.float32(low)) / np.float32(max(high - low, 1e-12))
