"""What a map has to beat: by how much an answer falls when a random part of the picture is taken away."""

from __future__ import annotations

import numpy as np
import torch
from torch import Tensor, nn

from models.kit.explain.faithfulness import fall
from models.kit.explain.input_map import blurred

DRAWS = 12


def fall_by_chance(network: nn.Module, inputs: Tensor, class_index: int) -> float:
    """Mean over ``DRAWS`` smooth random maps, the same in every run."""
    generator = torch.Generator().manual_seed(0)
    maps = [blurred(torch.randn((1, 1, *inputs.shape[2:]), generator=generator))[0, 0].numpy() for _ in range(DRAWS)]
    return float(np.mean([fall(network, inputs, class_index, one) for one in maps]))
