"""The network: a small residual 3D U-Net, and the search for the orientation in which it understands its input.

Shapes: input float32 [N, 1, D, H, W] on the training grid (`grid.py`), D, H and W multiples of `DIVISOR`;
output logits float32 [N, 3, D, H, W] for background, anterior and posterior hippocampus.
"""

from itertools import pairwise, permutations
from typing import cast

import torch
from torch import Tensor, nn

CHANNELS = (16, 32, 64, 128)
CLASSES = 3
DIVISOR = 2 ** (len(CHANNELS) - 1)
# Every way to lay the array axes along the patient's, up to a left-right mirror (one hippocampus mirrored is the other
# one): an order of the tensor axes [N, C, z, y, x], then the axes to mirror. The declared orientation comes first,
# the one turned by 180 degrees about the long axis of the body second.
Orientation = tuple[tuple[int, int, int], tuple[int, ...]]
ORIENTATIONS: tuple[Orientation, ...] = tuple(
    ((order[0], order[1], order[2]), mirrored)
    for order in permutations((2, 3, 4))
    for mirrored in ((), (3,), (2,), (2, 3))
)
LEFT_RIGHT = (4,)
# Entropy in nats per voxel of hippocampus (`doubt`). Below it the search ends: 30 training cases had at most 0.25 in
# the right and at least 0.29 in any wrong orientation (MODEL_CARD.md, "Orientation").
CLEAR = 0.26


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


class OrientationSearch(nn.Module):
    """Segments in the orientation in which `single` is least uncertain, averaged over a left-right mirror.

    `single` knows the patient's orientation from training: shown a hippocampus upside down, back to front or with
    axes exchanged, it is far less certain. So a series whose declared orientation is wrong (an array wrapped as DICOM
    without regard to its axes) is segmented as well as one that declares it rightly.
    """

    def __init__(self, single: nn.Module, clear: float = CLEAR) -> None:
        super().__init__()
        self.single = single
        self.clear = clear

    def forward(self, x: Tensor) -> Tensor:
        """Map [N, 1, D, H, W] to log-probabilities [N, classes, D, H, W] (usable as logits), sample by sample.

        While it is trained, `single` as it is: what is to learn an orientation cannot search for it.
        """
        if self.training:
            return torch.log_softmax(self.single(x), dim=1)
        return torch.cat([self._segment(sample) for sample in torch.split(x, 1)])

    def _segment(self, x: Tensor) -> Tensor:
        orientation, probabilities = self.choose(x)
        mirrored = torch.flip(self._probabilities(torch.flip(turn(x, orientation), LEFT_RIGHT)), LEFT_RIGHT)
        return torch.log(turn_back((probabilities + mirrored) / 2, orientation).clamp_min(1e-7))

    def choose(self, x: Tensor) -> tuple[Orientation, Tensor]:
        """The orientation of least `doubt` for one sample, and the probabilities in that orientation."""
        best, lowest, chosen = ORIENTATIONS[0], float("inf"), x
        for orientation in ORIENTATIONS:
            probabilities = self._probabilities(turn(x, orientation))
            uncertainty = doubt(probabilities)
            if uncertainty < lowest:
                best, lowest, chosen = orientation, uncertainty, probabilities
            if lowest < self.clear:
                break
        return best, chosen

    def _probabilities(self, x: Tensor) -> Tensor:
        return torch.softmax(self.single(x.contiguous()).float(), dim=1)


def turn(x: Tensor, orientation: Orientation) -> Tensor:
    """Transpose and mirror [N, C, ...]."""
    order, mirrored = orientation
    return torch.flip(x.permute(0, 1, *order), mirrored)


def turn_back(x: Tensor, orientation: Orientation) -> Tensor:
    """The inverse of `turn`."""
    order, mirrored = orientation
    back = [2 + order.index(axis) for axis in (2, 3, 4)]
    return torch.flip(x, mirrored).permute(0, 1, *back)


def doubt(probabilities: Tensor) -> float:
    """Entropy of [1, classes, ...] in nats, summed over the image, per voxel of hippocampus expected.

    Per voxel found, because in some wrong orientations the network is quite sure that there is next to nothing.
    """
    entropy = torch.special.entr(probabilities).sum()
    return float(entropy / probabilities[:, 1:].sum().clamp_min(1.0))


def network() -> nn.Module:
    """The module that the node runs; its weights are the keys of `weights.safetensors` (prefix `single.`)."""
    return OrientationSearch(ResidualUNet())
