"""Has a bug in its postprocessing."""

from __future__ import annotations

import torch

from node.domain.study import Volume
from tests.fakes.models.steps import network, preprocess

__all__ = ["network", "postprocess", "preprocess"]


def postprocess(outputs: torch.Tensor, volume: Volume) -> object:
    return {}["absent"]
