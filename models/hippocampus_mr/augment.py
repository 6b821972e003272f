"""Random augmentation of one training case: geometry by one resampling, then intensity; torch only."""

import math

import torch
from torch import Tensor
from torch.nn import functional

ROTATION_DEGREES = 15.0
SCALE = 0.15
ELASTIC_VOXELS = 1.5
ELASTIC_NODES = (5, 6, 5)
# Mirrored tensor axes of [z, y, x] by the name used on the command line.
MIRROR_AXES = {"lr": (2,), "inplane": (1, 2), "all": (0, 1, 2)}


def augment(
    image: Tensor, labels: Tensor, size: tuple[int, int, int], mirror: str, generator: torch.Generator
) -> tuple[Tensor, Tensor]:
    """Sample one patch. `image` float32 and `labels` uint8 are [z, y, x]; returns float32 and int64 patches of `size`.

    The patch lies at a random place whose overhang over the image is small; voxels outside repeat the border, as
    the padding of the node does. `mirror` is a key of MIRROR_AXES.
    """
    positions = _positions(image.shape, size, generator)
    whole = torch.tensor(image.shape, dtype=torch.float32)
    # grid_sample wants (x, y, z) in -1..1 over voxel areas (align_corners False).
    sampling = ((2 * positions + 1) / whole - 1).flip(-1)[None]
    patch = functional.grid_sample(
        image[None, None], sampling, mode="bilinear", padding_mode="border", align_corners=False
    )[0, 0]
    truth = functional.grid_sample(
        labels[None, None].float(), sampling, mode="nearest", padding_mode="zeros", align_corners=False
    )[0, 0]
    flipped = [axis for axis in MIRROR_AXES[mirror] if _uniform(generator, 0, 1) < 0.5]
    return _intensity(torch.flip(patch, flipped), generator), torch.flip(truth, flipped).round().long()


def _uniform(generator: torch.Generator, low: float, high: float) -> float:
    return low + (high - low) * float(torch.rand((), generator=generator))


def _positions(shape: torch.Size, size: tuple[int, int, int], generator: torch.Generator) -> Tensor:
    """Source voxel positions [*size, 3] (z, y, x) of a rotated, scaled, shifted and bent patch."""
    axes = [torch.arange(length, dtype=torch.float32) - (length - 1) / 2 for length in size]
    positions = torch.stack(torch.meshgrid(*axes, indexing="ij"), dim=-1)
    if _uniform(generator, 0, 1) < 0.8:
        angles = [math.radians(_uniform(generator, -ROTATION_DEGREES, ROTATION_DEGREES)) for _ in range(3)]
        scale = torch.tensor([_uniform(generator, 1 - SCALE, 1 + SCALE) for _ in range(3)])
        positions = (positions * scale) @ _rotation(angles)
    if _uniform(generator, 0, 1) < 0.3:
        strength = _uniform(generator, 0, ELASTIC_VOXELS)
        nodes = torch.randn((1, 3, *ELASTIC_NODES), generator=generator) * strength
        bend = functional.interpolate(nodes, size=size, mode="trilinear", align_corners=True)[0]
        positions = positions + bend.permute(1, 2, 3, 0)
    slack = [max((whole - part) / 2, 0) + 2 for whole, part in zip(shape, size, strict=True)]
    centre = [(whole - 1) / 2 + _uniform(generator, -free, free) for whole, free in zip(shape, slack, strict=True)]
    return positions + torch.tensor(centre)


def _rotation(angles: list[float]) -> Tensor:
    matrix = torch.eye(3)
    for axis, angle in enumerate(angles):
        turn = torch.eye(3)
        first, second = [other for other in range(3) if other != axis]
        turn[first, first] = turn[second, second] = math.cos(angle)
        turn[first, second], turn[second, first] = -math.sin(angle), math.sin(angle)
        matrix = matrix @ turn
    return matrix


def _intensity(patch: Tensor, generator: torch.Generator) -> Tensor:
    """Contrast, brightness, gamma, bias field, blur and noise, each applied to part of the patches."""
    if _uniform(generator, 0, 1) < 0.3:
        nodes = torch.randn((1, 1, 3, 3, 3), generator=generator) * 0.15
        field = functional.interpolate(nodes, size=patch.shape, mode="trilinear", align_corners=True)[0, 0]
        low = patch.min()
        patch = (patch - low) * torch.exp(field) + low
    if _uniform(generator, 0, 1) < 0.5:
        patch = patch * _uniform(generator, 0.75, 1.3) + _uniform(generator, -0.3, 0.3)
    if _uniform(generator, 0, 1) < 0.4:
        low, high = patch.min(), patch.max()
        unit = ((patch - low) / (high - low + 1e-6)).clamp(0, 1)
        patch = unit ** math.exp(_uniform(generator, -0.45, 0.45)) * (high - low) + low
    if _uniform(generator, 0, 1) < 0.2:
        factor = _uniform(generator, 0.5, 0.9)
        coarse = functional.interpolate(patch[None, None], scale_factor=factor, mode="trilinear", align_corners=False)
        patch = functional.interpolate(coarse, size=patch.shape, mode="trilinear", align_corners=False)[0, 0]
    if _uniform(generator, 0, 1) < 0.3:
        patch = patch + torch.randn(patch.shape, generator=generator) * _uniform(generator, 0, 0.2)
    return patch
