"""What a run was made with beside its weights: the parameters that its package declares, and the package's code."""

from __future__ import annotations

import hashlib
from dataclasses import asdict
from pathlib import Path
from typing import Any

from node.domain.model import ModelDescription
from node.infer.package import DESCRIPTION

CODE = "*.py"


def parameters(model: ModelDescription) -> dict[str, Any]:
    """As plain data: how the engine drives the network; pre- and postprocessing as declared.

    A package with code declares no steps: those are its code, of which this holds the digest.
    """
    told: dict[str, Any] = {"runtime": asdict(model.runtime), "package_sha256": package_digest(Path(model.folder))}
    if model.declared is not None:
        told["preprocessing"] = asdict(model.declared.preprocessing)
        told["postprocessing"] = asdict(model.declared.postprocessing)
    return told


def package_digest(folder: Path) -> str:
    """SHA-256 over ``model.toml`` and every Python file of a package: names, sizes and bytes, in the order of names."""
    digest = hashlib.sha256()
    for path in sorted({folder / DESCRIPTION, *folder.rglob(CODE)}):
        content = path.read_bytes()
        digest.update(f"{path.relative_to(folder).as_posix()}\0{len(content)}\0".encode())
        digest.update(content)
    return digest.hexdigest()
