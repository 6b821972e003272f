"""Random changes of a training picture: place, side, brightness; none of them knows the disease.

Negatives come from other scanners and other sequences than the tumours. Where contrast, sharpness and noise vary more
than between the two sources, and where most crops of a tumour's picture show healthy tissue too, the source tells
little.
"""

from __future__ import annotations

import math

import torch
from torch import Tensor
from torch.nn import functional

CROP = 144
SCALE = (0.8, 1.25)
ROTATION = math.pi / 10
GAMMA = (0.7, 1.4)
GAIN = (0.75, 1.3)
SHIFT = 0.3
NOISE = 0.15
BLUR_CHANCE = 0.2
LOW, HIGH = -3.0, 6.0


def augment(image: Tensor, mask: Tensor | None, generator: torch.Generator) -> tuple[Tensor, Tensor | None]:
    """(1, H, W) and its mask (H, W) to a slightly turned, mirrored, scaled and shifted crop (1, CROP, CROP)."""
    grid = _grid(image.shape[1:], generator)
    moved = functional.grid_sample(image[None], grid, "bilinear", "border", align_corners=False)[0]
    truth = None
    if mask is not None:
        truth = functional.grid_sample(mask[None, None].float(), grid, "bilinear", "zeros", align_corners=False)[0, 0]
        truth = (truth >= 0.5).to(torch.uint8)
    return _brightness(moved, generator), truth


def _grid(shape: torch.Size, generator: torch.Generator) -> Tensor:
    """Where the pixels of the crop lie in the picture, (1, CROP, CROP, 2) in -1..1."""
    angle = _uniform((-ROTATION, ROTATION), generator)
    scale = math.exp(_uniform((math.log(SCALE[0]), math.log(SCALE[1])), generator))
    mirror = 1.0 if torch.rand((), generator=generator) < 0.5 else -1.0
    rows, columns = shape
    extent = CROP / min(rows, columns) / scale
    room = max(0.0, 1.0 - extent)
    away = [_uniform((-room, room), generator) for _ in range(2)]
    turn = torch.tensor(
        [
            [mirror * extent * math.cos(angle), -extent * math.sin(angle), away[0]],
            [mirror * extent * math.sin(angle), extent * math.cos(angle), away[1]],
        ]
    )
    return functional.affine_grid(turn[None], [1, 1, CROP, CROP], align_corners=False)


def _brightness(image: Tensor, generator: torch.Generator) -> Tensor:
    gamma = math.exp(_uniform((math.log(GAMMA[0]), math.log(GAMMA[1])), generator))
    part = ((image - LOW) / (HIGH - LOW)).clamp(0, 1) ** gamma
    changed = (part * (HIGH - LOW) + LOW) * _uniform(GAIN, generator) + _uniform((-SHIFT, SHIFT), generator)
    if torch.rand((), generator=generator) < BLUR_CHANCE:
        changed = functional.avg_pool2d(changed[None], 3, 1, 1, count_include_pad=False)[0]
    level = _uniform((0.0, NOISE), generator)
    return changed + level * torch.randn(changed.shape, generator=generator)


def _uniform(bounds: tuple[float, float], generator: torch.Generator) -> float:
    return bounds[0] + (bounds[1] - bounds[0]) * float(torch.rand((), generator=generator))
