"""From a breast ultrasound picture to the network's input: the one implementation for training and for the node."""

from __future__ import annotations

import numpy as np

from models.kit.preprocess.whole_picture import Float, require_contrast, require_grey, resized, stretched
from node.errors import UnsupportedImage

SIDE = 128
# Of 606 pictures of the data set one in twenty is more than 0.28 black, the blackest 0.50: shadows, not margins.
LARGEST_BLACK = 0.52
BLACK = 8 / 255


def network_input(array: Float) -> Float:
    """float32 (1, ``SIDE``, ``SIDE``) in -1..1 from (rows, columns) or RGB (rows, columns, 3).

    The whole picture is squeezed to a square, as the pictures of the data set were.

    Raises:
        UnsupportedImage: the picture is coloured (Doppler), tiny, without contrast, or mostly black: a whole screen
            with margins instead of a picture cut to the tissue.
    """
    plain = require_grey(array)
    require_contrast(plain)
    black = float(np.mean(plain <= plain.min() + BLACK * float(np.ptp(plain))))
    if black > LARGEST_BLACK:
        raise UnsupportedImage(
            f"{100 * black:.0f}% of the picture is black; this model reads pictures cut to the tissue", black=black
        )
    return stretched(resized(plain, SIDE, SIDE), 0.5, 99.5)[None]
