"""A picture with a heat map over it, as a PNG for people to look at. Pure."""

from __future__ import annotations

import io

import numpy as np
import numpy.typing as npt
from PIL import Image

from node.domain.result import HeatMap
from node.domain.study import Picture

# Where the map is at its highest, this much of the picture is covered.
OPACITY = 0.6
FULL = 255.0


def overlay(picture: Picture, heat_map: HeatMap) -> bytes:
    """``picture``, grey values spread over what they span, under a map from nothing (0) over red to yellow (1)."""
    below = picture.array if picture.is_colour else np.repeat(_spread(picture.array)[..., None], 3, axis=2)
    heat = heat_map.array[..., None]
    colour = np.concatenate([np.full_like(heat, FULL), FULL * np.clip(2 * heat - 1, 0, 1), np.zeros_like(heat)], axis=2)
    alpha = OPACITY * heat
    mixed = (1 - alpha) * below + alpha * colour
    buffer = io.BytesIO()
    Image.fromarray(np.clip(np.rint(mixed), 0, FULL).astype(np.uint8)).save(buffer, format="PNG")
    return buffer.getvalue()


def _spread(array: npt.NDArray[np.float32]) -> npt.NDArray[np.float32]:
    """Grey values from their smallest to their largest as 0..255; a picture of one value is black."""
    low, high = float(array.min()), float(array.max())
    return (array - np.float32(low)) * np.float32(FULL / (high - low)) if high > low else np.zeros_like(array)
