"""What a MONAI bundle says (``inference.json``, ``metadata.json``), read as data. Nothing in it is ever evaluated.

Of ``inference.json`` four sections are read: ``network_def``, ``preprocessing``, ``inferer`` and ``postprocessing``.
References (``@name``) are followed; an expression (``$...``) or a macro (``%...``) in one of them is a problem.
The rest (folders, data sets, handlers) is not looked at. Imports no MONAI.
"""

from __future__ import annotations

import hashlib
import json
import math
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from node.domain.declared import Postprocessing, Preprocessing
from node.infer.foreign import transforms

FOLDERS = ("configs", ".")
INFERENCE, METADATA = "inference.json", "metadata.json"
# Where the node decides itself (devices, memory), or where nothing can change.
OF_THE_ENGINE = {"_target_", "sw_device", "device", "progress", "cpu_thresh", "buffer_steps", "buffer_dim",
                 "cache_roi_weight_map"}  # fmt: skip
NETWORKS = ("monai.networks.", "torch.nn.")


class BundleProblem(ValueError):
    """What a bundle lacks, or asks for and does not get; ``place`` is the file and the key in it."""

    def __init__(self, place: str, words: str) -> None:
        super().__init__(words)
        self.place, self.words = place, words


@dataclass(frozen=True, slots=True)
class Windows:
    """A sliding window; ``blend`` as MONAI's ``BlendMode``."""

    size: tuple[int, int, int]
    overlap: float
    batch: int
    blend: str


@dataclass(frozen=True, slots=True)
class Bundle:
    """``definition`` is ``network_def`` as JSON without references; empty where the bundle has none."""

    definition: str
    preprocessing: Preprocessing
    postprocessing: Postprocessing | None
    windows: Windows | None


def read_bundle(folder: Path, config_sha256: str, own_before: bool, own_behind: bool) -> Bundle:
    """The bundle whose ``configs`` lie in ``folder``, if its inference.json has this digest.

    ``own_before``, ``own_behind``: ``model.toml`` declares these steps itself, and the bundle's are not looked at.

    Raises:
        BundleProblem: a file is absent, damaged or another one, or the bundle asks for what is not supported.
    """
    path, content = _content(folder, INFERENCE)
    found = hashlib.sha256(content).hexdigest()
    if found != config_sha256:
        raise BundleProblem("network.config_sha256", f"{path} has the SHA-256 {found}")
    document, metadata = _document(path, content), _document(*_content(folder, METADATA))
    section = _Sections(path, document)
    before = Preprocessing() if own_before else _before(path, section, metadata)
    behind = None if own_behind else _behind(path, section)
    network = section.get("network_def")
    if network is not None:
        _require_networks(path, network)
    return Bundle(
        definition="" if network is None else json.dumps(network),
        preprocessing=before,
        postprocessing=behind,
        windows=_windows(path, section.get("inferer")),
    )


def _before(path: str, section: _Sections, metadata: Mapping[str, Any]) -> Preprocessing:
    listed = _transforms(path, "preprocessing", section.get("preprocessing"))
    try:
        return transforms.preprocessing(listed, _channels(metadata))
    except transforms.UnknownTransform as error:
        raise BundleProblem(f"{path}: preprocessing", str(error)) from None


def _behind(path: str, section: _Sections) -> Postprocessing | None:
    given = section.get("postprocessing")
    try:
        return None if given is None else transforms.postprocessing(_transforms(path, "postprocessing", given))
    except transforms.UnknownTransform as error:
        raise BundleProblem(f"{path}: postprocessing", str(error)) from None


class _Sections:
    """Sections of a configuration with their references followed."""

    def __init__(self, path: str, document: Mapping[str, Any]) -> None:
        self._path, self._document = path, document

    def get(self, name: str) -> Any:
        if name not in self._document:
            return None
        return self._plain(self._document[name], name, name, (name,))

    def _plain(self, value: Any, section: str, place: str, seen: tuple[str, ...]) -> Any:
        if isinstance(value, dict):
            if self._of_the_node(value):
                return {"_target_": value["_target_"]}  # its parameters (folders, handlers) are never looked at
            return {
                key: self._plain(part, section, f"{place}.{key}", seen)
                for key, part in value.items()
                if not (section == "inferer" and key in OF_THE_ENGINE - {"_target_"})
            }
        if isinstance(value, list):
            return [self._plain(part, section, f"{place}[{index}]", seen) for index, part in enumerate(value)]
        if isinstance(value, str) and value.startswith(("$", "%")):
            raise BundleProblem(f"{self._path}: {place}", f"{value[:60]!r} is code or a macro, which is never run")
        if isinstance(value, str) and value.startswith("@"):
            return self._referred(value[1:].replace("#", "::"), section, place, seen)
        return value

    def _referred(self, name: str, section: str, place: str, seen: tuple[str, ...]) -> Any:
        found: Any = self._document
        for part in name.split("::"):
            if isinstance(found, list) and part.isdigit() and int(part) < len(found):
                found = found[int(part)]
            elif isinstance(found, dict) and part in found:
                found = found[part]
            else:
                raise BundleProblem(f"{self._path}: {place}", f"@{name} is not there")
        if name in seen:
            raise BundleProblem(f"{self._path}: {place}", f"@{name} refers to itself")
        return self._plain(found, section, place, (*seen, name))

    @staticmethod
    def _of_the_node(value: dict[str, Any]) -> bool:
        return transforms.bare_name(value) in transforms.OF_THE_NODE


