"""What the network reads: pictures of ``SIZE`` pixels of about 0.7 mm, and how they are normalised.

The training crops were stretched from their least to their greatest value: neither HU nor mm are known. Mean 0 and
deviation 1 undo any stretch, so that crops of the set and patches of a scan in HU come out alike.
"""

from __future__ import annotations

import hashlib

import numpy as np
import numpy.typing as npt

Float = npt.NDArray[np.float32]

SIZE = 80
# Pixels of the LIDC scans measure 0.46 to 0.98 mm, about 0.7 mm at the median (Armato, Medical Physics 2011).
PIXEL_MM = 0.7
RANGE = 3.5


def normalised(crop: Float) -> Float:
    """(rows, columns) with mean 0 and deviation 1, cut off at ``RANGE``; zeros where there is no contrast."""
    deviation = float(crop.std())
    if deviation < 1e-3:
        return np.zeros_like(crop, dtype=np.float32)
    return np.asarray(np.clip((crop - crop.mean()) / deviation, -RANGE, RANGE), dtype=np.float32)


def corner(name: str, size: int) -> tuple[int, int]:
    """Where the window of a case begins in its crop of ``size`` pixels: at random, the same for ever.

    The nodule stands in the middle of every crop; a network that was shown nothing else would find the middle.
    """
    digest = hashlib.sha256(name.encode()).digest()
    room = size - SIZE + 1
    return int.from_bytes(digest[:4], "big") % room, int.from_bytes(digest[4:8], "big") % room


def window(crop: npt.NDArray[np.generic], name: str) -> npt.NDArray[np.generic]:
    """The (SIZE, SIZE) window of a crop that belongs to the case ``name``."""
    row, column = corner(name, min(crop.shape[:2]))
    return crop[row : row + SIZE, column : column + SIZE]
