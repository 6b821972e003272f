"""Volumes that lie in the patient in any way."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt
from scipy.spatial.transform import Rotation

from node.domain.study import Grid, Volume

SHAPE = (7, 10, 13)
SPACING = (2.5, 0.8, 1.1)  # along slices, rows, columns

# Directions of (k, r, c) in the patient's LPS, as columns.
DIRECTIONS = {
    "axial": np.array([[0, 0, 1], [0, 1, 0], [1, 0, 0]], float),
    "axial from the head": np.array([[0, 0, 1], [0, 1, 0], [-1, 0, 0]], float),
    "sagittal": np.array([[1, 0, 0], [0, 0, 1], [0, -1, 0]], float),
    "coronal": np.array([[0, 0, -1], [-1, 0, 0], [0, -1, 0]], float),
    "oblique": Rotation.from_euler("xyz", [12, -17, 8], degrees=True).as_matrix()
    @ np.array([[0, 0, 1], [0, 1, 0], [1, 0, 0]], float),
}


def volume(direction: str = "axial", shape: tuple[int, int, int] = SHAPE) -> Volume:
    """A smooth volume, different everywhere."""
    affine = np.eye(4)
    affine[:3, :3] = DIRECTIONS[direction] * SPACING
    affine[:3, 3] = (-31.0, 12.5, 77.0)
    k, r, c = np.meshgrid(*(np.linspace(0, 1, size) for size in shape), indexing="ij")
    array: npt.NDArray[np.float32] = (100 * np.sin(3 * k) + 40 * r**2 - 70 * c * k + 5 * r * c).astype(np.float32)
    return Volume(array, Grid(shape, affine, "1.2.3", ()), "MR")
