"""A task's trained network and what it is given: one place for everything that uses finished weights."""

from __future__ import annotations

import hashlib
from pathlib import Path
from typing import cast

import numpy as np
import safetensors.torch
import torch
from safetensors import SafetensorError
from torch import Tensor, nn

from models.kit.cases import Case
from models.kit.task import Task
from node.errors import AinodeError, InvalidModelPackage

# What reading an image may end in; ``f"{type(error).__name__}: {error}"`` is the reason that is listed.
UNREADABLE = (AinodeError, ValueError, OSError)


def trained_network(task: Task, weights: Path, device: torch.device | str = "cpu") -> nn.Module:
    """The network of ``task`` with its weights as float32, in evaluation mode.

    Raises:
        InvalidModelPackage: the file is absent, no safetensors, or of another network.
    """
    return with_weights(task.network(), weights).to(device)


def with_weights(network: nn.Module, weights: Path) -> nn.Module:
    """``network`` with the weights of a safetensors file as float32, in evaluation mode.

    Raises:
        InvalidModelPackage: the file is absent, no safetensors, or of another network.
    """
    try:
        network.load_state_dict(_float_weights(weights), strict=True)
    except RuntimeError as error:
        raise InvalidModelPackage(f"{weights.name} does not fit {type(network).__name__}: {error}") from error
    return network.eval()


def weights_digest(weights: Path) -> str:
    """SHA-256 of the file in hexadecimal."""
    return hashlib.sha256(weights.read_bytes()).hexdigest()


def explained(task: Task, network: nn.Module) -> nn.Module:
    """The network whose maps explain the trained one: mostly itself."""
    return network if task.explained is None else task.explained(network).eval()


def unlabelled(image: Case | Path) -> Case:
    """A case of an image that only has a path; its label 0 means nothing."""
    if isinstance(image, Case):
        return image
    return Case(id=image.stem, image=image, label=0, group=image.stem)


def network_input(task: Task, case: Case) -> Tensor:
    """The network's input of one case, float32 (1, channels, rows, columns).

    Raises:
        ValueError: the task gives another shape, or values that are not finite.
        AinodeError, OSError: the image cannot be read (as ``task.image`` says).
    """
    array = task.image(case)
    if array.ndim < 3 or not array.size:
        raise ValueError(f"an image of shape {array.shape}, not (channels, rows, columns)")
    if not np.isfinite(array).all():
        raise ValueError("an image with values that are not finite")
    return torch.from_numpy(np.array(array, dtype=np.float32))[None]


def class_probabilities(network: nn.Module, inputs: Tensor) -> Tensor:
    """Softmax over the classes, float32 on the CPU: (N, classes) or (N, classes, rows, columns)."""
    device = next(network.parameters()).device
    with torch.inference_mode():
        logits = cast(Tensor, network(inputs.to(device)))
    return torch.softmax(logits.float(), dim=1).cpu()


def embedding(network: nn.Module, inputs: Tensor) -> Tensor:
    """``network.features(inputs)``: (N, size), from which the last layer decides.

    Raises:
        InvalidModelPackage: the network has no ``features``, or they are no vectors.
    """
    features = getattr(network, "features", None)
    if not callable(features):
        raise InvalidModelPackage(f"{type(network).__name__} has no features(x), which give the embedding")
    vectors = cast(Tensor, features(inputs))
    if vectors.ndim != 2:
        raise InvalidModelPackage(f"features of shape {tuple(vectors.shape)}, not (pictures, size)")
    return vectors


def _float_weights(weights: Path) -> dict[str, Tensor]:
    try:
        stored = safetensors.torch.load(weights.read_bytes())
    except OSError as error:
        raise InvalidModelPackage(f"{weights.name}: {error.strerror}") from error
    except SafetensorError as error:
        raise InvalidModelPackage(f"{weights.name}: {error}") from error
    return {name: tensor.float() if tensor.is_floating_point() else tensor for name, tensor in stored.items()}
