"""Whether a CT shows the body to its edge, and an organ to its ends. Pure.

Arrays are (k, rows, columns) in Hounsfield units.
"""

from __future__ import annotations

import numpy as np
import numpy.typing as npt
from scipy import ndimage

from node.domain.quality import QualityLimits
from node.errors import IncompleteOrgan, TruncatedFieldOfView
from node.infer.quality.checks import Judged, judged, measured, percent

Float = npt.NDArray[np.float32]
Mask = npt.NDArray[np.bool_]

# Above it lies the body; tables and clothes are hardly denser.
BODY_HU = -300.0
LUNG_HU = (-1050.0, -400.0)
# The edge is looked at a little inside: reconstructions blur there.
INSET_PIXELS = 3
# An end shows the lungs if it has more than this share of the largest slice's.
LARGEST_END = 0.5
LUNGS = "lungs"
SAMPLED_SLICES, STEP = 12, 4


def truncation(array: Float, limits: QualityLimits) -> Judged:
    """The share of the field's edge, over all slices, behind which the body goes on."""
    rows, columns = edge_of(array[len(array) // 2])
    share = float(np.mean(array[:, rows, columns] > BODY_HU))
    name, kind = "truncated field of view", TruncatedFieldOfView
    found = f"{percent(share)} of the edge shows the body"
    if limits.truncated_at_most is None:
        return measured(name, kind, found, "no limit declared", share)
    limit = limits.truncated_at_most
    sentence = (
        f"the body is cut off at {percent(share)} of the edge of the field of view; this model needs at most "
        f"{percent(limit)}"
    )
    return judged(name, kind, share <= limit, found, f"at most {percent(limit)}", sentence, share, limit)


def edge_of(plane: Float) -> tuple[npt.NDArray[np.intp], npt.NDArray[np.intp]]:
    """Rows and columns of the edge: of the circle where nothing was reconstructed outside it, else of the image."""
    height, width = plane.shape
    if not _is_circle(plane):
        inset = min(INSET_PIXELS, (min(plane.shape) - 1) // 2)
        frame = np.zeros(plane.shape, dtype=bool)
        frame[inset : height - inset, inset : width - inset] = True
        frame[inset + 1 : height - inset - 1, inset + 1 : width - inset - 1] = False
        rows, columns = np.nonzero(frame)
        return rows, columns
    angle = np.linspace(0, 2 * np.pi, 4 * min(plane.shape), endpoint=False)
    radius = min(plane.shape) / 2 - 1 - INSET_PIXELS
    centre = (height - 1) / 2, (width - 1) / 2
    return (
        np.rint(centre[0] + radius * np.sin(angle)).astype(np.intp),
        np.rint(centre[1] + radius * np.cos(angle)).astype(np.intp),
    )


def whole_organ(array: Float, limits: QualityLimits) -> Judged:
    """Whether the lungs end before the first and the last slice do; asked for where the model declares it."""
    name, kind = "whole organ along the slices", IncompleteOrgan
    if limits.whole_organ != LUNGS:
        return measured(name, kind, "not looked at", "no organ declared")
    sampled = np.unique(np.linspace(0, len(array) - 1, SAMPLED_SLICES).round().astype(int))
    areas = [_enclosed_air(array[k, ::STEP, ::STEP]) for k in sampled]
    largest = max(areas)
    share = max(areas[0], areas[-1]) / largest if largest else 1.0
    return judged(
        name,
        kind,
        share <= LARGEST_END,
        f"an end slice shows {percent(share)} of the largest area of the lungs",
        f"at most {percent(LARGEST_END)}",
        "the lungs go on beyond the first or the last slice: a part of them was not imaged"
        if largest
        else "no lung is in the images",
        share,
        LARGEST_END,
    )


def _is_circle(plane: Float) -> bool:
    """Whether nothing was reconstructed outside the inscribed circle: there the slice has one value, its lowest."""
    height, width = plane.shape
    reach = max(1, int(0.1 * min(height, width)))
    corners = [plane[:reach, 0], plane[:reach, -1], plane[-reach:, 0], plane[-reach:, -1]]
    return bool(np.all(np.concatenate(corners) == plane.min()))


def _enclosed_air(plane: Float) -> int:
    """Pixels with the values of lung that no path of air joins to the edge of the image."""
    low, high = LUNG_HU
    pieces, count = ndimage.label(plane < high)
    outside = np.unique(np.concatenate([pieces[0], pieces[-1], pieces[:, 0], pieces[:, -1]]))
    inside: Mask = (pieces > 0) & ~np.isin(pieces, outside) & (plane > low)
    return int(inside.sum()) if count else 0
