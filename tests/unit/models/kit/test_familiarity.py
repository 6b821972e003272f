"""The file that says what a network was trained on: made twice it is the same, and it knows what is foreign."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
import torch
from torch import nn

from models.kit import familiarity
from models.kit.familiarity import calibrate, components_for, layers_of
from models.kit.trained import weights_digest
from models.retinopathy_fundus.model import network
from node.infer.quality.cloud import from_bytes
from tests.unit.models.kit import evaluated
from tests.unit.models.kit.evaluated import CLASSIFICATION


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Path]:
    """Data and weights of the known task."""
    folder = tmp_path_factory.mktemp("known")
    evaluated.write_classification(folder / "data", patients=24)
    return folder / "data", evaluated.weights_of(CLASSIFICATION, folder / "weights.safetensors")


def layer_of(task_network: nn.Module) -> str:
    return next(name for name, module in task_network.named_modules() if isinstance(module, nn.Conv2d))


def test_twice_the_same_file_that_belongs_to_its_weights(made: tuple[Path, Path], tmp_path: Path) -> None:
    data, weights = made
    layer = layer_of(CLASSIFICATION.network())
    first, second = (
        calibrate(CLASSIFICATION, data, weights, tmp_path / name, layers=layer) for name in ("first", "second")
    )
    assert first == second
    content = (tmp_path / "first" / "ood.safetensors").read_bytes()
    assert content == (tmp_path / "second" / "ood.safetensors").read_bytes()
    cloud, told = from_bytes(content)
    assert (told["weights_sha256"], cloud.layers) == (weights_digest(weights), (layer,))
    assert json.loads((tmp_path / "first" / "ood.json").read_text())["threshold"] == first["threshold"] > 0
    assert first["refused"]["validation"] == 0
    assert len(content) < familiarity.LARGEST_BYTES


def test_the_stages_of_the_kits_networks_are_found() -> None:
    assert layers_of(network()) == ("stem", "trunk.0", "trunk.1", "trunk.2", "trunk.3")
    with pytest.raises(ValueError, match="name them"):
        layers_of(nn.Sequential(nn.Conv2d(1, 1, 1)))


@pytest.mark.parametrize("size", [10, 360, 720, 2160])
def test_the_file_stays_small(size: int) -> None:
    count = components_for(size)
    assert 1 <= count <= familiarity.MOST_COMPONENTS
    assert 4 * (size * (count + 2) + count + 1) < familiarity.LARGEST_BYTES


def test_foreign_images_are_counted(made: tuple[Path, Path], tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    data, weights = made
    shape = CLASSIFICATION.image(CLASSIFICATION.listing(data).cases[0]).shape
    wild = torch.from_numpy(np.random.default_rng(0).normal(0, 50, (1, *shape)).astype(np.float32))
    monkeypatch.setattr(familiarity, "samples_of", lambda package, folder, count: iter([wild, wild, None]))
    layer = layer_of(CLASSIFICATION.network())
    found = calibrate(CLASSIFICATION, data, weights, tmp_path, layers=layer, foreign=[tmp_path])
    (foreign,) = found["foreign"]
    assert (foreign["images"], foreign["refused_by_the_package"], foreign["refused_by_score"]) == (3, 1, 2)
    assert (foreign["refused"], foreign["auc"]) == (1.0, 1.0)
