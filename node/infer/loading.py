"""A model package on disk to code and a network with its weights. Runs in the inference child."""

from __future__ import annotations

import hashlib
import importlib
import importlib.util
import sys
from pathlib import Path
from types import ModuleType
from typing import cast

import safetensors.torch
import torch
from safetensors import SafetensorError

from node.domain.model import ModelDescription
from node.errors import InvalidModelPackage
from node.infer.digest import declared_bytes
from node.infer.foreign.model import DeclaredModel
from node.infer.registry import BUILT_IN
from node.ports import Model

FUNCTIONS = ("preprocess", "network", "postprocess")
EXTERNAL_PREFIX = "ainode_model_"


def load_code(model: ModelDescription) -> Model:
    """The package's ``model`` module, or what stands for it. Whatever its import raises goes up unchanged.

    Raises:
        InvalidModelPackage: a function is absent.
    """
    if model.declared is not None:
        return DeclaredModel(model, model.declared)
    folder = Path(model.folder)
    if folder.parent == BUILT_IN:
        module = importlib.import_module(f"{BUILT_IN.name}.{model.id}.model")
    else:
        module = importlib.import_module(f"{_external_package(folder, model.id)}.model")
    absent = [name for name in FUNCTIONS if not callable(getattr(module, name, None))]
    if absent:
        raise InvalidModelPackage(f"{model.id}: model.py has no {', '.join(absent)}", package=model.id)
    return cast(Model, module)


def _external_package(folder: Path, model_id: str) -> str:
    """Register ``folder`` as a package under a name of its own, so that relative imports inside it work."""
    digest = hashlib.sha256(str(folder).encode()).hexdigest()[:8]
    name = f"{EXTERNAL_PREFIX}{model_id}_{digest}"
    if name in sys.modules:
        return name
    init = folder / "__init__.py"
    if init.is_file():
        spec = importlib.util.spec_from_file_location(name, init, submodule_search_locations=[str(folder)])
        assert spec is not None
        assert spec.loader is not None
        package = importlib.util.module_from_spec(spec)
        sys.modules[name] = package
        spec.loader.exec_module(package)
    else:
        package = ModuleType(name)
        package.__path__ = [str(folder)]
        sys.modules[name] = package
    return name


def load_network(model: ModelDescription, code: Model, device: torch.device) -> torch.nn.Module:
    """The network in evaluation mode on ``device``, its weights as float32 whatever precision they were stored in.

    Raises:
        InvalidModelPackage: the weights do not fit the network, or are no safetensors.
        WeightsDigestMismatch: the weights are not those that the package declares.
    """
    network = code.network()
    if not isinstance(network, torch.nn.Module):
        raise InvalidModelPackage(f"{model.id}: network() returned {type(network).__name__}, no torch.nn.Module")
    if model.declared is not None:
        return network.to(device).eval()  # it came with its weights
    try:
        network.load_state_dict(_weights(model), strict=True)
    except RuntimeError as error:
        raise InvalidModelPackage(f"{model.id}: the weights do not fit the network: {error}") from error
    return network.to(device).eval()


def _weights(model: ModelDescription) -> dict[str, torch.Tensor]:
    try:
        stored = safetensors.torch.load(declared_bytes(model))
    except SafetensorError as error:
        raise InvalidModelPackage(f"{model.id}: {model.weights_file}: {error}") from error
    return {name: tensor.float() if tensor.is_floating_point() else tensor for name, tensor in stored.items()}
