"""Regions and edges as arrays of 0 and 1: thresholds, region growing, Canny; and the Sobel gradient. float32."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
import numpy.typing as npt
from skimage import feature, filters, segmentation

Float = npt.NDArray[np.float32]

# scikit-image has types for some of its functions only.
threshold_otsu: Callable[..., Any] = filters.threshold_otsu
sobel: Callable[..., Any] = filters.sobel
flood: Callable[..., Any] = segmentation.flood
canny: Callable[..., Any] = feature.canny


def above(array: Float, level: float) -> Float:
    """1 where a value is above ``level``."""
    return (array > level).astype(np.float32)


def above_otsu(array: Float) -> Float:
    """1 above the level that separates two kinds of values best (Otsu 1979); 0 everywhere without contrast."""
    if float(array.min()) == float(array.max()):
        return np.zeros(array.shape, dtype=np.float32)
    return above(array, float(threshold_otsu(array)))


def grown(array: Float, seed: Sequence[int], tolerance: float) -> Float:
    """1 in the connected region around ``seed`` whose values differ from the seed's by at most ``tolerance``.

    Raises:
        ValueError: the seed is not an index of the array.
    """
    if len(seed) != array.ndim or not all(0 <= place < side for place, side in zip(seed, array.shape, strict=True)):
        raise ValueError(f"a seed at {tuple(seed)} in an array of shape {array.shape}")
    return np.asarray(flood(array, tuple(seed), tolerance=tolerance), dtype=np.float32)


def edges(array: Float, sigma: float = 1.0) -> Float:
    """1 on edges (Canny 1986) of (rows, columns).

    Raises:
        ValueError: the array is not (rows, columns).
    """
    if array.ndim != 2:
        raise ValueError(f"edges are found in (rows, columns), not in an array of shape {array.shape}")
    return np.asarray(canny(array, sigma=sigma), dtype=np.float32)


def gradient(array: Float) -> Float:
    """Magnitude of the gradient by Sobel's filter, in units of the values by pixel."""
    return np.asarray(sobel(array), dtype=np.float32)
