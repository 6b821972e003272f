"""Does a map depend on what the network has learned? If not, it explains nothing.

Adebayo et al., "Sanity Checks for Saliency Maps", NeurIPS 2018: the weights are randomised layer by layer, from the
last to the first, and the map has to lose its likeness with that of the trained network.
"""

from __future__ import annotations

import copy
from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
import torch
from scipy.stats import rankdata
from torch import nn

from models.kit.task import Array

MINIMUM_DEVIATION = 1e-3


@dataclass(frozen=True, slots=True)
class Randomised:
    """After everything from the last layer back to ``layer`` is random: Spearman's correlation with the true map."""

    layer: str
    correlation: float


def randomisation(network: nn.Module, attribution: Callable[[nn.Module], Array], seed: int = 0) -> list[Randomised]:
    """The cascade over all layers that have weights of their own, from the last to the first.

    Args:
        network: trained; it is left as it is.
        attribution: the map (rows, columns) of one fixed picture and class by the network it is given.
    """
    true_map = attribution(network)
    shaken = copy.deepcopy(network)
    generator = torch.Generator().manual_seed(seed)
    steps = []
    for name, layer in reversed(layers_with_weights(shaken)):
        randomise(layer, generator)
        steps.append(Randomised(name, rank_correlation(true_map, attribution(shaken))))
    return steps


def layers_with_weights(network: nn.Module) -> list[tuple[str, nn.Module]]:
    """Modules that own parameters, by dotted name, in the order in which the network declares them."""
    return [(name, module) for name, module in network.named_modules() if any(True for _ in module.parameters(False))]


def randomise(layer: nn.Module, generator: torch.Generator) -> None:
    """Draw the layer's own parameters anew from a normal distribution with the mean and deviation that each has."""
    with torch.no_grad():
        for parameter in layer.parameters(recurse=False):
            deviation = max(float(parameter.std(correction=0)), MINIMUM_DEVIATION)
            drawn = torch.randn(parameter.shape, generator=generator) * deviation + parameter.mean().cpu()
            parameter.copy_(drawn)


def rank_correlation(first: Array, second: Array) -> float:
    """Spearman's correlation of two maps, equal values sharing their mean rank.

    Two even maps count as the same, 1; an even one and another that is not as unlike, 0.
    """
    even = [bool(np.ptp(values) == 0) for values in (first, second)]
    if any(even):
        return 1.0 if all(even) else 0.0
    return float(np.corrcoef(rankdata(first), rankdata(second))[0, 1])
