"""Grad-CAM on torch alone: where on its input a network found what it says.

Selvaraju et al., "Grad-CAM: Visual Explanations from Deep Networks via Gradient-based Localization", ICCV 2017; for
segmentation the class score is summed over the class's region (Vinogradova et al., "Towards Interpretable Semantic
Segmentation via Gradient-Weighted Class Activation Mapping", AAAI 2020).

Its places are those of the last features. In a network that spreads what it finds over all of them (group norm divides
each feature by the deviation over the whole picture) they need not be the places of the finding: ``faithfulness.py``
measures it, ``input_map.py`` does without.
"""

from __future__ import annotations

from typing import Any, cast

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor, nn
from torch.nn import functional

DEFAULT_LAYER = "last_convolution"


def heat_map(
    network: nn.Module, inputs: Tensor, class_index: int, layer: nn.Module | str | None = None
) -> npt.NDArray[np.float32]:
    """The evidence for ``class_index`` as (rows, columns) in 0..1 on the grid of ``inputs``.

    May be called anywhere, under ``torch.inference_mode`` and autocast too: it makes its own forward pass with
    gradients, in float32, and leaves neither hooks nor gradients behind. The highest value is 1, or all are 0 where
    nothing speaks for the class.

    Args:
        network: in evaluation mode; gives logits (1, classes) or (1, classes, rows, columns).
        inputs: (1, channels, rows, columns), on any device; it is moved to the network's.
        class_index: whose logit is explained; of a segmentation summed over the pixels where that class wins.
        layer: whose output is weighed, (1, features, rows', columns'), and taken to span the input: a module of
            ``network``, its dotted name, or None for the one attribute ``last_convolution`` of ``network`` or of what
            it wraps.

    Raises:
        ValueError: ``inputs`` is not one picture, or there is no such layer, or it is not run, or its output is no map.
    """
    if inputs.ndim != 4 or inputs.shape[0] != 1:
        raise ValueError(f"a heat map explains one picture (1, channels, rows, columns), not {tuple(inputs.shape)}")
    weighed = chosen_layer(network, layer)
    device = next(network.parameters()).device
    with torch.inference_mode(False), torch.enable_grad(), torch.autocast(device.type, enabled=False):
        # Cloned: a tensor made under inference_mode can never be part of a graph.
        picture = inputs.detach().clone().to(device=device, dtype=torch.float32)
        activation, score = _activation_and_score(network, picture, class_index, weighed)
        (gradient,) = torch.autograd.grad(score, activation)
        weights = gradient.mean(dim=(2, 3), keepdim=True)
        evidence = functional.relu((weights * activation.detach()).sum(dim=1, keepdim=True))
        return scaled(on_grid(evidence, (inputs.shape[2], inputs.shape[3])))


def chosen_layer(network: nn.Module, layer: nn.Module | str | None) -> nn.Module:
    """``layer`` of ``network``: as it is, by its dotted name, or the one ``last_convolution`` that is in it.

    Raises:
        ValueError: there is none, or more than one ``last_convolution``.
    """
    if isinstance(layer, nn.Module):
        return layer
    if layer is None:
        candidates = {getattr(module, DEFAULT_LAYER, None) for module in network.modules()} - {None}
        if len(candidates) > 1:
            raise ValueError(f"{type(network).__name__} has {len(candidates)} layers {DEFAULT_LAYER}; name one")
        found: object = next(iter(candidates), None)
    else:
        found = network
        for part in layer.split("."):
            found = getattr(found, part, None)
    if not isinstance(found, nn.Module):
        raise ValueError(f"{type(network).__name__} has no layer {layer or DEFAULT_LAYER}")
    return found


def region_of(outputs: Tensor, class_index: int) -> Tensor | None:
    """Where ``class_index`` wins: bool (N, rows, columns); everything where it wins nowhere; None of a classifier."""
    if outputs.ndim == 2:
        return None
    region = outputs.argmax(dim=1) == class_index
    nowhere = ~region.flatten(1).any(dim=1)
    return region | nowhere.view(-1, *[1] * (region.ndim - 1))


def class_score(outputs: Tensor, class_index: int, region: Tensor | None) -> Tensor:
    """(N,) the logit of a class; of a segmentation its sum over ``region``, (N or 1, rows, columns)."""
    logit = outputs[:, class_index]
    return logit if region is None else (logit * region).flatten(1).sum(dim=1)


def on_grid(values: Tensor, size: tuple[int, int]) -> Tensor:
    """(1, 1, rows', columns') brought to (1, 1, *size).

    A coarser map is interpolated; one that is larger comes from a network that pads its input at the far ends, and is
    cut back.
    """
    if values.shape[2] >= size[0] and values.shape[3] >= size[1]:
        return values[:, :, : size[0], : size[1]]
    return functional.interpolate(values, size=size, mode="bilinear", align_corners=False)


def scaled(evidence: Tensor) -> npt.NDArray[np.float32]:
    """(1, 1, rows, columns), 0 or more, as (rows, columns) with the highest value 1; zeros stay zeros."""
    values: npt.NDArray[np.float32] = evidence[0, 0].detach().cpu().numpy().astype(np.float32)
    highest = float(values.max())
    return values / np.float32(highest) if highest > 0 else np.zeros_like(values)


def _activation_and_score(
    network: nn.Module, picture: Tensor, class_index: int, layer: nn.Module
) -> tuple[Tensor, Tensor]:
    """The layer's output as a leaf of the graph, and the class score that was computed from it."""
    leaves: list[Tensor] = []

    def cut_in(module: nn.Module, arguments: Any, output: Tensor) -> Tensor:
        leaves.append(output.detach().requires_grad_())
        # What follows may work in place, which a leaf does not allow.
        return leaves[-1].clone()

    handle = layer.register_forward_hook(cut_in)
    try:
        outputs = cast(Tensor, network(picture))
    finally:
        handle.remove()
    if not leaves:
        raise ValueError(f"the network does not run its layer {type(layer).__name__}")
    if leaves[-1].ndim != 4:
        raise ValueError(f"the layer {type(layer).__name__} gives {tuple(leaves[-1].shape)}, no map")
    return leaves[-1], class_score(outputs, class_index, region_of(outputs.detach(), class_index)).sum()
