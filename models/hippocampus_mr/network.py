"""The network: a small residual 3D U-Net, flip-averaged when it is used.

Shapes: input float32 [N, 1, D, H, W] on the training grid (`grid.py`), D, H and W multiples of `DIVISOR`;
output logits float32 [N, 3, D, H, W] for background, anterior and posterior hippocampus.
"""

from itertools import pairwise
from typing import cast

import torch
from torch import Tensor, nn

CHANNELS = (16, 32, 64, 128)
CLASSES = 3
DIVISOR = 2 ** (len(CHANNELS) - 1)
# Tensor axes of [N, C, z, y, x] that are mirrored for averaging: left-right and anterior-posterior.
FLIPS: tuple[tuple[int, ...], ...] = ((), (4,), (3,), (3, 4))


class ResidualBlock(nn.Module):
    """Two 3x3x3 convolutions with instance norm and a shortcut; `stride` 2 halves every axis."""

    def __init__(self, inputs: int, outputs: int, stride: int = 1) -> None:
        super().__init__()
        self.first = nn.Conv3d(inputs, outputs, 3, stride, 1, bias=False)
        self.norm_first = nn.InstanceNorm3d(outputs, affine=True)
        self.second = nn.Conv3d(outputs, outputs, 3, 1, 1, bias=False)
        self.norm_second = nn.InstanceNorm3d(outputs, affine=True)
        self.shortcut: nn.Module = nn.Identity()
        if stride != 1 or inputs != outputs:
            self.shortcut = nn.Conv3d(inputs, outputs, 1, stride, bias=True)
        self.activation = nn.LeakyReLU(0.01, inplace=True)

    def forward(self, x: Tensor) -> Tensor:
        """Map [N, inputs, ...] to [N, outputs, ...]."""
        y = self.activation(self.norm_first(self.first(x)))
        y = self.norm_second(self.second(y))
        return cast(Tensor, self.activation(y + self.shortcut(x)))


class ResidualUNet(nn.Module):
    """Encoder and decoder of residual blocks, one block per level and side."""

    def __init__(self, channels: tuple[int, ...] = CHANNELS, classes: int = CLASSES) -> None:
        super().__init__()
        sizes = list(pairwise(channels))
        self.stem = ResidualBlock(1, channels[0])
        self.down = nn.ModuleList(ResidualBlock(fine, coarse, 2) for fine, coarse in sizes)
        self.up = nn.ModuleList(nn.ConvTranspose3d(coarse, fine, 2, 2) for fine, coarse in reversed(sizes))
        self.merge = nn.ModuleList(ResidualBlock(2 * fine, fine) for fine, _ in reversed(sizes))
        self.head = nn.Conv3d(channels[0], classes, 1)

    def forward(self, x: Tensor) -> Tensor:
        """Map [N, 1, D, H, W] to logits [N, classes, D, H, W]."""
        levels = [self.stem(x)]
        for down in self.down:
            levels.append(down(levels[-1]))
        y = levels.pop()
        for up, merge in zip(self.up, self.merge, strict=True):
            y = merge(torch.cat((up(y), levels.pop()), dim=1))
        return cast(Tensor, self.head(y))


class FlipAveraged(nn.Module):
    """Averages class probabilities over mirrored copies of the input.

    With all four in-plane mirrors the answer does not depend on whether the series declares the patient's
    left-right and anterior-posterior directions correctly: mirroring the input mirrors the output exactly.
    """

    def __init__(self, single: nn.Module, flips: tuple[tuple[int, ...], ...] = FLIPS) -> None:
        super().__init__()
        self.single = single
        self.flips = flips

    def forward(self, x: Tensor) -> Tensor:
        """Map [N, 1, D, H, W] to log-probabilities [N, classes, D, H, W] (usable as logits)."""
        total = torch.zeros((), dtype=torch.float32, device=x.device)
        for axes in self.flips:
            logits = self.single(torch.flip(x, axes) if axes else x).float()
            probabilities = torch.softmax(logits, dim=1)
            total = total + (torch.flip(probabilities, axes) if axes else probabilities)
        return torch.log((total / len(self.flips)).clamp_min(1e-7))


def network() -> nn.Module:
    """The module that the node runs; its weights are the keys of `weights.safetensors` (prefix `single.`)."""
    return FlipAveraged(ResidualUNet())
