"""Steps that change values and not places: windows, normalisation, equalisation, smoothing. float32 in and out."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt
from scipy import ndimage
from skimage import exposure

Float = npt.NDArray[np.float32]


def windowed(array: Float, centre: float, width: float) -> Float:
    """Values of a window (as in CT, HU) to 0..1, what lies outside cut off.

    Raises:
        ValueError: ``width`` is not positive.
    """
    if width <= 0:
        raise ValueError(f"a window of width {width}")
    return np.asarray(np.clip((array - (centre - width / 2)) / width, 0.0, 1.0), dtype=np.float32)


def percentile_windowed(array: Float, low: float, high: float) -> Float:
    """Values between two percentiles of the array to 0..1, what lies outside cut off; 0 where they are equal."""
    bottom, top = (float(value) for value in np.percentile(array, (low, high)))
    if top <= bottom:
        return np.zeros(array.shape, dtype=np.float32)
    return np.asarray(np.clip((array - bottom) / (top - bottom), 0.0, 1.0), dtype=np.float32)


def min_max(array: Float) -> Float:
    """Smallest to largest value as 0..1; 0 without contrast."""
    return percentile_windowed(array, 0.0, 100.0)


def z_scored(array: Float, nonzero: bool = False) -> Float:
    """Mean 0 and deviation 1; 0 without contrast.

    Args:
        nonzero: mean and deviation are of the values that are not 0, as where the surround of a head was made 0; the
            others stay 0.
    """
    inside = array != 0 if nonzero else np.ones(array.shape, dtype=bool)
    values = array[inside].astype(np.float64)
    spread = float(values.std()) if values.size else 0.0
    scored = np.zeros(array.shape, dtype=np.float32)
    if spread > 0:
        scored[inside] = (values - values.mean()) / spread
    return scored


def equalised(array: Float, tiles: int = 8, clip: float = 0.01) -> Float:
    """Contrast-limited adaptive histogram equalisation (Zuiderveld 1994) of (rows, columns) to 0..1.

    Args:
        tiles: along each side.
        clip: 0 changes little, 1 is not limited.

    Raises:
        ValueError: the array is not (rows, columns), or smaller than the tiles.
    """
    if array.ndim != 2 or min(array.shape) < tiles:
        raise ValueError(f"an array of shape {array.shape} cannot be equalised in {tiles} x {tiles} tiles")
    unit = min_max(array)
    if not unit.any():
        return unit
    size = [max(1, side // tiles) for side in array.shape]
    return np.asarray(exposure.equalize_adapthist(unit, kernel_size=size, clip_limit=clip), dtype=np.float32)


def median_filtered(array: Float, size: int = 3) -> Float:
    """The median of ``size`` pixels along rows and columns (and slices of a volume), border mirrored."""
    return np.asarray(ndimage.median_filter(array, size=_sizes(array, size), mode="reflect"), dtype=np.float32)


def gaussian_filtered(array: Float, sigma: float) -> Float:
    """Smoothed by a Gaussian of ``sigma`` pixels, border mirrored; channels of colour are not mixed."""
    sigmas = (sigma, sigma, 0.0) if _is_colour(array) else sigma
    return np.asarray(ndimage.gaussian_filter(array, sigmas, mode="reflect"), dtype=np.float32)


def _sizes(array: Float, size: int) -> tuple[int, ...]:
    return (size, size, 1) if _is_colour(array) else (size,) * array.ndim


def _is_colour(array: Float) -> bool:
    return array.ndim == 3 and array.shape[-1] == 3
