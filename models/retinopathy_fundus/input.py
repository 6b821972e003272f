"""From a fundus photograph to a network's input: the one implementation for training and for the node.

The two classes of the data set come from two sources. ``network_input`` leaves the photograph as it is, source and all;
it is what the package runs on. ``without_source`` is the attempt to take away what tells the sources apart without any
disease: the border and the place of the disc of light by a crop inside it, colour and exposure by keeping the green
channel only and by subtracting its local mean and dividing by its local spread (after Graham's winning entry of the
Kaggle Diabetic Retinopathy Detection competition, 2015). The control of the model card is trained on it.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from scipy import ndimage

from models.kit.preprocess.whole_picture import Float, require_contrast, resized
from node.errors import UnsupportedImage

SIDE = 96
CONTROL_SIDE = 128
GREEN = 1
# Of the brightest pixels; the surround of the disc is black but not zero.
LIT = 0.12
SMALLEST_DISC = 0.2
# Side of the square inside the disc, by its radius: sqrt(2) would touch the edge, and many discs are cut at top and
# bottom.
CROP = 1.25
# Of the local mean and spread, by the side of the crop.
NEIGHBOURHOOD = 1 / 12
CLIP = 3.0


@dataclass(frozen=True, slots=True)
class Disc:
    """The disc of light of a fundus camera: centre (row, column) and radius in pixels."""

    row: float
    column: float
    radius: float


def network_input(array: Float) -> Float:
    """float32 (3, ``SIDE``, ``SIDE``) in -1..1 from RGB 0..255 (rows, columns, 3): the whole photograph, squeezed.

    Raises:
        UnsupportedImage: the picture is not in colour, tiny, without contrast, or shows no disc of light.
    """
    _require_fundus(array)
    disc_of(array)
    return np.ascontiguousarray(np.moveaxis(resized(array, SIDE, SIDE) / np.float32(127.5) - 1, 2, 0))


def without_source(array: Float) -> Float:
    """float32 (1, ``CONTROL_SIDE``, ``CONTROL_SIDE``) in -1..1 from RGB (rows, columns, 3): normalised green, cropped.

    Raises:
        UnsupportedImage: as ``network_input``.
    """
    _require_fundus(array)
    plane = array[:, :, GREEN][crop_of(array, disc_of(array))]
    return normalised(resized(plane, CONTROL_SIDE, CONTROL_SIDE))[None]


def _require_fundus(array: Float) -> None:
    if array.ndim != 3:
        raise UnsupportedImage("the picture is grey; this model reads colour photographs")
    require_contrast(array)


def disc_of(array: Float) -> Disc:
    """The disc of light by the rows and columns that are lit; a disc that is cut has its longer side as diameter.

    Raises:
        UnsupportedImage: what is lit is too small.
    """
    bright = array.max(axis=2)
    lit = ndimage.median_filter(bright, 5) > LIT * float(np.percentile(bright, 99))
    rows, columns = np.flatnonzero(lit.mean(1) > 0.05), np.flatnonzero(lit.mean(0) > 0.05)
    if lit.mean() < SMALLEST_DISC or not len(rows) or not len(columns):
        raise UnsupportedImage("no disc of light of a fundus camera was found in the picture")
    height, width = rows[-1] - rows[0] + 1, columns[-1] - columns[0] + 1
    return Disc(float(rows[0] + rows[-1]) / 2, float(columns[0] + columns[-1]) / 2, float(max(height, width)) / 2)


def crop_of(array: Float, disc: Disc) -> tuple[slice, slice]:
    """Rows and columns of the square of ``CROP`` radii around the disc's centre, cut at the picture's edges."""
    half = CROP * disc.radius / 2
    rows, columns = (
        slice(max(0, round(centre - half)), min(size, round(centre + half)))
        for centre, size in ((disc.row, array.shape[0]), (disc.column, array.shape[1]))
    )
    return rows, columns


def normalised(plane: Float) -> Float:
    """(plane - local mean) / local spread, cut at ``CLIP`` spreads, in -1..1."""
    sigma = NEIGHBOURHOOD * max(plane.shape)
    mean = ndimage.gaussian_filter(plane, sigma, mode="reflect")
    variance = ndimage.gaussian_filter((plane - mean) ** 2, 2 * sigma, mode="reflect")
    spread = np.sqrt(variance) + 0.02 * float(plane.mean()) + 1e-6
    made: Float = np.clip((plane - mean) / spread / CLIP, -1.0, 1.0).astype(np.float32)
    return made
