"""A whole picture as the input of a network: grey or colour, one size, one range. For training and for the node."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt
import torch
from torch.nn import functional

from node.errors import UnsupportedImage

Float = npt.NDArray[np.float32]

# ITU-R BT.601
LUMA = np.array([0.299, 0.587, 0.114], dtype=np.float32)


def grey(array: Float) -> Float:
    """(rows, columns) of a grey picture as it is, of colour (rows, columns, 3) its luma."""
    return array if array.ndim == 2 else (array @ LUMA).astype(np.float32)


def require_grey(array: Float, tolerance: float = 24.0) -> Float:
    """Like ``grey``, for what is grey in the world and may be stored as colour.

    Raises:
        UnsupportedImage: more than 1 % of the pixels have channels that differ by more than ``tolerance``.
    """
    if array.ndim == 3 and float(np.mean(np.ptp(array, axis=2) > tolerance)) > 0.01:
        raise UnsupportedImage("the picture is coloured; this model reads grey pictures")
    return grey(array)


def require_contrast(array: Float, least: int = 64) -> None:
    """Refuse what cannot be a picture.

    Raises:
        UnsupportedImage: fewer than ``least`` rows or columns, values that are not finite, or hardly any contrast:
            the 2nd and the 98th percentile are equal.
    """
    if min(array.shape[:2]) < least:
        raise UnsupportedImage(f"{array.shape[0]} x {array.shape[1]} pixels; this model needs {least} at least")
    if not bool(np.isfinite(array).all()):
        raise UnsupportedImage("the picture holds values that are not finite")
    low, high = np.percentile(array, (2, 98))
    if high <= low:
        raise UnsupportedImage("the picture has no contrast")


def resized(array: Float, rows: int, columns: int) -> Float:
    """(rows, columns) or (rows, columns, 3) on another number of pixels, bilinear, without aliasing.

    Sides are scaled independently: what is not square is squeezed.
    """
    planes = array[np.newaxis] if array.ndim == 2 else np.moveaxis(array, 2, 0)
    tensor = torch.from_numpy(np.ascontiguousarray(planes, dtype=np.float32))[None]
    small = functional.interpolate(tensor, (rows, columns), mode="bilinear", align_corners=False, antialias=True)[0]
    made: Float = small.numpy()
    return made[0] if array.ndim == 2 else np.moveaxis(made, 0, 2)


def stretched(array: Float, low_percent: float, high_percent: float) -> Float:
    """The values between two percentiles of the picture as -1..1, what lies beyond them cut off.

    Exposure, bit depth and the numbers of a detector have no influence.
    """
    low, high = np.percentile(array, (low_percent, high_percent))
    unit = np.clip((array - low) / max(float(high - low), 1e-6), 0.0, 1.0)
    made: Float = (2.0 * unit - 1.0).astype(np.float32)
    return made
