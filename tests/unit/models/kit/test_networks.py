"""The kit's networks: shapes, any size, no influence of what is padded or of the rest of a batch."""

from __future__ import annotations

import pytest
import torch
from torch import nn

from models.kit.networks.residual import ResidualClassifier, group_norm
from models.kit.networks.sequence import SequenceClassifier, padded
from models.kit.networks.unet import UNet2d, UNet3d


@pytest.mark.parametrize(("channels", "groups"), [(16, 8), (12, 6), (3, 3), (7, 7), (1, 1), (22, 2)])
def test_groups_divide_the_channels(channels: int, groups: int) -> None:
    assert group_norm(channels).num_groups == groups


@pytest.mark.parametrize("size", [(32, 32), (33, 47), (224, 64)])
def test_classifier_takes_any_size(size: tuple[int, int]) -> None:
    network = ResidualClassifier(3, 4, 8, (1, 1, 1)).eval()
    x = torch.randn(2, 3, *size)
    features = network.features(x)
    assert network(x).shape == (2, 4)
    assert features.shape == (2, network.embedding)
    torch.testing.assert_close(network.head(features), network(x))


def test_classifier_result_does_not_depend_on_its_batch() -> None:
    network = ResidualClassifier(1, 2, 8, (1, 1)).train()
    network.dropout.p = 0.0
    x = torch.randn(3, 1, 32, 32)
    torch.testing.assert_close(network(x)[:1], network(x[:1]))


def test_every_parameter_of_a_classifier_learns() -> None:
    network = ResidualClassifier(1, 2, 8, (1, 2))
    network(torch.randn(2, 1, 32, 32)).square().sum().backward()
    assert all(parameter.grad is not None and parameter.grad.any() for parameter in network.parameters())


@pytest.mark.parametrize("network", [ResidualClassifier(1, 2, 8, (1, 1)), UNet2d(1, 2, 8, 3), UNet2d(1, 2, 8, 3, 0, 2)])
def test_activation_maps_can_be_weighed(network: nn.Module) -> None:
    """What Grad-CAM wants of ``last_convolution``: an output (N, C, H, W) with a gradient of each logit."""
    kept: list[torch.Tensor] = []
    layer = network.last_convolution
    assert isinstance(layer, nn.Module)
    handle = layer.register_forward_hook(lambda module, inputs, output: kept.append(output))
    logits = network(torch.randn(1, 1, 32, 32))
    handle.remove()
    (gradient,) = torch.autograd.grad(logits[:, 1].sum(), kept)
    assert kept[0].ndim == 4
    assert gradient.any()


@pytest.mark.parametrize("reduction", [1, 2])
@pytest.mark.parametrize("size", [(64, 64), (37, 50), (5, 3)])
def test_unet_gives_every_pixel_logits(size: tuple[int, int], reduction: int) -> None:
    network = UNet2d(2, 3, 8, 4, reduction=reduction)
    x = torch.randn(2, 2, *size)
    logits = network(x)
    assert logits.shape == (2, 3, *size)
    assert network.features(x).shape == (2, network.embedding)
    logits.square().sum().backward()
    assert all(parameter.grad is not None for parameter in network.parameters())


def test_default_unet_sees_a_whole_picture() -> None:
    """The logit of one corner depends on the opposite corner of 256 pixels."""
    network = UNet2d(1, 2, 4).eval()
    x = torch.zeros(1, 1, 256, 256, requires_grad=True)
    network(x + torch.randn(1, 1, 256, 256))[0, 1, 0, 0].backward()
    assert x.grad is not None
    assert x.grad[0, 0, -8:, -8:].any()


@pytest.mark.parametrize("reduction", [1, 2])
def test_unet_of_volumes(reduction: int) -> None:
    network = UNet3d(1, 2, 4, 3, reduction=reduction)
    x = torch.randn(1, 1, 9, 16, 13)
    assert network(x).shape == (1, 2, 9, 16, 13)
    assert network.features(x).shape == (1, network.embedding)


@pytest.mark.parametrize("cell", ["gru", "lstm"])
def test_padded_slices_decide_nothing(cell: str) -> None:
    network = SequenceClassifier(6, 3, 5, layers=2, cell=cell).eval()  # type: ignore[arg-type]
    series = [torch.randn(count, 6) for count in (4, 1, 7)]
    together, lengths = padded(series)
    assert lengths.tolist() == [4, 1, 7]
    spoiled = together.clone()
    spoiled[0, 4:] = 1e6
    spoiled[1, 1:] = torch.nan
    for index, one in enumerate(series):
        alone = network(one[None], torch.tensor([len(one)]))
        torch.testing.assert_close(network(spoiled, lengths)[index : index + 1], alone)
    slices = network.slices(spoiled, lengths)
    assert slices.shape == (3, 7, 3)
    torch.testing.assert_close(slices[0, :4], network.slices(series[0][None], torch.tensor([4]))[0])
    assert not slices[0, 4:].any()


def test_order_of_slices_matters() -> None:
    network = SequenceClassifier(4, 2, 8).eval()
    one = torch.randn(1, 6, 4)
    length = torch.tensor([6])
    assert not torch.allclose(network(one, length), network(one.roll(2, 1), length))


@pytest.mark.parametrize("lengths", [[0, 3], [4, 2], [3]])
def test_lengths_that_cannot_be(lengths: list[int]) -> None:
    with pytest.raises(ValueError, match="lengths"):
        SequenceClassifier(4, 2)(torch.randn(2, 3, 4), torch.tensor(lengths))


def test_gru_learns_what_only_the_order_tells() -> None:
    torch.manual_seed(0)
    network = SequenceClassifier(1, 2, 8, dropout=0.0)
    optimiser = torch.optim.Adam(network.parameters(), 2e-2)
    rising = torch.linspace(0, 1, 8)[:, None]
    x, lengths = padded([rising + 0.1 * torch.randn(8, 1) for _ in range(16)])
    x = torch.cat((x, x.flip(1)))
    lengths, truth = torch.cat((lengths, lengths)), torch.arange(32) // 16
    for _ in range(40):
        loss = nn.functional.cross_entropy(network(x, lengths), truth)
        optimiser.zero_grad()
        loss.backward()
        optimiser.step()
    assert float(loss.detach()) < 0.1
