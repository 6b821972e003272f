"""Where the network's array lies in the volume: orientation, voxel size, padding, and the way back. Pure.

Interpolation is linear. A new voxel size keeps the centre of the first voxel and ``round((n - 1) * old / new + 1)``
voxels (as ``monai.transforms.Spacing`` does); a new size keeps the outer edges (half-pixel centres).
"""

from __future__ import annotations

from dataclasses import dataclass
from itertools import permutations
from math import ceil

import numpy as np
import numpy.typing as npt
from scipy import ndimage

from node.domain.declared import Preprocessing
from node.domain.study import Volume

Float = npt.NDArray[np.float32]
Triple = tuple[int, int, int]
# DICOM's patient axes (PS3.3 C.7.6.2.1.1): x rises to the left, y to the back (posterior), z to the head (superior).
RISING, FALLING = "LPS", "RAI"


@dataclass(frozen=True, slots=True)
class Layout:
    """From slices, rows, columns to the network's axes.

    Attributes:
        axes: the volume's axis that each axis of the network's array runs along.
        flipped: whether it runs backwards there.
        shape: of the reordered array at the volume's own voxel size.
        scale, offset: index in the reordered array = ``scale`` * index in the resampled one + ``offset``.
        resampled: its shape.
        padding: zeros (before, after) along each axis.
    """

    axes: Triple
    flipped: tuple[bool, bool, bool]
    shape: Triple
    scale: tuple[float, float, float]
    offset: tuple[float, float, float]
    resampled: Triple
    padding: tuple[tuple[int, int], tuple[int, int], tuple[int, int]]

    @property
    def padded(self) -> Triple:
        """The shape of the network's input without its first two axes."""
        a, b, c = (size + before + after for size, (before, after) in zip(self.resampled, self.padding, strict=True))
        return a, b, c

    @property
    def volume(self) -> tuple[int, ...]:
        """The shape of the volume."""
        return tuple(self.shape[axis] for axis in np.argsort(self.axes))

    def to_network(self, array: npt.NDArray[np.float32]) -> Float:
        """The volume's array reordered and resampled, not yet padded."""
        reordered = np.flip(array.transpose(self.axes), self._flips())
        if self._resamples():
            reordered = ndimage.affine_transform(
                reordered, self.scale, self.offset, self.resampled, np.float32, order=1, mode="nearest"
            )
        return np.ascontiguousarray(reordered, dtype=np.float32)

    def from_network(self, array: npt.NDArray[np.float32], nearest: bool = False) -> Float:
        """One channel of the network's output, without padding, back on slices, rows, columns of the volume."""
        inside = tuple(
            slice(before, before + size) for (before, _), size in zip(self.padding, self.resampled, strict=True)
        )
        found = array[inside]
        if self._resamples():
            inverse = [1.0 / scale for scale in self.scale]
            offset = [-offset / scale for scale, offset in zip(self.scale, self.offset, strict=True)]
            found = ndimage.affine_transform(
                found, inverse, offset, self.shape, np.float32, order=0 if nearest else 1, mode="nearest"
            )
        back = np.flip(found, self._flips()).transpose(np.argsort(self.axes))
        return np.ascontiguousarray(back, dtype=np.float32)

    def _flips(self) -> tuple[int, ...]:
        return tuple(axis for axis, flipped in enumerate(self.flipped) if flipped)

    def _resamples(self) -> bool:
        return self.resampled != self.shape or any(scale != 1 for scale in self.scale)


def layout(volume: Volume, steps: Preprocessing, dimensions: int) -> Layout:
    """The layout of ``volume`` for a network of two or three dimensions that wants ``steps``."""
    axes, flipped = _orientation(volume.affine, steps.orientation)
    first, second, third = axes
    shape = (volume.shape[first], volume.shape[second], volume.shape[third])
    spacing = (volume.spacing[first], volume.spacing[second], volume.spacing[third])
    wanted = steps.spacing_mm or (0.0, 0.0, 0.0)
    scale = [new / old if new > 0 else 1.0 for new, old in zip(wanted, spacing, strict=True)]
    resampled = [int(np.round((size - 1) / factor + 1)) for size, factor in zip(shape, scale, strict=True)]
    offset = [0.0, 0.0, 0.0]
    if steps.size is not None:
        for axis, size in zip(range(3)[-len(steps.size) :], steps.size, strict=True):
            stretch = resampled[axis] / size
            offset[axis] = scale[axis] * (stretch - 1) / 2
            scale[axis], resampled[axis] = scale[axis] * stretch, size
    padding = [
        padding_of(size, steps.divisible_by if axis >= 3 - dimensions else 1) for axis, size in enumerate(resampled)
    ]
    return Layout(
        axes,
        flipped,
        shape,
        (scale[0], scale[1], scale[2]),
        (offset[0], offset[1], offset[2]),
        (resampled[0], resampled[1], resampled[2]),
        (padding[0], padding[1], padding[2]),
    )


def _orientation(affine: npt.NDArray[np.float64], code: str) -> tuple[Triple, tuple[bool, bool, bool]]:
    """The volume's axes for ``code``, and which of them to turn round; an oblique axis counts as the one nearest."""
    if not code:
        return (0, 1, 2), (False, False, False)
    directions = affine[:3, :3] / np.linalg.norm(affine[:3, :3], axis=0)
    patient = [(RISING if letter in RISING else FALLING).index(letter) for letter in code]
    axes = max(
        permutations(range(3)), key=lambda order: sum(abs(directions[patient[i], axis]) for i, axis in enumerate(order))
    )
    flips = [
        bool((directions[patient[i], axis] > 0) != (letter in RISING))
        for i, (letter, axis) in enumerate(zip(code, axes, strict=True))
    ]
    return (axes[0], axes[1], axes[2]), (flips[0], flips[1], flips[2])


def padding_of(size: int, divisor: int) -> tuple[int, int]:
    """Zeros before and after ``size`` voxels, so that ``divisor`` divides all of them."""
    added = ceil(size / divisor) * divisor - size
    return added // 2, added - added // 2
