"""Returns NaN."""

from __future__ import annotations

import torch

from tests.fakes.models.steps import Threshold, postprocess, preprocess

__all__ = ["network", "postprocess", "preprocess"]


class Diverged(Threshold):
    def forward(self, inputs: torch.Tensor) -> torch.Tensor:
        return inputs * float("nan")


def network() -> torch.nn.Module:
    return Diverged()
