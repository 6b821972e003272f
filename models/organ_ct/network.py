"""The thresholds, as a module: what is declared by a digest is then what decides."""

from __future__ import annotations

import torch
from torch import Tensor, nn

from models.kit.preprocess.thorax import DEFAULT_THRESHOLDS_HU


class Thresholds(nn.Module):
    """HU of any shape to tissue classes 0 to 3 of the same shape, as float32 (`thorax.tissue_classes`)."""

    thresholds_hu: Tensor

    def __init__(self) -> None:
        super().__init__()
        self.register_buffer("thresholds_hu", torch.tensor(DEFAULT_THRESHOLDS_HU))

    def forward(self, x: Tensor) -> Tensor:
        """A value on a threshold is above it."""
        return torch.bucketize(x, self.thresholds_hu, out_int32=True, right=True).float()


def network() -> Thresholds:
    """The module whose thresholds the package ships."""
    return Thresholds()
