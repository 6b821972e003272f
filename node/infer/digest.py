"""The bytes of a package's files, if they are the declared ones."""

from __future__ import annotations

import hashlib
from pathlib import Path

from node.domain.model import ModelDescription
from node.errors import InvalidModelPackage, WeightsDigestMismatch


def declared_bytes(model: ModelDescription) -> bytes:
    """The content of the weights' file. What is loaded is what was compared: the file is read once.

    Raises:
        InvalidModelPackage: the file cannot be read.
        WeightsDigestMismatch: the weights are not those that the package declares.
    """
    return bytes_of(model, model.weights_file, model.algorithm.weights_sha256)


def bytes_of(model: ModelDescription, file: str, sha256: str) -> bytes:
    """The content of a file of the package, as ``declared_bytes``."""
    path = Path(model.folder) / file
    try:
        content = path.read_bytes()
    except OSError as error:
        raise InvalidModelPackage(f"{model.id}: {file}: {error.strerror}") from error
    found = hashlib.sha256(content).hexdigest()
    if found != sha256:
        raise WeightsDigestMismatch(f"{model.id}: {file} changed since it was declared", found=found)
    return content
