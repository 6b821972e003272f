"""Three ways to ask a network what it looked at, by captum.

Each gives float32 (rows, columns) on the input's grid. What a class's score is: ``heat_map.class_score``; the region of
a segmentation is that of the picture as it is, whatever is covered or faded later.
"""

from __future__ import annotations

from typing import cast

import torch
from captum.attr import IntegratedGradients, LayerGradCam, Occlusion
from torch import Tensor, nn

from models.kit.ensemble import Ensemble
from models.kit.explain.heat_map import chosen_layer, class_score, on_grid, region_of
from models.kit.explain.input_map import even_grey
from models.kit.task import Array

STEPS = 32
STEPS_AT_ONCE = 8
# A tenth of the larger side, moved by half of it.
PATCHES = 10
SMALLEST_PATCH = 4


class ClassScore(nn.Module):
    """(N, channels, rows, columns) to (N,), the score of one class of ``network`` for ``inputs`` and its variations."""

    def __init__(self, network: nn.Module, inputs: Tensor, class_index: int) -> None:
        super().__init__()
        self.network = network
        self.class_index = class_index
        with torch.no_grad():
            self.region = region_of(network(inputs), class_index)

    def forward(self, x: Tensor) -> Tensor:
        """(N,)."""
        return class_score(self.network(x), self.class_index, self.region)


def grad_cam(network: nn.Module, inputs: Tensor, class_index: int, layer: str | None = None) -> Array:
    """Grad-CAM (``heat_map.py``, which the node uses, says the same): 0 or more, in units of the score.

    Of an ensemble the mean of its members' maps, highest value 1.

    Raises:
        ValueError: there is no such layer.
    """
    if isinstance(network, Ensemble):
        return network.heat_map(inputs, class_index, layer)
    method = LayerGradCam(ClassScore(network, inputs, class_index), chosen_layer(network, layer))
    evidence = cast(Tensor, method.attribute(inputs, relu_attributions=True))
    return _array(on_grid(evidence, (inputs.shape[2], inputs.shape[3]))[0, 0])


def integrated_gradients(network: nn.Module, inputs: Tensor, class_index: int) -> Array:
    """What each pixel adds to the score (negative: takes from it) on the way from an even grey picture to this one.

    Sundararajan et al., "Axiomatic Attribution for Deep Networks", ICML 2017: the sum over the pixels is the
    difference of the two scores. The channels of a pixel are summed.
    """
    method = IntegratedGradients(ClassScore(network, inputs, class_index))
    parts = cast(
        Tensor,
        method.attribute(inputs, baselines=even_grey(inputs), n_steps=STEPS, internal_batch_size=STEPS_AT_ONCE),
    )
    return _array(parts[0].sum(dim=0))


def occlusion(network: nn.Module, inputs: Tensor, class_index: int, patches: int = PATCHES) -> Array:
    """By how much the score falls (negative: rises) when a grey square covers a pixel, mean over such squares.

    Zeiler and Fergus, "Visualizing and Understanding Convolutional Networks", ECCV 2014. ``patches`` squares go along
    the larger side; neighbouring ones overlap by half.
    """
    side = min(max(SMALLEST_PATCH, max(inputs.shape[2:]) // patches), *inputs.shape[2:])
    stride = max(1, side // 2)
    channels = inputs.shape[1]
    method = Occlusion(ClassScore(network, inputs, class_index))
    with torch.no_grad():
        fall = method.attribute(
            inputs,
            sliding_window_shapes=(channels, side, side),
            strides=(channels, stride, stride),
            baselines=even_grey(inputs),
            perturbations_per_eval=STEPS_AT_ONCE,
        )
    # A square covers all channels at once: they all carry the same fall.
    return _array(fall[0, 0])


def _array(values: Tensor) -> Array:
    array: Array = values.detach().float().cpu().numpy()
    return array
