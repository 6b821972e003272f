"""Maps of the shipped weights: they stand where the nodule stands, and change with the weights. And kinds of cases."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch
from torch import Tensor, nn

from models.kit.cases import Case
from models.kit.explain.faithfulness import fall
from models.kit.explain.heat_map import heat_map
from models.kit.explain.input_map import input_map
from models.kit.explain.sanity import randomisation
from models.kit.task import Array
from models.kit.trained import explained, trained_network
from models.lung_nodule_ct import crops
from models.lung_nodule_ct.network import TRAINED_ENLARGED, SingleLook
from models.lung_nodule_ct.task import RATED, TASK
from node.infer.registry import BUILT_IN

MAPS = (heat_map, input_map)
CENTRE = (30, 46)
# Everything random: see the kit's test of the same name. A map that does not depend on the weights has 1.
BOUND = 0.7


@pytest.fixture(scope="module")
def shipped() -> nn.Module:
    return trained_network(TASK, BUILT_IN / "lung_nodule_ct" / "weights.safetensors")


@pytest.fixture(scope="module")
def nodule() -> Tensor:
    """A ball of 8 pixels in a lung, HU."""
    rows, columns = np.mgrid[: crops.SIZE, : crops.SIZE]
    distance = np.hypot(rows - CENTRE[0], columns - CENTRE[1])
    lung = -850 + np.random.default_rng(0).normal(0, 40, distance.shape)
    picture = lung + 880 / (1 + np.exp(2 * (distance - 4)))
    return torch.from_numpy(crops.normalised(picture.astype(np.float32)))[None, None]


@pytest.mark.parametrize("method", MAPS)
def test_maps_stand_where_the_nodule_stands(shipped: nn.Module, nodule: Tensor, method: object) -> None:
    single = explained(TASK, shipped)
    values = method(single, nodule, 1)  # type: ignore[operator]
    row, column = np.unravel_index(int(values.argmax()), values.shape)
    assert np.hypot(row - CENTRE[0], column - CENTRE[1]) <= 10
    noise = np.random.default_rng(0).random(values.shape).astype(np.float32)
    assert fall(single, nodule, 1, values) > fall(single, nodule, 1, noise)


def test_maps_depend_on_the_weights(shipped: nn.Module, nodule: Tensor) -> None:
    def attribution(network: nn.Module) -> Array:
        return heat_map(network, nodule, 1)

    steps = randomisation(explained(TASK, shipped), attribution, seed=1)
    assert abs(steps[-1].correlation) < BOUND


def test_what_is_explained_has_the_same_weights_and_looks_once(shipped: nn.Module, nodule: Tensor) -> None:
    single = explained(TASK, shipped)
    assert type(single) is SingleLook
    assert not single.training
    with torch.inference_mode():
        drawn = [network(nodule).argmax(dim=1)[0] for network in (single, shipped)]
    centre = [one[CENTRE] for one in drawn]
    assert centre == [1, 1]
    learnt_so = shipped.get_submodule(f"members.{TRAINED_ENLARGED}")
    assert all(torch.equal(one, other) for one, other in zip(single.parameters(), learnt_so.parameters(), strict=True))


@pytest.mark.parametrize(("rating", "kind"), [(1, 0), (2.5, 0), (3, 1), (3.5, 2), (5, 2), (None, None)])
def test_kinds_are_ratings(rating: float | None, kind: int | None) -> None:
    facts: dict[str, float | str] = {} if rating is None else {"malignancy": rating}
    assert TASK.kinds is not None
    assert len(TASK.kinds.names) == len(RATED) == 3
    assert TASK.kinds.of(Case("one", Path("one.jpg"), 1, "P1", None, facts)) == kind
