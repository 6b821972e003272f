"""Integrated gradients as a heat map, on torch alone: which part of its input moves a network's answer.

Sundararajan et al., "Axiomatic Attribution for Deep Networks", ICML 2017, smoothed over a small neighbourhood. Grad-CAM
(``heat_map.py``) weighs the last features by their place. Where norms or a wide view spread a finding over all places,
that place is not the finding's; the input's own gradients do not have this fault. ``faithfulness.py`` measures which
map of a network is to be believed.
"""

from __future__ import annotations

import math
from typing import cast

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor, nn
from torch.nn import functional

from models.kit.explain.heat_map import class_score, region_of, scaled

STEPS = 16
STEPS_AT_ONCE = 8
# The smoothing's deviation, as a part of the larger side.
BLUR = 1 / 32
REACH = 3


def input_map(network: nn.Module, inputs: Tensor, class_index: int, steps: int = STEPS) -> npt.NDArray[np.float32]:
    """The evidence for ``class_index`` as (rows, columns) in 0..1 on the grid of ``inputs``.

    Called like ``heat_map.heat_map``, and as harmless. What speaks against the class is left out; the highest value is
    1, or all are 0.

    Args:
        network: in evaluation mode; gives logits (1, classes) or (1, classes, rows, columns). An ``Ensemble`` too.
        inputs: (1, channels, rows, columns), on any device.
        class_index: as of ``heat_map``.
        steps: between a picture without content, every channel at its mean, and this one.

    Raises:
        ValueError: ``inputs`` is not one picture.
    """
    if inputs.ndim != 4 or inputs.shape[0] != 1:
        raise ValueError(f"a heat map explains one picture (1, channels, rows, columns), not {tuple(inputs.shape)}")
    device = next(network.parameters()).device
    with torch.inference_mode(False), torch.enable_grad(), torch.autocast(device.type, enabled=False):
        # Cloned: a tensor made under inference_mode can never be part of a graph.
        picture = inputs.detach().clone().to(device=device, dtype=torch.float32)
        empty = even_grey(picture)
        with torch.no_grad():
            region = region_of(cast(Tensor, network(picture)), class_index)
        # The middles of equal parts of the way: the midpoint rule.
        places = (torch.arange(steps, device=device) + 0.5) / steps
        gradient = torch.zeros_like(picture)
        for some in torch.split(places, STEPS_AT_ONCE):
            between = (empty + some.view(-1, 1, 1, 1) * (picture - empty)).requires_grad_()
            score = class_score(cast(Tensor, network(between)), class_index, region).sum()
            gradient += torch.autograd.grad(score, between)[0].sum(dim=0, keepdim=True)
        parts = ((picture - empty) * gradient / steps).sum(dim=1, keepdim=True)
        return scaled(functional.relu(blurred(parts)))


def even_grey(inputs: Tensor) -> Tensor:
    """A picture without content: every channel at its own mean."""
    return inputs.mean(dim=(2, 3), keepdim=True).expand_as(inputs).contiguous()


def blurred(values: Tensor) -> Tensor:
    """(1, 1, rows, columns) smoothed by a Gaussian whose deviation is ``BLUR`` of the larger side; borders repeat."""
    deviation = max(values.shape[2:]) * BLUR
    reach = min(math.ceil(REACH * deviation), min(values.shape[2:]) - 1)
    offsets = torch.arange(-reach, reach + 1, device=values.device, dtype=values.dtype)
    weights = torch.exp(-(offsets**2) / (2 * deviation**2))
    weights = weights / weights.sum()
    padded = functional.pad(values, (reach, reach, reach, reach), mode="replicate")
    return functional.conv2d(functional.conv2d(padded, weights.view(1, 1, 1, -1)), weights.view(1, 1, -1, 1))
