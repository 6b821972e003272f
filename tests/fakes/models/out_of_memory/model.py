"""Asks for more memory than there is."""

from __future__ import annotations

import torch

from tests.fakes.models.steps import Threshold, postprocess, preprocess

__all__ = ["network", "postprocess", "preprocess"]


class Greedy(Threshold):
    def forward(self, inputs: torch.Tensor) -> torch.Tensor:
        return torch.empty(2**60, dtype=torch.float32, device=inputs.device)


def network() -> torch.nn.Module:
    return Greedy()
