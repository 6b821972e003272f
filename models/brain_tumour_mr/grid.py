"""The network's plane, the same in training and on the node.

Training pictures are whole slices of 250 mm (512 pixels of 0.49 mm, Cheng 2015) stored with 256 pixels. The network
reads 192 pixels of 1.302 mm. On the node each slice is stood upright and brought to that pixel size in its own plane,
whatever the plane is, and cut or padded to the same square around its centre.
"""

from __future__ import annotations

from dataclasses import dataclass, field

import numpy as np
import numpy.typing as npt
from skimage.transform import resize

from models.brain_tumour_mr.upright import Upright

Float = npt.NDArray[np.float32]

SIZE = 192
FIELD_MM = 250.0
PIXEL_MM = FIELD_MM / SIZE
# The head is what is brighter than this part of the bright end; air and its noise are darker.
HEAD = 0.1
BRIGHT_PERCENTILE = 99.5
# Beyond these (in standard deviations of the head) nothing is told apart.
RANGE = (-3.0, 6.0)
LEAST_HEAD = 0.02


def normalised(plane: Float, bright: float) -> Float:
    """One slice with its head at mean 0 and deviation 1, float32 of the same shape.

    ``bright`` is the bright end of the slice (of a training picture) or of its series. A slice with next to no head
    is all zeros, so that noise is not blown up to look like tissue.
    """
    head = plane > HEAD * bright
    if bright <= 0 or head.mean() < LEAST_HEAD:
        return np.zeros_like(plane, dtype=np.float32)
    values = plane[head]
    deviation = max(float(values.std()), 1e-3 * bright)
    return np.asarray(np.clip((plane - values.mean()) / deviation, *RANGE), dtype=np.float32)


def bright_end(plane: Float) -> float:
    """The ``BRIGHT_PERCENTILE`` of a slice."""
    return float(np.percentile(plane, BRIGHT_PERCENTILE))


def from_picture(picture: Float) -> Float:
    """An upright training picture (256, 256) as the network's plane (192, 192)."""
    plane = _resized(picture, (SIZE, SIZE))
    return normalised(plane, bright_end(plane))


def mask_from_picture(mask: npt.NDArray[np.bool_]) -> npt.NDArray[np.uint8]:
    """An upright mask (256, 256) on the network's plane: what covers at least half a pixel there."""
    return np.asarray(_resized(mask.astype(np.float32), (SIZE, SIZE)) >= 0.5, dtype=np.uint8)


@dataclass(frozen=True, slots=True)
class Plan:
    """How slices of (rows, columns) come onto the network's plane.

    Attributes:
        shape: of a slice of the series, stood upright.
        scaled: its shape with pixels of ``PIXEL_MM``.
        inside: first (row, column) of the scaled slice that is on the plane; negative where the plane is larger.
    """

    shape: tuple[int, int]
    scaled: tuple[int, int]
    inside: tuple[int, int]
    upright: Upright = field(default_factory=Upright)

    def windows(self) -> tuple[tuple[slice, slice], tuple[slice, slice]]:
        """The common part, on the scaled slice and on the network's plane."""
        on_scaled = [slice(max(0, at), min(size, at + SIZE)) for at, size in zip(self.inside, self.scaled, strict=True)]
        on_plane = [slice(one.start - at, one.stop - at) for one, at in zip(on_scaled, self.inside, strict=True)]
        return (on_scaled[0], on_scaled[1]), (on_plane[0], on_plane[1])


def plan(shape: tuple[int, int], spacing_mm: tuple[float, float], upright: Upright | None = None) -> Plan:
    """For slices of ``shape`` (rows, columns) with pixels of ``spacing_mm`` (between rows, between columns), as the
    series has them; ``upright`` says how they are turned, None: they stand.
    """
    upright = upright or Upright()
    if upright.exchanged:
        shape, spacing_mm = (shape[1], shape[0]), (spacing_mm[1], spacing_mm[0])
    rows, columns = (max(1, round(size * mm / PIXEL_MM)) for size, mm in zip(shape, spacing_mm, strict=True))
    return Plan(shape, (rows, columns), ((rows - SIZE) // 2, (columns - SIZE) // 2), upright)


def from_series(array: Float, planned: Plan) -> Float:
    """Slices (k, r, c) of a series as the network's planes (k, 192, 192)."""
    array = planned.upright.raised(array)
    on_scaled, on_plane = planned.windows()
    bright = max(bright_end(one) for one in array)
    planes = np.zeros((len(array), SIZE, SIZE), dtype=np.float32)
    for index, one in enumerate(array):
        scaled = _resized(one, planned.scaled)
        here = bright_end(scaled)
        # A slice much darker than the series (beyond the head) is measured by the series.
        picture = normalised(scaled, here if here > HEAD * bright else bright)
        planes[index] = picture.min()
        planes[index][on_plane] = picture[on_scaled]
    return planes


def to_series(probability: Float, planned: Plan) -> Float:
    """Values on the network's planes (k, 192, 192) back on the slices of the series (k, r, c); 0 outside the plane."""
    on_scaled, on_plane = planned.windows()
    back = np.zeros((len(probability), *planned.shape), dtype=np.float32)
    for index, one in enumerate(probability):
        scaled = np.zeros(planned.scaled, dtype=np.float32)
        scaled[on_scaled] = one[on_plane]
        back[index] = _resized(scaled, planned.shape)
    return planned.upright.laid_back(back)


def _resized(plane: Float, shape: tuple[int, int]) -> Float:
    """Bilinear, without aliasing where the picture becomes smaller; values keep their range."""
    made = resize(plane, shape, order=1, anti_aliasing=True, preserve_range=True)
    return np.asarray(made, dtype=np.float32)
