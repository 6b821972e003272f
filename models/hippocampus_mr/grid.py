"""From a volume on any grid to the network's training grid and back; the one preprocessing implementation.

The training grid is axial LPS: array axes (z, y, x) that grow towards superior, posterior and left, 1 mm voxels.
Everything here works on numpy arrays and affines; it knows neither DICOM nor NIfTI.
"""

from dataclasses import dataclass
from itertools import permutations

import numpy as np
from numpy.typing import NDArray
from scipy import ndimage

SPACING_MM = 1.0
# Below this relative difference resampling would blur more than the spacing error distorts.
SPACING_TOLERANCE = 0.05
CLIP_PERCENTILES = (0.5, 99.5)
# Array axis i of the training grid runs along this patient axis (0: L, 1: P, 2: S).
PATIENT_AXES = (2, 1, 0)

FloatArray = NDArray[np.float32]


@dataclass(frozen=True)
class TrainingGrid:
    """How a source array maps to the training grid: transpose by `order`, mirror, resample to `shape`, pad."""

    order: tuple[int, int, int]
    mirrored: tuple[bool, bool, bool]
    turned_shape: tuple[int, int, int]
    shape: tuple[int, int, int]
    padding: tuple[tuple[int, int], tuple[int, int], tuple[int, int]]


def training_grid(shape: tuple[int, int, int], affine: NDArray[np.float64], divisor: int) -> TrainingGrid:
    """Plan the mapping for a source array of `shape` whose 4x4 `affine` maps indices to patient LPS in mm.

    `divisor`: the padded size of every axis is a multiple of it. Oblique volumes keep their obliqueness: axes are
    only transposed and mirrored to the nearest patient axis. Raises ValueError on an affine without extent.
    """
    columns = np.asarray(affine, dtype=np.float64)[:3, :3]
    spacing = np.linalg.norm(columns, axis=0)
    if not np.all(np.isfinite(columns)) or np.any(spacing <= 0):
        raise ValueError("affine has an axis without extent")
    cosines = columns / spacing
    order = max(
        permutations(range(3)),
        key=lambda axes: sum(abs(cosines[patient, axis]) for patient, axis in zip(PATIENT_AXES, axes, strict=True)),
    )
    mirrored = [bool(cosines[patient, axis] < 0) for patient, axis in zip(PATIENT_AXES, order, strict=True)]
    turned = [shape[axis] for axis in order]
    zoom = [spacing[axis] / SPACING_MM for axis in order]
    sizes = [
        max(1, round(size * factor)) if abs(factor - 1.0) > SPACING_TOLERANCE else size
        for size, factor in zip(turned, zoom, strict=True)
    ]
    missing = [-size % divisor for size in sizes]
    return TrainingGrid(
        order=(order[0], order[1], order[2]),
        mirrored=(mirrored[0], mirrored[1], mirrored[2]),
        turned_shape=(turned[0], turned[1], turned[2]),
        shape=(sizes[0], sizes[1], sizes[2]),
        padding=(_halves(missing[0]), _halves(missing[1]), _halves(missing[2])),
    )


def to_training(array: NDArray[np.generic], grid: TrainingGrid) -> FloatArray:
    """Source array to float32 [z, y, x] on the training grid: turned, resampled, normalised and padded."""
    turned = turn(np.asarray(array, dtype=np.float32), grid)
    return np.pad(normalise(_resample(turned, grid.shape)), grid.padding, mode="edge")


def from_training(classes: FloatArray, grid: TrainingGrid) -> FloatArray:
    """Class probabilities [C, z, y, x] on the padded training grid back to [C, *source axes]."""
    inner = tuple(slice(before, before + size) for (before, _), size in zip(grid.padding, grid.shape, strict=True))
    cropped = classes[(slice(None), *inner)]
    resampled = np.stack([_resample(part, grid.turned_shape) for part in cropped])
    mirrored = np.flip(resampled, tuple(axis + 1 for axis in range(3) if grid.mirrored[axis]))
    back = np.argsort(grid.order) + 1
    return np.ascontiguousarray(mirrored.transpose(0, *back))


def turn(array: FloatArray, grid: TrainingGrid) -> FloatArray:
    """Transpose and mirror only (also for label arrays): [z, y, x] of the patient, unresampled."""
    turned: FloatArray = np.flip(array.transpose(grid.order), tuple(axis for axis in range(3) if grid.mirrored[axis]))
    return turned


def normalise(array: FloatArray) -> FloatArray:
    """Clip to robust percentiles, then zero mean and unit variance. Raises ValueError on a constant image."""
    low, high = np.percentile(array, CLIP_PERCENTILES)
    clipped = np.clip(array, low, high)
    deviation = float(clipped.std())
    if not np.isfinite(deviation) or deviation <= 0:
        raise ValueError("image has no contrast or holds values that are not finite")
    return np.asarray((clipped - clipped.mean()) / deviation, dtype=np.float32)


def _halves(total: int) -> tuple[int, int]:
    return total // 2, total - total // 2


def _resample(array: FloatArray, shape: tuple[int, int, int]) -> FloatArray:
    """Linear resampling of one array to `shape` with aligned outer borders (voxel areas, not centres, coincide)."""
    if array.shape == shape:
        return array
    factors = [target / size for target, size in zip(shape, array.shape, strict=True)]
    zoomed = ndimage.zoom(array, factors, order=1, mode="nearest", grid_mode=True)
    return np.asarray(zoomed, dtype=np.float32)
