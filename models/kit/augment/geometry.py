"""Where a pixel of an augmented picture comes from: mirrors and quarter turns exactly, the rest by one resampling.

Pictures are (C, H, W), masks (H, W); both go through the same motion, the picture linearly, the mask by the nearest
pixel. Positions are (row, column) in pixels, the centre of the first pixel at 0.
"""

from __future__ import annotations

import math
from typing import Literal

import torch
from torch import Tensor
from torch.nn import functional

Fill = Literal["zeros", "border", "reflection"]
Pair = tuple[Tensor, Tensor | None]


def uniform(low: float, high: float, generator: torch.Generator) -> float:
    """A number between ``low`` and ``high``."""
    return low + (high - low) * float(torch.rand((), generator=generator))


def turned(image: Tensor, mask: Tensor | None, mirror: tuple[int, ...], quarters: int) -> Pair:
    """Mirrored along the axes ``mirror`` (0 rows, 1 columns), then turned by ``quarters`` of a full turn; exact."""
    if mirror:
        image = image.flip([axis + 1 for axis in mirror])
        mask = None if mask is None else mask.flip(list(mirror))
    if quarters % 4:
        image = image.rot90(quarters, (1, 2))
        mask = None if mask is None else mask.rot90(quarters, (0, 1))
    return image, mask


def padded(image: Tensor, mask: Tensor | None, size: tuple[int, int], fill: Fill) -> Pair:
    """At least ``size`` rows and columns, the picture in the middle; reflection where the picture is large enough."""
    rows, columns = (max(0, wanted - got) for wanted, got in zip(size, image.shape[1:], strict=True))
    if not rows and not columns:
        return image, mask
    amounts = [columns // 2, columns - columns // 2, rows // 2, rows - rows // 2]
    mode = {"zeros": "constant", "border": "replicate", "reflection": "reflect"}[fill]
    if mode == "reflect" and (max(amounts[:2]) >= image.shape[2] or max(amounts[2:]) >= image.shape[1]):
        mode = "replicate"
    image = functional.pad(image[None], amounts, mode)[0]
    if mask is not None:
        mask = functional.pad(mask[None, None].float(), amounts, mode)[0, 0].to(mask.dtype)
    return image, mask


def cut(image: Tensor, mask: Tensor | None, offset: tuple[int, int], size: tuple[int, int]) -> Pair:
    """The window of ``size`` from ``offset``, exact."""
    rows, columns = (slice(start, start + length) for start, length in zip(offset, size, strict=True))
    return image[:, rows, columns], None if mask is None else mask[rows, columns]


def linear_map(degrees: float, scale: tuple[float, float]) -> Tensor:
    """2x2: from an offset in the augmented picture to the offset in the source; ``scale`` enlarges what is shown."""
    angle = math.radians(degrees)
    rotation = torch.tensor([[math.cos(angle), -math.sin(angle)], [math.sin(angle), math.cos(angle)]])
    return rotation / torch.tensor(scale)


def elastic_field(size: tuple[int, int], cells: int, amplitude: float, generator: torch.Generator) -> Tensor:
    """Smooth displacements (H, W, 2) in pixels, with standard deviation ``amplitude`` on ``cells`` x ``cells`` knots.

    Simard, Steinkraus and Platt, ICDAR 2003, with cubic interpolation between knots for their Gaussian.
    """
    knots = amplitude * torch.randn(1, 2, cells, cells, generator=generator)
    smooth = functional.interpolate(knots, size, mode="bicubic", align_corners=True)
    return smooth[0].movedim(0, -1)


def positions(
    offset: tuple[int, int], size: tuple[int, int], matrix: Tensor, shift: tuple[float, float], field: Tensor | None
) -> Tensor:
    """Source positions (H, W, 2) of a window of ``size`` from ``offset``, moved by ``matrix`` about its centre."""
    centre = torch.tensor([(length - 1) / 2 for length in size])
    rows, columns = (torch.arange(length, dtype=torch.float32) for length in size)
    grid = torch.stack(torch.meshgrid(rows, columns, indexing="ij"), dim=-1) - centre
    found = grid @ matrix.T + centre + torch.tensor([float(start) for start in offset]) + torch.tensor(shift)
    return found if field is None else found + field


def sampled(image: Tensor, mask: Tensor | None, where: Tensor, fill: Fill) -> Pair:
    """Picture and mask at the source positions ``where`` (H, W, 2); outside the source as ``fill`` says."""
    lengths = torch.tensor(image.shape[1:], dtype=torch.float32)
    grid = ((2 * where + 1) / lengths - 1).flip(-1)[None]
    moved = functional.grid_sample(image[None], grid, "bilinear", fill, align_corners=False)[0]
    if mask is None:
        return moved, None
    nearest = functional.grid_sample(mask[None, None].float(), grid, "nearest", fill, align_corners=False)[0, 0]
    return moved, nearest.to(mask.dtype)
