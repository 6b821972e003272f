"""How well one structure is outlined: overlap, surface distance, size.

Arrays of any number of dimensions (2 or 3); lengths in the unit of ``spacing`` (pixels where that is all ones).
Metrics Reloaded (Maier-Hein et al., Nature Methods 2024) says what each can and cannot tell. An outline is the pixels
of a structure that a neighbour (faces, no corners) outside of it touches; distances are SciPy's Euclidean transforms.
"""

from __future__ import annotations

from dataclasses import dataclass
from math import nan

import numpy as np
import numpy.typing as npt
from scipy import ndimage

Mask = npt.NDArray[np.bool_]
Lengths = npt.NDArray[np.float64]


@dataclass(frozen=True, slots=True)
class Overlap:
    """One structure in one image.

    Attributes:
        truth_size, found_size: area or volume, in the unit of the spacing to the power of the dimensions.
        dice: 2 |A and B| / (|A| + |B|); NaN where neither has the structure.
        surface_dice: fraction of both outlines' pixels within the tolerance of the other outline (Nikolov et al., JMIR
            2021); NaN likewise.
        hausdorff95: the larger of the 95th percentiles of the distances from either outline to the other; where only
            one has the structure, the diagonal of the image, so that a miss costs and does not vanish.
        size_error: (found - truth) / truth; NaN where the truth is empty.
    """

    truth_size: float
    found_size: float
    dice: float
    surface_dice: float
    hausdorff95: float
    size_error: float


def overlap(found: Mask, truth: Mask, spacing: tuple[float, ...], tolerance: float) -> Overlap:
    """Compare two masks on one grid.

    Raises:
        ValueError: their shapes differ, or the spacing has other dimensions.
    """
    if found.shape != truth.shape or len(spacing) != truth.ndim:
        raise ValueError(f"masks of {found.shape} and {truth.shape} with spacing {spacing} do not compare")
    unit = float(np.prod(spacing))
    truth_size, found_size = unit * np.count_nonzero(truth), unit * np.count_nonzero(found)
    error = (found_size - truth_size) / truth_size if truth_size else nan
    if not truth_size and not found_size:
        return Overlap(0.0, 0.0, nan, nan, nan, nan)
    if not truth_size or not found_size:
        diagonal = float(np.linalg.norm(np.multiply(truth.shape, spacing)))
        return Overlap(truth_size, found_size, 0.0, 0.0, diagonal, error)
    dice = 2 * unit * np.count_nonzero(found & truth) / (truth_size + found_size)
    there, back = _distances(found, truth, spacing)
    surface = float(np.mean(np.concatenate([there, back]) <= tolerance))
    distance = float(max(np.percentile(there, 95), np.percentile(back, 95)))
    return Overlap(truth_size, found_size, dice, surface, distance, error)


def _distances(found: Mask, truth: Mask, spacing: tuple[float, ...]) -> tuple[Lengths, Lengths]:
    """Of each outline's pixels to the other outline."""
    first, second = _outline(found), _outline(truth)
    to_second, to_first = (ndimage.distance_transform_edt(~edge, sampling=spacing) for edge in (second, first))
    return to_second[first], to_first[second]


def _outline(mask: Mask) -> Mask:
    edge: Mask = mask & ~ndimage.binary_erosion(mask)
    return edge
