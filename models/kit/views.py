"""Exact views of a picture, its mirror images and quarter turns: what test-time augmentation looks at."""

from __future__ import annotations

from typing import Literal

import torch
from torch import Tensor

View = Literal["identity", "flip_columns", "flip_rows", "rotate_90", "rotate_180", "rotate_270"]

# Quarter turns and mirrored axes of the last two axes, rows and columns.
TURNS: dict[str, int] = {"rotate_90": 1, "rotate_180": 2, "rotate_270": 3}
FLIPS: dict[str, tuple[int, ...]] = {"identity": (), "flip_columns": (-1,), "flip_rows": (-2,)}


def turned(x: Tensor, view: View) -> Tensor:
    """The view of (..., rows, columns)."""
    return torch.rot90(x, TURNS[view], (-2, -1)) if view in TURNS else torch.flip(x, FLIPS[view])


def turned_back(x: Tensor, view: View) -> Tensor:
    """The inverse of ``turned``."""
    return torch.rot90(x, -TURNS[view], (-2, -1)) if view in TURNS else torch.flip(x, FLIPS[view])
