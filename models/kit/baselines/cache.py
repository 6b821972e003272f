"""Features of images, computed once: kept in one file beside the evaluation."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Iterable
from pathlib import Path

import numpy as np

from models.kit.baselines.features import VERSION, Features
from models.kit.task import Array


class FeatureCache:
    """Vectors by the content of the image in ``file`` (npz): another image, or another version, is made anew."""

    def __init__(self, file: Path) -> None:
        self._file = file
        self._known: dict[str, Features] = {}
        if file.exists():
            with np.load(file) as stored:
                self._known = dict(zip(map(str, stored["keys"]), stored["values"], strict=True))

    def of(self, images: Iterable[Array], make: Callable[[Array], Features]) -> Features:
        """Vectors (N, F) of the images; those not yet known are made, and the file is written if there were any."""
        before = len(self._known)
        keys: list[str] = []
        for image in images:
            keys.append(self._key(image))
            if keys[-1] not in self._known:
                self._known[keys[-1]] = make(image)
        if len(self._known) > before:
            self._write()
        return np.stack([self._known[key] for key in keys])

    def _key(self, image: Array) -> str:
        return hashlib.sha256(f"{VERSION}\0{image.shape}\0{image.dtype}\0".encode() + image.tobytes()).hexdigest()

    def _write(self) -> None:
        partial = self._file.with_suffix(".partial.npz")
        np.savez(partial, keys=np.array(list(self._known)), values=np.stack(list(self._known.values())))
        partial.replace(self._file)
