"""Adebayo et al. 2018: a map that does not depend on the weights explains nothing; and where the truth is known, the

map has to point at it. Maps made up for the purpose must not pass.
"""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import pytest
import torch
from torch import Tensor, nn

from models.kit.explain.heat_map import heat_map
from models.kit.explain.input_map import input_map
from models.kit.explain.methods import grad_cam, integrated_gradients, occlusion
from models.kit.explain.sanity import layers_with_weights, randomisation, rank_correlation
from models.kit.task import Array
from tests.unit.models.kit import blobs
from tests.unit.models.kit.blobs import points_at_blob, trained

Method = Callable[[nn.Module, Tensor, int], Array]

SEEDS = range(1, 17, 2)
# Mean over pictures and draws of the rank correlation with the map of the trained network. Measured with everything
# random: Grad-CAM and occlusion 0.4 (a random network too answers most where the picture is brightest), the gradients
# of the input 0.2. A map that does not depend on the weights has 1.
BOUND = 0.7


def coarse_occlusion(network: nn.Module, inputs: Tensor, class_index: int) -> Array:
    return occlusion(network, inputs, class_index, patches=4)


def hits(method: Method) -> float:
    """The share of pictures on which the map is highest on the blob."""
    found = []
    for seed in SEEDS:
        values, centre = blobs.picture(1, seed)
        found.append(points_at_blob(method(trained(), torch.from_numpy(values)[None], 1), centre))
    return float(np.mean(found))


def likeness_when_random(method: Method) -> float:
    """Mean rank correlation with the true map once every layer is random."""
    found = []
    for seed in SEEDS:
        inputs = torch.from_numpy(blobs.picture(1, seed)[0])[None]
        steps = randomisation(trained(), lambda network, given=inputs: method(network, given, 1), seed)
        found.append(abs(steps[-1].correlation))
    return float(np.mean(found))


@pytest.mark.parametrize("method", [heat_map, input_map, grad_cam, integrated_gradients, coarse_occlusion])
def test_points_at_what_decides_and_depends_on_the_weights(method: Method) -> None:
    assert hits(method) >= 0.9
    assert likeness_when_random(method) < BOUND


def always_the_same(network: nn.Module, inputs: Tensor, class_index: int) -> Array:
    return np.ones(inputs.shape[2:], dtype=np.float32)


def always_the_middle(network: nn.Module, inputs: Tensor, class_index: int) -> Array:
    rows, columns = np.mgrid[: inputs.shape[2], : inputs.shape[3]] - blobs.SIDE / 2
    return np.exp(-(rows**2 + columns**2) / 50).astype(np.float32)


def the_picture_itself(network: nn.Module, inputs: Tensor, class_index: int) -> Array:
    return inputs[0, 0].numpy()


@pytest.mark.parametrize("method", [always_the_same, always_the_middle, the_picture_itself])
def test_a_map_that_knows_nothing_of_the_network_fails(method: Method) -> None:
    assert likeness_when_random(method) >= BOUND


@pytest.mark.parametrize("method", [always_the_same, always_the_middle])
def test_a_map_that_knows_nothing_of_the_picture_fails(method: Method) -> None:
    assert hits(method) < 0.9


def test_randomisation_goes_from_the_last_layer_to_the_first_and_keeps_the_network() -> None:
    network = trained()
    before = {name: value.clone() for name, value in network.state_dict().items()}
    seen: list[list[str]] = []

    def attribution(given: nn.Module) -> Array:
        changed = [name for name, value in given.state_dict().items() if not torch.equal(value, before[name])]
        seen.append(sorted({name.rpartition(".")[0] for name in changed}))
        return the_picture_itself(given, torch.rand(1, 1, 8, 8), 1)

    steps = randomisation(network, attribution)
    assert [step.layer for step in steps] == ["head", "last_convolution", "second", "first"]
    assert [len(layers) for layers in seen] == [0, 1, 2, 3, 4]
    assert all(torch.equal(value, before[name]) for name, value in network.state_dict().items())
    assert [name for name, _ in layers_with_weights(network)] == ["first", "second", "last_convolution", "head"]


def test_rank_correlation() -> None:
    rising = np.arange(9, dtype=np.float32).reshape(3, 3)
    even = np.zeros((3, 3), dtype=np.float32)
    assert rank_correlation(rising, rising**3) == pytest.approx(1.0)
    assert rank_correlation(rising, -rising) == pytest.approx(-1.0)
    assert rank_correlation(rising, even) == 0.0
    assert rank_correlation(even, even + 2) == 1.0
