"""A training that begins with the features of another network."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch
from safetensors.torch import save_file

from models.kit.networks.residual import ResidualClassifier
from models.kit.transfer import with_features_of
from node.errors import InvalidModelPackage


def small(classes: int, width: int = 8) -> ResidualClassifier:
    return ResidualClassifier(channels=1, classes=classes, width=width, blocks=(1, 1))


def test_everything_but_the_decision_comes_from_the_other_network(tmp_path: Path) -> None:
    other = small(2)
    save_file({name: tensor.bfloat16() for name, tensor in other.state_dict().items()}, tmp_path / "other.safetensors")
    fresh = small(3)
    head = fresh.head.weight.detach().clone()
    started = with_features_of(fresh, tmp_path / "other.safetensors")
    assert started is fresh
    assert torch.equal(started.head.weight, head)
    assert torch.allclose(started.stem.weight, other.stem.weight, atol=0.01)
    assert not torch.allclose(started.stem.weight, small(3).stem.weight, atol=0.01)


def test_another_architecture_is_refused(tmp_path: Path) -> None:
    save_file(small(2, width=16).state_dict(), tmp_path / "wider.safetensors")
    with pytest.raises(InvalidModelPackage, match="architecture"):
        with_features_of(small(2), tmp_path / "wider.safetensors")
    save_file({"stem.weight": small(2).stem.weight.detach()}, tmp_path / "part.safetensors")
    with pytest.raises(InvalidModelPackage, match="architecture"):
        with_features_of(small(2), tmp_path / "part.safetensors")
    with pytest.raises(InvalidModelPackage, match="absent"):
        with_features_of(small(2), tmp_path / "absent.safetensors")
