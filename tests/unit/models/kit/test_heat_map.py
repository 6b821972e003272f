"""The node's heat map: equal to captum's Grad-CAM, callable anywhere, and leaving nothing behind."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from captum.attr import LayerGradCam
from torch import nn
from torch.nn import functional

from models.kit.explain.heat_map import heat_map
from models.kit.networks.residual import ResidualClassifier
from models.kit.networks.unet import UNet2d
from tests.unit.models.kit import blobs
from tests.unit.models.kit.blobs import Small, SmallMask, points_at_blob, trained


def blob(seed: int = 1) -> tuple[torch.Tensor, tuple[int, int]]:
    values, centre = blobs.picture(1, seed)
    return torch.from_numpy(values)[None], centre


def captum_map(network: nn.Module, layer: nn.Module, inputs: torch.Tensor, class_index: int) -> np.ndarray:
    evidence = LayerGradCam(network, layer).attribute(inputs, class_index, relu_attributions=True)
    fine = functional.interpolate(evidence, size=inputs.shape[2:], mode="bilinear", align_corners=False)
    return (fine / fine.max())[0, 0].detach().numpy()


@pytest.mark.parametrize("class_index", [0, 1])
def test_agrees_with_captum(class_index: int) -> None:
    network, (inputs, _) = trained(), blob()
    expected = captum_map(network, network.last_convolution, inputs, class_index)
    found = heat_map(network, inputs, class_index)
    assert found.shape == (blobs.SIDE, blobs.SIDE)
    assert found.dtype == np.float32
    np.testing.assert_allclose(found, expected, atol=1e-5)


def test_agrees_with_captum_on_the_residual_classifier() -> None:
    # In-place activations, group norm, sides that no stride divides.
    torch.manual_seed(0)
    network = ResidualClassifier(3, 4, width=8, blocks=(1, 1, 1)).eval()
    inputs = torch.randn(1, 3, 45, 61)
    expected = captum_map(network, network.last_convolution, inputs, 2)
    np.testing.assert_allclose(heat_map(network, inputs, 2), expected, atol=1e-4)


def test_points_at_the_blob() -> None:
    for seed in range(1, 41, 2):
        inputs, centre = blob(seed)
        found = heat_map(trained(), inputs, 1)
        assert found.min() >= 0
        assert found.max() == pytest.approx(1.0)
        assert points_at_blob(found, centre), seed


def test_frozen_weights_inference_mode_and_autocast_change_nothing() -> None:
    network, (inputs, _) = trained(), blob()
    expected = heat_map(network, inputs, 1)
    with torch.inference_mode(), torch.autocast("cpu", torch.bfloat16):
        made_there = inputs * 1.0
        np.testing.assert_array_equal(heat_map(network, made_there, 1), expected)
    with torch.no_grad():
        np.testing.assert_array_equal(heat_map(network, inputs, 1), expected)


def test_leaves_the_network_as_it_was() -> None:
    torch.manual_seed(0)
    network, (inputs, _) = Small().eval(), blob()
    before = network(inputs)
    heat_map(network, inputs, 1)
    assert torch.equal(network(inputs), before)
    assert all(parameter.grad is None for parameter in network.parameters())
    assert not network.last_convolution._forward_hooks
    with pytest.raises(RuntimeError, match="expected input"):
        heat_map(network, inputs.repeat(1, 2, 1, 1), 1)
    assert not network.last_convolution._forward_hooks


def test_nothing_speaks_for_the_class() -> None:
    network = Small().eval()
    nn.init.zeros_(network.head.weight)
    found = heat_map(network, blob()[0], 1)
    assert found.shape == (blobs.SIDE, blobs.SIDE)
    assert not found.any()


def test_layer_by_name_and_by_module() -> None:
    network, (inputs, _) = trained(), blob()
    assert np.array_equal(heat_map(network, inputs, 1, "second"), heat_map(network, inputs, 1, network.second))
    assert not np.array_equal(heat_map(network, inputs, 1, "second"), heat_map(network, inputs, 1))


def test_segmentation_sums_the_logit_over_the_region_of_the_class() -> None:
    torch.manual_seed(1)
    network = SmallMask().eval()
    inputs, _ = blob()
    with torch.no_grad():
        region = network(inputs).argmax(dim=1) == 1
    assert region.any()
    assert not region.all()
    summed = LayerGradCam(lambda x: (network(x)[:, 1] * region).flatten(1).sum(1), network.last_convolution)
    evidence = summed.attribute(inputs, relu_attributions=True)
    fine = functional.interpolate(evidence, size=inputs.shape[2:], mode="bilinear", align_corners=False)
    expected = (fine / fine.max())[0, 0].detach().numpy()
    np.testing.assert_allclose(heat_map(network, inputs, 1), expected, atol=1e-5)


def test_segmentation_without_a_pixel_of_the_class_asks_everywhere() -> None:
    network, (inputs, _) = SmallMask().eval(), blob()
    nn.init.constant_(network.head.bias, 0.0)
    with torch.no_grad():
        network.head.bias[1] = -100.0
        network.head.weight[1] = 1.0
    assert heat_map(network, inputs, 1).max() == pytest.approx(1.0)


def test_a_network_that_pads_its_input_gives_a_map_on_the_input() -> None:
    torch.manual_seed(0)
    network = UNet2d(1, 2, width=4, levels=4).eval()
    inputs = torch.zeros(1, 1, 20, 28)
    inputs[..., 4:8, 6:10] = 3.0
    found = heat_map(network, inputs, 1)
    assert found.shape == (20, 28)
    # The padded network's own map, cut: not squeezed.
    padded = functional.pad(inputs, (0, 4, 0, 4), mode="replicate")
    with torch.no_grad():
        region = functional.pad((network(inputs).argmax(1) == 1).float(), (0, 4, 0, 4))
    assert region.any()
    method = LayerGradCam(lambda x: (network(x)[:, 1] * region).flatten(1).sum(1), network.last_convolution)
    expected = method.attribute(padded, relu_attributions=True)[0, 0, :20, :28].detach().numpy()
    np.testing.assert_allclose(found, expected / expected.max(), atol=1e-4)


class Wraps(nn.Module):
    def __init__(self, *networks: nn.Module) -> None:
        super().__init__()
        self.inside = nn.ModuleList(networks)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return sum(network(x) for network in self.inside)


def test_finds_the_layer_in_what_is_wrapped_if_there_is_but_one() -> None:
    network, (inputs, _) = trained(), blob()
    np.testing.assert_allclose(heat_map(Wraps(network), inputs, 1), heat_map(network, inputs, 1), atol=1e-6)
    with pytest.raises(ValueError, match="has 2 layers last_convolution; name one"):
        heat_map(Wraps(network, Small().eval()), inputs, 1)
    with pytest.raises(ValueError, match="no layer last_convolution"):
        heat_map(nn.Sequential(nn.Conv2d(1, 2, 3)).eval(), inputs, 1)


@pytest.mark.parametrize("shape", [(2, 1, 32, 32), (1, 32, 32), (1, 1, 8, 32, 32)])
def test_refuses_what_is_not_one_picture(shape: tuple[int, ...]) -> None:
    with pytest.raises(ValueError, match="one picture"):
        heat_map(Small().eval(), torch.zeros(shape), 1)


@pytest.mark.parametrize(
    ("layer", "words"), [("third", "no layer third"), ("head", "no map"), (nn.Conv2d(1, 1, 1), "does not run")]
)
def test_refuses_a_layer_that_gives_no_map(layer: nn.Module | str, words: str) -> None:
    with pytest.raises(ValueError, match=words):
        heat_map(Small().eval(), blob()[0], 1, layer)
