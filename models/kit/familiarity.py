"""How unlike its training data an input may be: the file beside the weights that the node judges by, and its threshold.

Mean and spread are those of the training cases, without augmentation; the threshold lies above nearly all validation
cases. The node computes the same numbers in the same way (``node.infer.quality``).
"""

from __future__ import annotations

import hashlib
import json
import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor, nn

from models.kit.cases import Case, Problem
from models.kit.foreign import Sample, samples_of
from models.kit.task import Array, Task
from models.kit.trained import UNREADABLE, network_input, trained_network, weights_digest
from models.kit.training.loop import limited, prepared_in
from node.infer.quality.cloud import Cloud, fitted, to_bytes
from node.infer.quality.embedding import score_of, watched

FILE, FIGURES = "ood.safetensors", "ood.json"
# What the kit's networks call the stages of their way down.
LAYERS = re.compile(r"(^|\.)(stem|trunk\.\d+|down\.\d+)$")
MOST_COMPONENTS = 64
LARGEST_BYTES = 200_000
HEADER_BYTES = 2_000
QUANTILE = 99.5
MARGIN = 1.1

Scores = npt.NDArray[np.float64]


@dataclass(frozen=True, slots=True)
class Seen:
    """What the network makes of cases: rows of each, and which could not be read."""

    rows: tuple[Array, ...]
    problems: tuple[Problem, ...]

    def scores(self, cloud: Cloud) -> Scores:
        """Of each case."""
        return np.array([score_of(cloud, rows) for rows in self.rows])


def calibrate(
    task: Task,
    data: Path,
    weights: Path,
    out: Path,
    device: str = "cpu",
    limit: int = 0,
    layers: str = "",
    foreign: Sequence[Path] = (),
    count: int = 40,
) -> dict[str, Any]:
    """Write ``ood.safetensors`` and ``ood.json`` into ``out``; what belongs into ``model.toml`` is in the document.

    Args:
        task: its network is watched.
        data: the folder with the data sets.
        weights: of the network; the file is good for these alone.
        out: prepared before, or prepared now.
        device: where the network runs.
        limit: so many cases of each part; 0 is all.
        layers: names of layers, separated by commas; empty: those of ``LAYERS``.
        foreign: folders of images that the model is not meant for, of each of which ``count`` are measured.
        count: see ``foreign``.

    Raises:
        InvalidModelPackage: the weights do not fit, or the network has no such layers.
        ValueError: nothing to learn from.
        FileNotFoundError: the data is not there.
    """
    network = trained_network(task, weights, device)
    names = tuple(layers.split(",")) if layers else layers_of(network)
    prepared = prepared_in(task, data, out)
    training, validation, test = (
        _seen(network, names, task, limited(prepared.part(part), limit)) for part in ("train", "validation", "test")
    )
    if not training.rows or not validation.rows:
        raise ValueError("no training or no validation case could be read")
    rows = np.concatenate(training.rows)
    cloud = fitted(names, rows, components_for(rows.shape[1]))
    threshold = round(float(np.percentile(validation.scores(cloud), QUANTILE)) * MARGIN, 3)
    content = to_bytes(cloud, task.id, weights_digest(weights), len(training.rows))
    (out / FILE).write_bytes(content)
    own = test.scores(cloud)
    figures: dict[str, Any] = {
        "file": FILE,
        "sha256": hashlib.sha256(content).hexdigest(),
        "threshold": threshold,
        "layers": list(names),
        "cases": {"train": len(training.rows), "validation": len(validation.rows), "test": len(own)},
        "refused": {
            "validation": _share(validation.scores(cloud) > threshold),
            "test": _share(own > threshold),
        },
        "foreign": [_foreign(task, network, cloud, threshold, own, folder, count) for folder in foreign],
    }
    (out / FIGURES).write_text(json.dumps(figures, indent=2) + "\n", encoding="utf-8")
    problems = [*training.problems, *validation.problems, *test.problems]
    return figures | {"problems": [{"path": one.path, "reason": one.reason} for one in problems]}


def layers_of(network: nn.Module) -> tuple[str, ...]:
    """The stages of a network of the kit.

    Raises:
        ValueError: it has none; its layers have to be named.
    """
    names = tuple(name for name, _ in network.named_modules() if LAYERS.search(name))
    if not names:
        raise ValueError(f"{type(network).__name__} has no layers called stem, trunk or down: name them (--layers)")
    return names


def components_for(size: int) -> int:
    """As many directions as fit into ``LARGEST_BYTES`` beside mean and scale, at most ``MOST_COMPONENTS``."""
    return max(1, min(MOST_COMPONENTS, (LARGEST_BYTES - HEADER_BYTES) // (4 * size) - 2))


def _seen(network: nn.Module, layers: tuple[str, ...], task: Task, cases: Iterable[Case]) -> Seen:
    rows: list[Array] = []
    problems: list[Problem] = []
    for case in cases:
        try:
            inputs = network_input(task, case)
        except UNREADABLE as error:
            problems.append(Problem(case.id, f"{type(error).__name__}: {error}"))
            continue
        rows.append(_rows(network, layers, inputs))
    return Seen(tuple(rows), tuple(problems))


def _rows(network: nn.Module, layers: tuple[str, ...], inputs: Tensor) -> Array:
    device = next(network.parameters()).device
    with torch.inference_mode(), watched(network, layers) as seen:
        network(inputs.to(device))
    return seen.vectors()


def _foreign(
    task: Task, network: nn.Module, cloud: Cloud, threshold: float, own: Scores, folder: Path, count: int
) -> dict[str, Any]:
    """How many images of ``folder`` the package refuses by itself, and of the others how many by the score."""
    samples: list[Sample] = list(samples_of(task.id, folder, count))
    scores = np.array([score_of(cloud, _rows(network, cloud.layers, one)) for one in samples if one is not None])
    by_itself = len(samples) - len(scores)
    return {
        "folder": folder.name,
        "images": len(samples),
        "refused_by_the_package": by_itself,
        "refused_by_score": int((scores > threshold).sum()),
        "refused": _share(np.concatenate([np.ones(by_itself, bool), scores > threshold])),
        "auc": _auc(own, scores),
    }


def _auc(own: Scores, foreign: Scores) -> float | None:
    """How often a foreign image has the higher score than one of the test part."""
    if not len(own) or not len(foreign):
        return None
    higher = foreign[:, None] > own[None]
    ties = foreign[:, None] == own[None]
    return round(float(np.mean(higher + 0.5 * ties)), 4)


def _share(chosen: npt.NDArray[np.bool_]) -> float | None:
    return round(float(chosen.mean()), 4) if len(chosen) else None
