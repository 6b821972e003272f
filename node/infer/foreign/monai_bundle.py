"""The network of a MONAI bundle, built from its ``network_def``.

Classes are looked up by name in ``monai.networks`` and ``torch.nn`` and called with the plain values of the JSON; no
expression is evaluated (``monai.bundle.ConfigParser`` would), nothing is downloaded, and weights are read without
unpickling code.
"""

from __future__ import annotations

import importlib
import inspect
import io
import json
import pickle
from pathlib import PurePosixPath
from typing import Any

import safetensors.torch
import torch
from safetensors import SafetensorError
from torch import Tensor, nn

from node.errors import InvalidModelPackage
from node.infer.foreign.torchscript import torchscript_network

PLACES = ("monai.networks.nets", "monai.networks.blocks", "monai.networks.layers", "torch.nn")
ALLOWED = ("monai.networks.", "torch.nn.")
# They fetch a language model when they are made.
FETCHING = {"Transchex", "MultiModal", "BertPreTrainedModel"}
# Checkpoints of training keep the weights under one of these.
INSIDE = ("model", "state_dict", "network")


def bundle_network(content: bytes, name: str, definition: str) -> nn.Module:
    """The network with its weights from ``content``, the file ``name`` (``.ts``, ``.pt``, ``.pth``, ``.safetensors``).

    Raises:
        InvalidModelPackage: the definition asks for something else than a network, or the weights do not fit it.
    """
    suffix = PurePosixPath(name).suffix
    if suffix == ".ts":
        return torchscript_network(content, name)
    if not definition:
        raise InvalidModelPackage(f"{name}: inference.json has no network_def, so that only a .ts file can be run")
    try:
        network: nn.Module = _built(json.loads(definition))
    except (TypeError, ValueError, KeyError, ImportError, NotImplementedError) as error:
        raise InvalidModelPackage(f"network_def: {error}") from error
    stored = _safetensors(content, name) if suffix == ".safetensors" else _state(content, name)
    weights = {key: value.float() if value.is_floating_point() else value for key, value in stored.items()}
    try:
        network.load_state_dict(weights, strict=True)
    except RuntimeError as error:
        raise InvalidModelPackage(f"{name}: the weights do not fit network_def: {str(error)[:500]}") from error
    return network


def _built(part: Any) -> Any:
    if isinstance(part, list):
        return [_built(one) for one in part]
    if not isinstance(part, dict):
        return part
    arguments = {key: _built(value) for key, value in part.items() if not key.startswith("_")}
    if "_target_" not in part:
        return arguments
    network = _class(part["_target_"])
    for name, parameter in inspect.signature(network).parameters.items():
        if name.startswith("pretrained") and parameter.default is True:
            arguments.setdefault(name, False)
    return network(**arguments)


def _class(target: str) -> type[nn.Module]:
    """
    Raises:
        InvalidModelPackage: ``target`` is no network class of MONAI or PyTorch.
    """
    module, _, name = target.rpartition(".")
    if module and not f"{module}.".startswith(ALLOWED):
        raise InvalidModelPackage(f"network_def: {target!r} is no network of monai.networks or torch.nn")
    for place in (module,) if module else PLACES:
        try:
            found = getattr(importlib.import_module(place), name, None)
        except ModuleNotFoundError:
            found = None
        if not (inspect.isclass(found) and issubclass(found, nn.Module)):
            continue
        if f"{found.__module__}.".startswith(ALLOWED) and found.__name__ not in FETCHING:
            return found
    raise InvalidModelPackage(f"network_def: {target!r} is no network of monai.networks or torch.nn that can be run")


def _safetensors(content: bytes, name: str) -> dict[str, Tensor]:
    try:
        return safetensors.torch.load(content)
    except SafetensorError as error:
        raise InvalidModelPackage(f"{name}: {error}") from error


def _state(content: bytes, name: str) -> dict[str, Tensor]:
    try:
        stored = torch.load(io.BytesIO(content), map_location="cpu", weights_only=True)
    except (RuntimeError, ValueError, EOFError, pickle.UnpicklingError) as error:
        words = str(error).splitlines()[0][:200] if str(error) else type(error).__name__
        raise InvalidModelPackage(f"{name}: no weights that can be read without running code: {words}") from error
    for key in INSIDE:
        if isinstance(stored, dict) and isinstance(stored.get(key), dict):
            stored = stored[key]
    if not (isinstance(stored, dict) and stored and all(isinstance(value, Tensor) for value in stored.values())):
        raise InvalidModelPackage(f"{name}: holds no weights by name")
    return stored
