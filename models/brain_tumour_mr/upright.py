"""Slices of a head as they are commonly shown: axial with the nose up, coronal and sagittal with the vertex up.

The training pictures stand so; a series may be stored in any way, and says by its geometry in which.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

Float = npt.NDArray[np.float32]

# Of the patient's axis (x to the left, y to the back, z to the head: PS3.3 C.7.6.2.1.1) that a slice is cut across: the
# axis and sign of what points right in the picture, and of what points down. Sagittal slices look to the left.
SHOWN = {0: ((1, 1), (2, -1)), 1: ((0, 1), (2, -1)), 2: ((0, 1), (1, 1))}


@dataclass(frozen=True, slots=True)
class Upright:
    """How slices (k, r, c) of a series are turned: rows and columns exchanged, then their order reversed."""

    exchanged: bool = False
    rows_reversed: bool = False
    columns_reversed: bool = False

    def raised(self, array: Float) -> Float:
        """Slices (k, r, c) of the series as they are shown."""
        turned = array.swapaxes(1, 2) if self.exchanged else array
        return turned[:, :: -1 if self.rows_reversed else 1, :: -1 if self.columns_reversed else 1]

    def laid_back(self, array: Float) -> Float:
        """What is upright (k, rows, columns) as the series has it."""
        turned = array[:, :: -1 if self.rows_reversed else 1, :: -1 if self.columns_reversed else 1]
        return turned.swapaxes(1, 2) if self.exchanged else turned


def upright_of(affine: npt.NDArray[np.float64]) -> Upright:
    """For a grid whose ``affine`` maps (k, r, c, 1) to mm in LPS; oblique slices by the axis that is nearest."""
    down, right = affine[:3, 1], affine[:3, 2]
    across = int(np.argmax(np.abs(np.cross(down, right))))
    (right_axis, right_sign), (down_axis, down_sign) = SHOWN[across]
    exchanged = bool(abs(right[right_axis]) < abs(down[right_axis]))
    if exchanged:
        down, right = right, down
    return Upright(exchanged, bool(down[down_axis] * down_sign < 0), bool(right[right_axis] * right_sign < 0))
