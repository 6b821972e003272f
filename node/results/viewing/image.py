"""A source image as a PNG of bounded size, its grey values through a window. Pure."""

from __future__ import annotations

import io

import numpy as np
import numpy.typing as npt
from PIL import Image
from pydicom.dataset import Dataset

from node.domain.study import Picture
from node.domain.viewing import Spread, Window
from node.results.display import BRIGHTEST, DARKEST, Grey, between_percentiles, grey_levels, through_window

# Fast rather than small: the browser sits near, and the next slice is asked for within a tenth of a second.
COMPRESSION = 1


def visible(picture: Picture, header: Dataset, window: Window | Spread) -> Grey:
    """(rows, columns) of 0..255, or (rows, columns, 3) of a colour picture, which no window changes."""
    if picture.is_colour or window is Spread.DEFAULT:
        return grey_levels(picture, header)
    if isinstance(window, Window):
        return through_window(picture.array, window)
    return between_percentiles(picture.array, *((0.0, 100.0) if window is Spread.FULL else (DARKEST, BRIGHTEST)))


def png(levels: npt.NDArray[np.uint8], edge: int, aspect: float = 1.0) -> bytes:
    """Grey, RGB or RGBA (rows, columns, 4), with pixels that are as high as wide; its longer side at most ``edge``.

    ``aspect`` is the height of a pixel of ``levels`` by its width.
    """
    buffer = io.BytesIO()
    _fitted(levels, edge, aspect).save(buffer, format="PNG", compress_level=COMPRESSION)
    return buffer.getvalue()


def jpeg(levels: npt.NDArray[np.uint8], edge: int, aspect: float = 1.0, quality: int = 90) -> bytes:
    """As ``png``, grey or RGB; ``quality`` from 1 to 100."""
    buffer = io.BytesIO()
    _fitted(levels, edge, aspect).save(buffer, format="JPEG", quality=quality)
    return buffer.getvalue()


def _fitted(levels: npt.NDArray[np.uint8], edge: int, aspect: float) -> Image.Image:
    image = Image.fromarray(np.ascontiguousarray(levels))
    width, height = image.width * max(1.0, 1 / aspect), image.height * max(1.0, aspect)
    factor = min(1.0, edge / max(width, height))
    size = (max(1, round(factor * width)), max(1, round(factor * height)))
    if size != image.size:
        image = image.resize(size, Image.Resampling.BILINEAR, reducing_gap=2.0)
    return image
