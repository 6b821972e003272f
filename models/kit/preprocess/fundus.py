"""The field of view of a fundus photograph: the lit disc in its dark surround."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt
from scipy import ndimage

from node.errors import UnsupportedImage

Float = npt.NDArray[np.float32]
Mask = npt.NDArray[np.bool_]

# Of the brightest pixels: the surround is dark but seldom zero.
LIT = 0.12
SMALLEST = 0.2


def field_of_view(array: Float) -> Mask:
    """What is lit, bool (rows, columns), of RGB (rows, columns, 3) or grey: one piece without holes.

    Raises:
        UnsupportedImage: less than ``SMALLEST`` of the picture is lit in one piece.
    """
    bright = array.max(axis=2) if array.ndim == 3 else array
    lit = ndimage.median_filter(bright, 5) > LIT * float(np.percentile(bright, 99))
    labels, count = ndimage.label(lit)
    if not count:
        raise UnsupportedImage("nothing of the photograph is lit")
    largest = int(np.bincount(labels.ravel())[1:].argmax()) + 1
    mask: Mask = ndimage.binary_fill_holes(labels == largest)
    if mask.mean() < SMALLEST:
        raise UnsupportedImage("no field of view of a fundus camera was found in the picture")
    return mask


def border_cropped(array: Float) -> Float:
    """The rectangle around the field of view: borders of different widths tell cameras apart, not diseases.

    Raises:
        UnsupportedImage: as ``field_of_view``.
    """
    mask = field_of_view(array)
    rows, columns = np.flatnonzero(mask.any(axis=1)), np.flatnonzero(mask.any(axis=0))
    return array[rows[0] : rows[-1] + 1, columns[0] : columns[-1] + 1]


def outside_black(array: Float) -> Float:
    """The picture with 0 outside of the field of view, where cameras print letters and leave stray light.

    Raises:
        UnsupportedImage: as ``field_of_view``.
    """
    mask = field_of_view(array)
    return np.where(mask[:, :, np.newaxis] if array.ndim == 3 else mask, array, np.float32(0)).astype(np.float32)
