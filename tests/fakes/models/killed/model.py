"""Is killed in the middle of inference."""

from __future__ import annotations

import os
import signal

import torch

from tests.fakes.models.steps import Threshold, postprocess, preprocess

__all__ = ["network", "postprocess", "preprocess"]


class Killed(Threshold):
    def forward(self, inputs: torch.Tensor) -> torch.Tensor:
        os.kill(os.getpid(), signal.SIGKILL)
        return inputs


def network() -> torch.nn.Module:
    return Killed()
