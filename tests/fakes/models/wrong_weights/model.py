"""Has a network that its weights do not fit."""

from __future__ import annotations

import torch

from tests.fakes.models.steps import postprocess, preprocess

__all__ = ["network", "postprocess", "preprocess"]


def network() -> torch.nn.Module:
    return torch.nn.Conv3d(1, 1, 3)
