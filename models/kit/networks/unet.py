"""Residual U-Nets of two and three dimensions.

Ronneberger et al., "U-Net", MICCAI 2015; residual blocks and strided convolutions as in Isensee et al., "nnU-Net
revisited", MICCAI 2024 (ResEnc). With ``reduction`` 2 the finest level works on blocks of 2 pixels along each axis and
the last layer gives each pixel of a block its own logits (sub-pixel convolution, Shi et al., CVPR 2016).
"""

from __future__ import annotations

from itertools import pairwise
from typing import cast

import torch
from torch import Tensor, nn
from torch.nn import functional

from models.kit.networks.residual import group_norm

CONVOLUTION: dict[int, type[nn.Conv2d] | type[nn.Conv3d]] = {2: nn.Conv2d, 3: nn.Conv3d}
TRANSPOSED: dict[int, type[nn.ConvTranspose2d] | type[nn.ConvTranspose3d]] = {
    2: nn.ConvTranspose2d,
    3: nn.ConvTranspose3d,
}


class UNetBlock(nn.Module):
    """Two convolutions of width 3 with group norm and a shortcut; ``stride`` 2 halves every axis."""

    def __init__(self, dimensions: int, inputs: int, outputs: int, stride: int = 1) -> None:
        super().__init__()
        convolution = CONVOLUTION[dimensions]
        self.first = convolution(inputs, outputs, 3, stride, 1, bias=False)
        self.norm_first = group_norm(outputs)
        self.second = convolution(outputs, outputs, 3, 1, 1, bias=False)
        self.norm_second = group_norm(outputs)
        self.activation = nn.LeakyReLU(0.01, inplace=True)
        self.shortcut: nn.Module = nn.Identity()
        if stride != 1 or inputs != outputs:
            self.shortcut = convolution(inputs, outputs, 1, stride)

    def forward(self, x: Tensor) -> Tensor:
        """Map (N, inputs, ...) to (N, outputs, ...)."""
        y = self.activation(self.norm_first(self.first(x)))
        y = self.norm_second(self.second(y))
        return cast(Tensor, self.activation(y + self.shortcut(x)))


class UNet(nn.Module):
    """(N, channels, ...) to logits (N, classes, ...) of the same size.

    Any size: the input is padded at the far end of each axis to a multiple of ``divisor`` by repeating its border, and
    the logits are cut back.

    Args:
        dimensions: 2 or 3.
        channels: of the input.
        classes: logits of every pixel.
        width: channels on the finest level; doubled on every coarser one up to eight times as many.
        levels: of resolution; the coarsest has one pixel for ``divisor`` = ``reduction`` * 2 ** (levels - 1) along
            each axis.
        dropout: of whole channels on the coarsest level.
        reduction: pixels along each axis in one cell of the finest level, 1 or 2.

    ``last_convolution`` is the last block's last convolution: what a class activation map weighs.
    """

    def __init__(
        self,
        dimensions: int,
        channels: int,
        classes: int,
        width: int = 16,
        levels: int = 5,
        dropout: float = 0.0,
        reduction: int = 1,
    ) -> None:
        super().__init__()
        widths = [width * min(2**level, 8) for level in range(levels)]
        sizes = list(pairwise(widths))
        convolution, transposed = CONVOLUTION[dimensions], TRANSPOSED[dimensions]
        self.divisor = reduction * 2 ** (levels - 1)
        self.embedding = widths[-1]
        inputs = channels * reduction**dimensions
        self.reduce: nn.Module = nn.Identity()
        if reduction > 1:
            self.reduce = convolution(channels, inputs, reduction, reduction)
        self.stem = UNetBlock(dimensions, inputs, widths[0])
        self.down = nn.ModuleList(UNetBlock(dimensions, fine, coarse, 2) for fine, coarse in sizes)
        self.dropout: nn.Module = nn.Dropout2d(dropout) if dimensions == 2 else nn.Dropout3d(dropout)
        self.up = nn.ModuleList(transposed(coarse, fine, 2, 2) for fine, coarse in reversed(sizes))
        self.merge = nn.ModuleList(UNetBlock(dimensions, 2 * fine, fine) for fine, _ in reversed(sizes))
        self.head: nn.Module = convolution(widths[0], classes, 1)
        if reduction > 1:
            self.head = transposed(widths[0], classes, reduction, reduction)

    @property
    def last_convolution(self) -> nn.Module:
        """The finest decoder block's second convolution."""
        return cast(UNetBlock, self.merge[-1]).second

    def features(self, x: Tensor) -> Tensor:
        """The embedding (N, ``embedding``): the mean of the coarsest level."""
        return self._levels(self._padded(x))[-1].flatten(2).mean(2)

    def forward(self, x: Tensor) -> Tensor:
        """Logits (N, classes, ...)."""
        return self.with_coarsest(x)[0]

    def with_coarsest(self, x: Tensor) -> tuple[Tensor, Tensor]:
        """Logits (N, classes, ...), and the coarsest level (N, ``embedding``, ...) from which they come."""
        levels = self._levels(self._padded(x))
        coarsest = levels.pop()
        y = self.dropout(coarsest)
        for up, merge in zip(self.up, self.merge, strict=True):
            y = merge(torch.cat((up(y), levels.pop()), dim=1))
        logits: Tensor = self.head(y)
        for axis in range(2, x.ndim):
            logits = logits.narrow(axis, 0, x.shape[axis])
        return logits, coarsest

    def _padded(self, x: Tensor) -> Tensor:
        missing = [-size % self.divisor for size in x.shape[2:]]
        if not any(missing):
            return x
        return functional.pad(x, [amount for size in reversed(missing) for amount in (0, size)], mode="replicate")

    def _levels(self, x: Tensor) -> list[Tensor]:
        """The encoder's output on every level, the finest first."""
        levels = [self.stem(self.reduce(x))]
        for down in self.down:
            levels.append(down(levels[-1]))
        return levels


class UNet2d(UNet):
    """(N, channels, H, W) to logits (N, classes, H, W); six levels see the whole of a picture of 128-256 pixels."""

    def __init__(
        self,
        channels: int,
        classes: int,
        width: int = 16,
        levels: int = 6,
        dropout: float = 0.0,
        reduction: int = 1,
    ) -> None:
        super().__init__(2, channels, classes, width, levels, dropout, reduction)


class UNet3d(UNet):
    """(N, channels, D, H, W) to logits (N, classes, D, H, W)."""

    def __init__(
        self,
        channels: int,
        classes: int,
        width: int = 16,
        levels: int = 4,
        dropout: float = 0.0,
        reduction: int = 1,
    ) -> None:
        super().__init__(3, channels, classes, width, levels, dropout, reduction)
