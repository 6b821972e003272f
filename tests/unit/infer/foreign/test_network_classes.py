"""Which classes a bundle's ``network_def`` can be made of."""

from __future__ import annotations

import json

import pytest
from torch import nn

from node.errors import InvalidModelPackage
from node.infer.foreign.monai_bundle import bundle_network
from tests.fakes import declared


@pytest.mark.parametrize(
    "target",
    ["Transchex", "monai.networks.utils.normal_init", "monai.networks.nets.nothing.There", "torch.nn.functional.relu",
     "monai.networks.nets.transchex.torch.save", "Nowhere", "load_state_dict_from_url"],
)  # fmt: skip
def test_other_than_network_classes(target: str) -> None:
    definition = json.dumps({"_target_": target})
    with pytest.raises(InvalidModelPackage, match="is no network of"):
        bundle_network(b"", "model.pt", definition)


def test_arguments_that_do_not_fit() -> None:
    with pytest.raises(InvalidModelPackage, match="network_def: "):
        bundle_network(b"", "model.pt", json.dumps({"_target_": "torch.nn.Conv3d", "colour": 3}))


def test_nothing_is_fetched_where_a_class_would_by_default(monkeypatch: pytest.MonkeyPatch) -> None:
    class Fetching(nn.Module):
        def __init__(self, pretrained: bool = True) -> None:
            super().__init__()
            assert not pretrained
            self.inner = declared.network()

    Fetching.__module__ = "torch.nn.modules"
    monkeypatch.setattr(nn, "Fetching", Fetching, raising=False)
    content = declared.weights(Fetching(pretrained=False))
    assert isinstance(bundle_network(content, "model.pt", json.dumps({"_target_": "torch.nn.Fetching"})), Fetching)


def test_without_a_definition_only_torchscript_can_be_run() -> None:
    with pytest.raises(InvalidModelPackage, match="has no network_def"):
        bundle_network(declared.weights(declared.network()), "model.pt", "")
