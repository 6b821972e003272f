"""Network inputs decoded once: one ``.npy`` file for each case, read as a memory map.

The name of a file is the digest of all that its content depends on: the task, the case's file, and the code of the
package and of the kit's readers and steps. Another version of the code or of the picture is another file.
"""

from __future__ import annotations

import hashlib
import inspect
import os
import tempfile
from dataclasses import replace
from pathlib import Path

import numpy as np
import PIL
import torch

from models.kit import data, preprocess
from models.kit.cases import Case
from models.kit.task import Array, Task


class CachedImages:
    """``task.image`` through a folder; the arrays are read-only."""

    def __init__(self, task: Task, folder: Path) -> None:
        self._image = task.image
        self._folder = folder
        self._version = _version(task)

    def __call__(self, case: Case) -> Array:
        """As ``task.image`` does, float32; what it raises is not kept."""
        key = hashlib.sha256(
            f"{self._version}\0{case.id}\0{_content(case.image)}".encode(errors="surrogateescape")
        ).hexdigest()
        path = self._folder / f"{key[:32]}.npy"
        if not path.is_file():
            self._write(path, self._image(case))
        values: Array = np.load(path, mmap_mode="r")
        return values

    def _write(self, path: Path, values: Array) -> None:
        """Whole or not at all: other processes may fill the same folder."""
        self._folder.mkdir(parents=True, exist_ok=True)
        handle, name = tempfile.mkstemp(dir=self._folder, suffix=".partial")
        with os.fdopen(handle, "wb") as file:
            np.save(file, np.ascontiguousarray(values, dtype=np.float32))
        Path(name).replace(path)


def cached(task: Task, folder: Path) -> Task:
    """The same task, whose images are decoded once."""
    return replace(task, image=CachedImages(task, folder))


def cached_image(task: Task, case: Case, folder: Path) -> Array:
    """One image of ``task`` through the cache in ``folder``."""
    return CachedImages(task, folder)(case)


def _version(task: Task) -> str:
    """Digest of the code that makes an image, and of the libraries that do the work."""
    home = inspect.getmodule(task.image)
    folders = [Path(str(module.__file__)).parent for module in (home, data, preprocess) if module is not None]
    digest = hashlib.sha256(f"{task.id}\0{np.__version__}\0{PIL.__version__}\0{torch.__version__}".encode())
    for folder in folders:
        for source in sorted(folder.glob("*.py")):
            digest.update(source.name.encode() + b"\0" + source.read_bytes())
    return digest.hexdigest()


def _content(path: Path) -> str:
    """Digest of a file, or of the files of a folder."""
    files = sorted(file for file in path.iterdir() if file.is_file()) if path.is_dir() else [path]
    digest = hashlib.sha256()
    for file in files:
        digest.update(hashlib.sha256(file.read_bytes()).digest())
    return digest.hexdigest()