def _content(folder: Path, name: str) -> tuple[str, bytes]:
    for below in FOLDERS:
        path = folder / below / name
        if path.is_file():
            return path.relative_to(folder).as_posix(), path.read_bytes()
    raise BundleProblem(f"configs/{name}", "is not there; bundles with YAML are not supported")


def _document(path: str, content: bytes) -> dict[str, Any]:
    try:
        document = json.loads(content)
    except ValueError as error:
        raise BundleProblem(path, f"not valid JSON: {error}") from None
    if not isinstance(document, dict):
        raise BundleProblem(path, "is no JSON object")
    return document


def _channels(metadata: Mapping[str, Any]) -> int:
    inputs = _at(metadata, "network_data_format", "inputs")
    if not isinstance(inputs, dict) or len(inputs) != 1:
        raise BundleProblem(f"{METADATA}: network_data_format.inputs", "a network with one input is supported")
    channels = _at(next(iter(inputs.values())), "num_channels")
    if channels not in (None, 1):
        raise BundleProblem(
            f"{METADATA}: network_data_format.inputs", f"{channels} channels are wanted; a series of images gives one"
        )
    return 1


def _at(document: Any, *keys: str) -> Any:
    for key in keys:
        document = document.get(key) if isinstance(document, dict) else None
    return document


def _transforms(path: str, name: str, section: Any) -> list[dict[str, Any]]:
    if section is None:
        return []
    listed = section.get("transforms") if isinstance(section, dict) else section
    if not isinstance(listed, list) or not all(isinstance(one, dict) for one in listed):
        raise BundleProblem(f"{path}: {name}", "is no Compose of transforms")
    return [one for one in listed if not one.get("_disabled_", False)]


def _windows(path: str, inferer: Any) -> Windows | None:
    if inferer is None:
        return None
    place = f"{path}: inferer"
    name = transforms.bare_name(inferer) if isinstance(inferer, dict) else ""
    if name == "SimpleInferer":
        return None
    if name != "SlidingWindowInferer":
        raise BundleProblem(place, f"{name or 'this'} is not supported, only SimpleInferer and SlidingWindowInferer")
    given = {key: value for key, value in inferer.items() if key not in OF_THE_ENGINE}
    size, overlap = given.pop("roi_size", None), given.pop("overlap", 0.25)
    batch, blend = given.pop("sw_batch_size", 1), given.pop("mode", "constant")
    if not isinstance(size, list) or len(size) != 3 or not all(isinstance(one, int) and one > 0 for one in size):
        raise BundleProblem(place, f"roi_size = {size!r} are not three numbers above 0")
    if not isinstance(overlap, int | float) or not 0 <= overlap < 1 or not math.isfinite(overlap):
        raise BundleProblem(place, f"overlap = {overlap!r} is no number of 0 to below 1")
    if not isinstance(batch, int) or batch < 1 or blend not in ("constant", "gaussian"):
        raise BundleProblem(place, f"sw_batch_size = {batch!r}, mode = {blend!r} is not supported")
    if given:
        raise BundleProblem(place, f"the parameter {next(iter(given))} is not supported")
    return Windows((size[0], size[1], size[2]), float(overlap), batch, blend)


def _require_networks(path: str, network: Any, place: str = "network_def") -> None:
    """Every ``_target_`` is a network of MONAI or PyTorch by its name; nothing else of MONAI's keys is used."""
    if isinstance(network, list):
        for index, part in enumerate(network):
            _require_networks(path, part, f"{place}[{index}]")
    if not isinstance(network, dict):
        return
    target = network.get("_target_")
    if place == "network_def" and target is None:
        raise BundleProblem(f"{path}: {place}", "names no _target_")
    if target is not None and not (isinstance(target, str) and _is_network(target)):
        raise BundleProblem(f"{path}: {place}", f"{target!r} is no network of monai.networks or torch.nn")
    for key, part in network.items():
        if key.startswith("_") and key not in ("_target_", "_desc_"):
            raise BundleProblem(f"{path}: {place}", f"{key} is not supported")
        if "pretrained" in key and part:
            raise BundleProblem(f"{path}: {place}", f"{key}: nothing is downloaded; the bundle brings its weights")
        _require_networks(path, part, f"{place}.{key}")


def _is_network(target: str) -> bool:
    return target.isidentifier() or (
        target.startswith(NETWORKS) and all(part.isidentifier() for part in target.split("."))
    )
