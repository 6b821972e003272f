"""A small residual classifier of pictures.

Pre-activation residual blocks (He et al., "Identity Mappings in Deep Residual Networks", ECCV 2016) with group norm
(Wu and He, ECCV 2018), so that a result does not depend on the rest of its batch; shortcuts that average before they
project (He et al., "Bag of Tricks", CVPR 2019).
"""

from __future__ import annotations

from typing import cast

from torch import Tensor, nn

NORM_GROUPS = 8


def group_norm(channels: int) -> nn.GroupNorm:
    """Group norm of at most ``NORM_GROUPS`` groups that divide ``channels``."""
    groups = next(count for count in range(min(NORM_GROUPS, channels), 0, -1) if channels % count == 0)
    return nn.GroupNorm(groups, channels)


class ResidualBlock(nn.Module):
    """Norm, ReLU, 3x3, norm, ReLU, 3x3 beside a shortcut; ``stride`` 2 halves rows and columns (rounded up)."""

    def __init__(self, inputs: int, outputs: int, stride: int = 1) -> None:
        super().__init__()
        self.norm_first = group_norm(inputs)
        self.first = nn.Conv2d(inputs, outputs, 3, stride, 1, bias=False)
        self.norm_second = group_norm(outputs)
        self.second = nn.Conv2d(outputs, outputs, 3, 1, 1, bias=False)
        self.activation = nn.ReLU(inplace=True)
        self.shortcut: nn.Module = nn.Identity()
        if stride != 1 or inputs != outputs:
            pool = nn.AvgPool2d(stride, stride, ceil_mode=True, count_include_pad=False)
            self.shortcut = nn.Sequential(pool, nn.Conv2d(inputs, outputs, 1, bias=False))

    def forward(self, x: Tensor) -> Tensor:
        """Map (N, inputs, H, W) to (N, outputs, H', W')."""
        y = self.first(self.activation(self.norm_first(x)))
        y = self.second(self.activation(self.norm_second(y)))
        return cast(Tensor, y + self.shortcut(x))


class ResidualClassifier(nn.Module):
    """(N, channels, H, W) to logits (N, classes); any size from 32 pixels.

    Args:
        channels: of the input.
        classes: logits.
        width: channels of the first stage; each stage has twice those of the one before, on half the rows and columns.
        blocks: residual blocks of each stage. The first stage works on a quarter of the input's rows and columns.
        dropout: of the embedding.

    ``last_convolution`` is the layer whose output a class activation map weighs: (N, ``embedding``, H', W').
    """

    def __init__(
        self,
        channels: int,
        classes: int,
        width: int = 24,
        blocks: tuple[int, ...] = (1, 2, 2, 2),
        dropout: float = 0.2,
    ) -> None:
        super().__init__()
        self.stem = nn.Conv2d(channels, width, 5, 2, 2, bias=False)
        stages: list[nn.Module] = []
        inputs = width
        for level, count in enumerate(blocks):
            outputs = width * 2**level
            stages += [ResidualBlock(inputs if i == 0 else outputs, outputs, 2 if i == 0 else 1) for i in range(count)]
            inputs = outputs
        self.trunk = nn.Sequential(*stages)
        self.embedding = inputs
        self.norm_trunk = group_norm(inputs)
        self.last_convolution = nn.Conv2d(inputs, inputs, 1, bias=False)
        self.norm_last = group_norm(inputs)
        self.activation = nn.ReLU(inplace=True)
        self.pool = nn.AdaptiveAvgPool2d(1)
        self.dropout = nn.Dropout(dropout)
        self.head = nn.Linear(inputs, classes)

    def features(self, x: Tensor) -> Tensor:
        """The embedding (N, ``embedding``) from which the last layer decides."""
        y = self.activation(self.norm_trunk(self.trunk(self.stem(x))))
        y = self.activation(self.norm_last(self.last_convolution(y)))
        return cast(Tensor, self.pool(y).flatten(1))

    def forward(self, x: Tensor) -> Tensor:
        """Logits (N, classes)."""
        return cast(Tensor, self.head(self.dropout(self.features(x))))
