"""Where a pixel of an augmented picture or volume comes from: mirrors and quarter turns exactly, the rest by one
resampling.

Pictures are (C, H, W) with masks (H, W), volumes (C, D, H, W) with masks (D, H, W); both go through the same motion,
the values linearly, the mask by the nearest pixel. Positions are (row, column), of volumes (slice, row, column), in
pixels, the centre of the first one at 0.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from itertools import combinations
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
    """Mirrored along the spatial axes ``mirror``, then turned by ``quarters`` of a full turn in the plane of rows and
    columns; exact."""
    if mirror:
        image = image.flip([axis + 1 for axis in mirror])
        mask = None if mask is None else mask.flip(list(mirror))
    if quarters % 4:
        image = image.rot90(quarters, (-2, -1))
        mask = None if mask is None else mask.rot90(quarters, (-2, -1))
    return image, mask


def padded(image: Tensor, mask: Tensor | None, size: Sequence[int], fill: Fill) -> Pair:
    """At least ``size`` along each axis, the picture in the middle; reflection where the picture is large enough."""
    missing = [max(0, wanted - got) for wanted, got in zip(size, image.shape[1:], strict=True)]
    if not any(missing):
        return image, mask
    # The last axis comes first, each with its near and its far end.
    amounts = [part for one in reversed(missing) for part in (one // 2, one - one // 2)]
    mode = {"zeros": "constant", "border": "replicate", "reflection": "reflect"}[fill]
    if mode == "reflect" and any(one - one // 2 >= got for one, got in zip(missing, image.shape[1:], strict=True)):
        mode = "replicate"
    image = functional.pad(image[None], amounts, mode)[0]
    if mask is not None:
        mask = functional.pad(mask[None, None].float(), amounts, mode)[0, 0].to(mask.dtype)
    return image, mask


def cut(image: Tensor, mask: Tensor | None, offset: Sequence[int], size: Sequence[int]) -> Pair:
    """The window of ``size`` from ``offset``, exact."""
    window = tuple(slice(start, start + length) for start, length in zip(offset, size, strict=True))
    return image[(slice(None), *window)], None if mask is None else mask[window]


def linear_map(degrees: float | Sequence[float], scale: Sequence[float]) -> Tensor:
    """From an offset in the augmented picture to the offset in the source; ``scale`` enlarges what is shown.

    2x2 by one angle; 3x3 by three, which turn in the planes of the axes (0, 1), (0, 2) and (1, 2), in this order.
    """
    angles = [degrees] if isinstance(degrees, int | float) else list(degrees)
    rotation = torch.eye(len(scale))
    for angle, plane in zip(map(math.radians, angles), combinations(range(len(scale)), 2), strict=True):
        turn = torch.eye(len(scale))
        first, second = plane
        turn[first, first] = turn[second, second] = math.cos(angle)
        turn[first, second], turn[second, first] = -math.sin(angle), math.sin(angle)
        rotation = rotation @ turn
    return rotation / torch.tensor(scale)


def elastic_field(size: Sequence[int], cells: int, amplitude: float, generator: torch.Generator) -> Tensor:
    """Smooth displacements (*size, axes) in pixels, with standard deviation ``amplitude`` on ``cells`` knots an axis.

    Simard, Steinkraus and Platt, ICDAR 2003, with cubic (in volumes linear) interpolation between knots for their
    Gaussian.
    """
    axes = len(size)
    knots = amplitude * torch.randn(1, axes, *[cells] * axes, generator=generator)
    return smooth(knots, size)[0].movedim(0, -1)


def smooth(knots: Tensor, size: Sequence[int]) -> Tensor:
    """Knots (N, C, ...) on a grid of ``size``, the outer ones on its border: cubic of pictures, linear of volumes."""
    mode = "bicubic" if len(size) == 2 else "trilinear"
    return functional.interpolate(knots, tuple(size), mode=mode, align_corners=True)


def positions(
    offset: Sequence[int], size: Sequence[int], matrix: Tensor, shift: Sequence[float], field: Tensor | None
) -> Tensor:
    """Source positions (*size, axes) of a window of ``size`` from ``offset``, moved by ``matrix`` about its centre."""
    centre = torch.tensor([(length - 1) / 2 for length in size])
    ticks = [torch.arange(length, dtype=torch.float32) for length in size]
    grid = torch.stack(torch.meshgrid(*ticks, indexing="ij"), dim=-1) - centre
    found = grid @ matrix.T + centre + torch.tensor([float(start) for start in offset]) + torch.tensor(shift)
    return found if field is None else found + field


def sampled(image: Tensor, mask: Tensor | None, where: Tensor, fill: Fill) -> Pair:
    """Values and mask at the source positions ``where`` (*size, axes); outside the source as ``fill`` says."""
    lengths = torch.tensor(image.shape[1:], dtype=torch.float32)
    grid = ((2 * where + 1) / lengths - 1).flip(-1)[None]
    # Of volumes "bilinear" is trilinear.
    moved = functional.grid_sample(image[None], grid, "bilinear", fill, align_corners=False)[0]
    if mask is None:
        return moved, None
    nearest = functional.grid_sample(mask[None, None].float(), grid, "nearest", fill, align_corners=False)[0, 0]
    return moved, nearest.to(mask.dtype)
