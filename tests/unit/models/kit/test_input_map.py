"""The other heat map of the node: equal to captum's integrated gradients, right where Grad-CAM is not."""

from __future__ import annotations

import subprocess
import sys
from functools import cache

import numpy as np
import pytest
import torch
from captum.attr import IntegratedGradients
from torch import nn
from torch.nn import functional

from models.kit.ensemble import Ensemble
from models.kit.explain.input_map import STEPS, blurred, even_grey, input_map
from models.kit.networks.residual import ResidualClassifier
from tests.unit.models.kit import blobs
from tests.unit.models.kit.blobs import Small, SmallMask, points_at_blob, trained

SEEDS = range(1, 41, 2)


def blob(seed: int = 1) -> torch.Tensor:
    return torch.from_numpy(blobs.picture(1, seed)[0])[None]


@cache
def with_group_norm() -> ResidualClassifier:
    """A network whose features are divided by their deviation over the whole picture, trained for seconds."""
    with torch.random.fork_rng():
        torch.manual_seed(0)
        network = ResidualClassifier(1, 2, width=8, blocks=(1,))
        optimiser = torch.optim.AdamW(network.parameters(), 5e-3)
        inputs = torch.from_numpy(np.stack([blobs.picture(index % 2, 10_000 + index)[0] for index in range(256)]))
        labels = torch.arange(256) % 2
        for _ in range(8):
            for chosen in torch.randperm(256).split(32):
                loss = functional.cross_entropy(network(inputs[chosen]), labels[chosen])
                optimiser.zero_grad()
                loss.backward()
                optimiser.step()
    return network.requires_grad_(False).eval()


def test_agrees_with_captum() -> None:
    network, inputs = trained(), blob()
    method = IntegratedGradients(network)
    parts = method.attribute(inputs, even_grey(inputs), target=1, n_steps=STEPS, method="riemann_middle")
    expected = blurred(parts.detach().float())[0, 0].clamp_min(0).numpy()
    np.testing.assert_allclose(input_map(network, inputs, 1), expected / expected.max(), atol=1e-4)


def test_points_at_the_blob_in_spite_of_group_norm() -> None:
    found = [points_at_blob(input_map(with_group_norm(), blob(seed), 1), blobs.picture(1, seed)[1]) for seed in SEEDS]
    assert np.mean(found) >= 0.9


def test_an_ensemble_and_its_views() -> None:
    ensemble = Ensemble([trained(0), trained(1)], ("identity", "flip_columns")).eval()
    assert points_at_blob(input_map(ensemble, blob(3), 1), blobs.picture(1, 3)[1])


def test_frozen_weights_inference_mode_and_autocast_change_nothing() -> None:
    network, inputs = trained(), blob()
    expected = input_map(network, inputs, 1)
    with torch.inference_mode(), torch.autocast("cpu", torch.bfloat16):
        np.testing.assert_array_equal(input_map(network, inputs * 1.0, 1), expected)
    fresh = Small().eval()
    input_map(fresh, inputs, 1)
    assert all(parameter.grad is None for parameter in fresh.parameters())


def test_segmentation_and_any_shape() -> None:
    torch.manual_seed(1)
    found = input_map(SmallMask().eval(), torch.randn(1, 1, 20, 36), 1)
    assert found.shape == (20, 36)
    assert found.dtype == np.float32
    assert (found.min(), found.max()) == (0.0, 1.0)


def test_nothing_speaks_for_the_class() -> None:
    network = Small().eval()
    nn.init.zeros_(network.head.weight)
    assert not input_map(network, blob(), 1).any()


@pytest.mark.parametrize("shape", [(2, 1, 32, 32), (1, 1, 8, 32, 32)])
def test_refuses_what_is_not_one_picture(shape: tuple[int, ...]) -> None:
    with pytest.raises(ValueError, match="one picture"):
        input_map(Small().eval(), torch.zeros(shape), 1)


def test_the_blur_keeps_what_is_even_and_spreads_a_point_evenly() -> None:
    torch.testing.assert_close(blurred(torch.ones(1, 1, 40, 64)), torch.ones(1, 1, 40, 64))
    point = torch.zeros(1, 1, 65, 65)
    point[..., 32, 32] = 1.0
    spread = blurred(point)
    assert float(spread.sum()) == pytest.approx(1.0, abs=1e-5)
    torch.testing.assert_close(spread, spread.transpose(2, 3))
    # Deviation 65 / 32 pixels.
    offsets = torch.arange(65.0) - 32
    assert float((spread.sum(2)[0, 0] * offsets**2).sum()) == pytest.approx((65 / 32) ** 2, rel=0.05)


def test_needs_nothing_but_what_a_node_has() -> None:
    code = (
        "import sys; import models.kit.explain.input_map, models.kit.explain.heat_map, models.kit.ensemble; "
        "extra = {'captum', 'matplotlib', 'sklearn', 'optuna', 'faiss', 'PIL'} & set(sys.modules); "
        "kit = [name for name in sys.modules if name.startswith(('models.kit.training', 'models.kit.evaluation'))]; "
        "assert not extra and not kit, (extra, kit)"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, timeout=120, check=False)
    assert done.returncode == 0, done.stderr
