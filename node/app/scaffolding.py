"""``ainode models new``: the folder of a package with everything in it but what only its author knows."""

from __future__ import annotations

import hashlib
import re
import shutil
from collections.abc import Mapping
from importlib import resources
from pathlib import Path
from string import Template

from node.errors import OperationError

FORMATS = ("code", "torchscript", "onnx", "monai_bundle")
KINDS = ("volume", "image")
NAME = re.compile(r"[a-z][a-z0-9_]{0,63}")
BUNDLE_WEIGHTS = ("models/model.pt", "models/model.ts", "models/model.safetensors")
BUNDLE_FOLDERS = ("configs", "models", "docs")
INFERENCE = "configs/inference.json"


def new_package(name: str, form: str, kind: str, out: Path, network: Path | None) -> Path:
    """Write the package ``out/name`` and return its folder.

    ``network`` is copied into it: the TorchScript or ONNX file, the weights of a package with code, or the folder of
    an unpacked MONAI bundle.

    Raises:
        OperationError: the name is none for a package, the folder is there already, or the network is not.
    """
    if not NAME.fullmatch(name):
        raise OperationError(f"{name!r} is no name of a package: small letters, digits and _, a letter first")
    if network is not None and not (network.is_dir() if form == "monai_bundle" else network.is_file()):
        raise OperationError(f"{network} is no {'folder' if form == 'monai_bundle' else 'file'}")
    folder = out / name
    try:
        folder.mkdir(parents=True)
    except FileExistsError:
        raise OperationError(f"{folder} is there already; nothing was written") from None
    if form == "monai_bundle":
        words = _bundle(folder, network)
    elif form == "code":
        words = _weights(folder, network)
    else:
        words = _file(folder, form, network)
    _write(folder, form, kind, {"name": name, "kind": kind, "format": form, **words})
    return folder


def _file(folder: Path, form: str, network: Path | None) -> dict[str, str]:
    """The words for the network of a package that is one file."""
    if network is None:
        file = f"FILL IN: the name of the {form} file, copied into this folder"
        return {"file": file, "sha256": "FILL IN: what sha256sum says of that file"}
    # Only names that model.toml can carry.
    copied = re.sub(r"[^A-Za-z0-9_.-]", "_", network.name).lstrip(".-") or "network"
    shutil.copyfile(network, folder / copied)
    return {"file": copied, "sha256": _sha256(folder / copied)}


def _weights(folder: Path, network: Path | None) -> dict[str, str]:
    if network is None:
        return {"sha256": "FILL IN: what sha256sum says of weights.safetensors, saved from network() in network.py"}
    shutil.copyfile(network, folder / "weights.safetensors")
    return {"sha256": _sha256(folder / "weights.safetensors")}


def _bundle(folder: Path, network: Path | None) -> dict[str, str]:
    if network is None:
        return {
            "file": f"FILL IN: {' or '.join(BUNDLE_WEIGHTS)}",
            "sha256": "FILL IN: what sha256sum says of that file",
            "config_sha256": f"FILL IN: what sha256sum says of {INFERENCE}",
        }
    for part in BUNDLE_FOLDERS:
        if (network / part).is_dir():
            shutil.copytree(network / part, folder / part)
    found = next((file for file in BUNDLE_WEIGHTS if (folder / file).is_file()), None)
    config = folder / INFERENCE
    return {
        "file": found or f"FILL IN: the file with the weights; found is none of {', '.join(BUNDLE_WEIGHTS)}",
        "sha256": _sha256(folder / found) if found else "FILL IN: what sha256sum says of that file",
        "config_sha256": _sha256(config) if config.is_file() else f"FILL IN: the bundle has no {INFERENCE}",
    }


def _write(folder: Path, form: str, kind: str, words: Mapping[str, str]) -> None:
    """The files of the package from the templates."""
    if form == "code":
        network, file, steps = "", 'file = "weights.safetensors"', []
    else:
        network, file = _text("network-monai_bundle.toml" if form == "monai_bundle" else "network.toml", words), ""
        # The bundle says itself what goes before and behind the network.
        steps = [] if form == "monai_bundle" else [f"preprocess-{kind}.toml", f"postprocess-{kind}.toml"]
    if kind == "volume":
        steps.append("segments.toml")
    elif form == "monai_bundle":
        steps += [f"preprocess-{kind}.toml", f"postprocess-{kind}.toml"]
    parts = {
        "limits": _text(f"limits-{kind}.toml", words).strip(),
        "window": _text(f"window-{kind}.toml", words),
        "network": network,
        "steps": "".join(_text(part, words) for part in steps),
    }
    described = _text("model.toml", {**words, **parts, "file": file})
    (folder / "model.toml").write_text(re.sub(r"\n{3,}", "\n\n", described).rstrip() + "\n", encoding="utf-8")
    (folder / "MODEL_CARD.md").write_text(_text("MODEL_CARD.md", words), encoding="utf-8")
    if form == "code":
        for name in ("model", "network"):
            (folder / f"{name}.py").write_text(_text(f"{name}-{kind}.py.txt", words), encoding="utf-8")


def _text(template: str, words: Mapping[str, str]) -> str:
    content = (resources.files("node.app") / "templates" / template).read_text(encoding="utf-8")
    return Template(content).substitute(words)


def _sha256(path: Path) -> str:
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()
