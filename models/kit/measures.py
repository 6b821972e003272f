"""Sizes of what was found, in the patient's millimetres."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt
from scipy.spatial import ConvexHull, QhullError
from scipy.spatial.distance import pdist

Mask = npt.NDArray[np.bool_]


def longest_in_plane_mm(mask: Mask, spacing_mm: tuple[float, float]) -> float:
    """The longest straight line in any one slice of ``mask`` (k, r, c), between outer corners of its pixels.

    As RECIST 1.1 measures a lesion (Eisenhauer et al., European Journal of Cancer 2009): in the plane of the images,
    on the slice where it is longest. ``spacing_mm`` is (between rows, between columns); 0 of an empty mask.
    """
    return max((_longest(one, spacing_mm) for one in mask if one.any()), default=0.0)


def _longest(plane: Mask, spacing_mm: tuple[float, float]) -> float:
    rows, columns = np.nonzero(plane)
    corners = [(rows + dr, columns + dc) for dr in (0, 1) for dc in (0, 1)]
    points = np.concatenate([np.stack(one, axis=1) for one in corners]) * np.asarray(spacing_mm)
    try:
        points = points[ConvexHull(points).vertices]
    except QhullError:
        points = np.unique(points, axis=0)
    return float(pdist(points).max())
