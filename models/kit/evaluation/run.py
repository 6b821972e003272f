"""One evaluation: which network, on which cases, and where to."""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
import torch
from torch import nn

from models.kit.cases import Problem
from models.kit.evaluation.parts import Part, shown
from models.kit.nearest import normalised
from models.kit.task import Array, Task
from models.kit.trained import embedding


@dataclass(frozen=True, slots=True)
class Parts:
    """What baselines are fitted on, chosen on, and measured on."""

    train: Part
    validation: Part
    test: Part

    @property
    def all(self) -> tuple[Part, Part, Part]:
        """In this order."""
        return self.train, self.validation, self.test


@dataclass(frozen=True, slots=True)
class Run:
    """What is measured on what.

    Attributes:
        validation: chooses temperature, operating point and the baselines' settings.
        part: what is measured.
        parts: of the baselines; ``None`` leaves out everything that needs the training cases.
        folder: where features are kept, and the tables of cases.
        problems: receives what could not be done.
        weights_sha256: of the network.
    """

    task: Task
    network: nn.Module
    device: torch.device
    validation: Part
    part: Part
    parts: Parts | None
    folder: Path
    problems: list[Problem]
    samples: int
    weights_sha256: str
    _vectors: dict[tuple[str, ...], Array] = field(default_factory=dict)

    @property
    def has_embedding(self) -> bool:
        """Whether the network has ``features``."""
        return callable(getattr(self.network, "features", None))

    def vectors(self, part: Part) -> Array:
        """The network's embeddings of the cases of a part, float32 (N, size), rows of length 1; computed once.

        Raises:
            InvalidModelPackage: the network has no embedding (``has_embedding``).
            ValueError: an embedding is not finite.
        """
        key = tuple(case.id for case in part.cases)
        if key not in self._vectors:
            self._vectors[key] = self._embedded(part)
        return self._vectors[key]

    def _embedded(self, part: Part) -> Array:
        rows: list[Array] = []
        with torch.inference_mode():
            for sample in shown(part.samples, "embedding"):
                # One by one, so that a vector does not depend on its neighbours.
                inputs = sample.image.float()[None].to(self.device)
                rows.append(embedding(self.network, inputs).float().cpu().numpy())
        vectors = np.concatenate(rows)
        if not np.isfinite(vectors).all():
            raise ValueError("an embedding that is not finite")
        return normalised(vectors)
