"""From a chest X-ray to the network's input: the one implementation for training and for the node."""

from __future__ import annotations

from models.kit.preprocess.whole_picture import Float, require_contrast, require_grey, resized, stretched

SIDE = 144


def network_input(array: Float) -> Float:
    """float32 (1, ``SIDE``, ``SIDE``) in -1..1 from (rows, columns), bright is dense, in any unit, or grey as RGB.

    The whole picture is squeezed to a square, as the pictures of the data set were.

    Raises:
        UnsupportedImage: the picture is coloured, tiny, or without contrast.
    """
    plain = require_grey(array)
    require_contrast(plain)
    return stretched(resized(plain, SIDE, SIDE), 1, 99)[None]
