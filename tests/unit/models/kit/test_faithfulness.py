"""The measure that tells maps apart: deleting what a true map marks costs the answer, what a made-up one marks not."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from torch import Tensor, nn

from models.kit.explain.faithfulness import faithfulness, fall, highest
from models.kit.explain.heat_map import heat_map
from models.kit.explain.input_map import even_grey, input_map
from models.kit.task import Array
from tests.unit.models.kit import blobs
from tests.unit.models.kit.blobs import TASK, trained

CASES = [blobs.case(1, seed) for seed in range(1, 41, 2)]


class Bright(nn.Module):
    """Logits (0, 10 * (pixel - 0.5)) of each pixel."""

    def forward(self, x: Tensor) -> Tensor:
        return torch.cat((torch.zeros_like(x), 10 * (x - 0.5)), dim=1)


def corner(network: nn.Module, inputs: Tensor, class_index: int) -> Array:
    values = np.zeros(inputs.shape[2:], dtype=np.float32)
    values[:3] = 1.0
    return values


@pytest.mark.parametrize("method", [heat_map, input_map])
def test_a_true_map_costs_more_than_chance(method: object) -> None:
    found = faithfulness(TASK, trained(), CASES, 1, method, samples=200)  # type: ignore[arg-type]
    assert found.fall.low > found.by_chance.high


def test_a_made_up_map_does_not() -> None:
    found = faithfulness(TASK, trained(), CASES, 1, corner, samples=200)
    assert found.fall.low <= found.by_chance.high


def test_everything_taken_away_is_the_even_picture() -> None:
    network, inputs = trained(), torch.from_numpy(blobs.picture(1, 1)[0])[None]
    logits = network(torch.cat((inputs, even_grey(inputs))))
    odds = logits[:, 1] - logits[:, 0]
    values = np.ones(inputs.shape[2:], dtype=np.float32)
    assert fall(network, inputs, 1, values, share=1.0) == pytest.approx(float(odds[0] - odds[1]), abs=1e-4)
    assert fall(network, inputs, 1, values, share=0.0) == pytest.approx(0.0, abs=1e-5)


def test_highest() -> None:
    values = np.arange(20, dtype=np.float32).reshape(4, 5)
    assert sorted(values[highest(values, 0.2)].tolist()) == [16, 17, 18, 19]
    even = highest(np.zeros((40, 40), dtype=np.float32), 0.25)
    assert even.sum() == 400
    # Scattered, not the first rows.
    assert 50 < even[:20].sum() < 350


def test_of_a_segmentation_the_region_counts() -> None:
    network, inputs = Bright(), torch.zeros((1, 1, 20, 20))
    inputs[..., 4:8, 4:8] = 1.0
    values = inputs[0, 0].numpy()
    # The region turns to even grey: 0.04 at 10 times the difference to 0.5.
    assert fall(network, inputs, 1, values, share=0.04) == pytest.approx(10 * (1.0 - 0.04), abs=1e-4)
    elsewhere = np.roll(values, (10, 10), axis=(0, 1))
    assert fall(network, inputs, 1, elsewhere, share=0.04) == pytest.approx(0.0, abs=1e-4)
