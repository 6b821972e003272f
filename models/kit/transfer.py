"""Begin a training with what another network has learnt to see (Yosinski et al., NeurIPS 2014)."""

from __future__ import annotations

from pathlib import Path
from typing import TypeVar

from safetensors import SafetensorError
from safetensors.torch import load_file
from torch import nn

from node.errors import InvalidModelPackage

Network = TypeVar("Network", bound=nn.Module)

# What decides between the classes of the other task.
DECISION = "head."


def with_features_of(network: Network, weights: Path) -> Network:
    """``network`` with every tensor of ``weights`` but those of the decision, which stays as it is.

    Raises:
        InvalidModelPackage: the file is absent, no safetensors, or of another architecture.
    """
    try:
        stored = load_file(str(weights))
        features = {name: tensor for name, tensor in stored.items() if not name.startswith(DECISION)}
        lacking = set(network.load_state_dict(features, strict=False).missing_keys)
    except (OSError, SafetensorError, RuntimeError) as error:
        raise InvalidModelPackage(f"{weights.name} is absent or of another architecture: {error}") from error
    if any(not name.startswith(DECISION) for name in lacking):
        raise InvalidModelPackage(f"{weights.name} is of another architecture")
    return network
