"""Similar cases: what among known pictures is most like a new one, by the network's own embedding.

``ainode models similar ID IMAGE`` and the report call these::

    index, problems = build_index(task, weights, cases)          # models.kit.embedding; cases of the training part
    save_index(index, out / "index.npz")
    index = load_index(out / "index.npz", weights)               # WeightsDigestMismatch: made with other weights
    neighbours = similar(task, weights, index, image, k=5)       # image: a Case or a path
    figures = precision_at_k(index, build_index(task, weights, test_cases)[0], k=5)
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from math import nan
from pathlib import Path

import numpy as np
import numpy.typing as npt

from models.kit.cases import Case
from models.kit.embedding import Index, build_index, load_index, save_index, vector_of
from models.kit.evaluation.resampling import SAMPLES, Estimate, Indices, estimates
from models.kit.nearest import Engine, nearest
from models.kit.task import Task
from models.kit.trained import network_input, trained_network, unlabelled, weights_digest
from node.errors import WeightsDigestMismatch

__all__ = ["Index", "Neighbour", "build_index", "chance_at_k", "load_index", "precision_at_k", "save_index", "similar"]

ALL = "all"


@dataclass(frozen=True, slots=True)
class Neighbour:
    """A known case and how much it is like the one asked about: cosine of the embeddings, 1 for the same."""

    id: str
    label: int
    class_name: str
    cosine: float


def similar(
    task: Task,
    weights: Path,
    index: Index,
    image: Case | Path,
    k: int = 5,
    engine: Engine = "auto",
    device: str = "cpu",
) -> tuple[Neighbour, ...]:
    """The ``k`` cases of ``index`` most like ``image``, the most like first.

    A case that is itself in the index is not its own neighbour, nor is any of its group; an image that is only a path
    has no group, and finds its twin.

    Raises:
        WeightsDigestMismatch: the index was made with other weights.
        InvalidModelPackage: the weights do not fit, or the network has no ``features``.
        ValueError: ``k`` is below 1.
        AinodeError, OSError: the image cannot be read.
    """
    digest = weights_digest(weights)
    if index.weights_sha256 != digest:
        raise WeightsDigestMismatch(
            f"the index was made with other weights than {weights.name}", found=index.weights_sha256, wanted=digest
        )
    vector = vector_of(trained_network(task, weights, device), network_input(task, unlabelled(image)))[0]
    allowed = _others(index, image.group) if isinstance(image, Case) else None
    rows, cosines = nearest(index.vectors, vector, k, allowed, engine)
    return tuple(
        Neighbour(index.ids[row], int(index.labels[row]), index.classes[int(index.labels[row])], float(cosine))
        for row, cosine in zip(rows, cosines, strict=True)
    )


def precision_at_k(
    gallery: Index, queries: Index, k: int = 5, engine: Engine = "auto", samples: int = SAMPLES, seed: int = 0
) -> dict[str, Estimate]:
    """The share of the ``k`` nearest in ``gallery`` that have the query's class: by class, and ``all`` queries.

    Cases of the query's own group are passed over, so that ``gallery`` and ``queries`` may be the same index. A query
    for which fewer than ``k`` cases remain is judged by those; one without any is left out. Intervals are 95 %
    bootstrap intervals over the groups of the queries.

    What chance reaches is the share of the class in the gallery (``chance_at_k``).

    Raises:
        WeightsDigestMismatch: the two are of different weights.
        ValueError: ``k`` is below 1.
    """
    if gallery.weights_sha256 != queries.weights_sha256:
        raise WeightsDigestMismatch(
            "two indices of different weights", found=queries.weights_sha256, wanted=gallery.weights_sha256
        )
    shares = np.array([_share(gallery, queries, row, k, engine) for row in range(len(queries))])
    return estimates(_means(queries, shares), queries.groups, samples, seed)


def chance_at_k(gallery: Index, queries: Index) -> dict[str, float]:
    """What ``precision_at_k`` comes to where neighbours are drawn blindly: each class's share of the gallery."""
    shares = np.bincount(gallery.labels, minlength=len(gallery.classes)) / max(len(gallery), 1)
    return dict(zip(gallery.classes, map(float, shares), strict=True)) | {ALL: float(np.mean(shares[queries.labels]))}


def _share(gallery: Index, queries: Index, row: int, k: int, engine: Engine) -> float:
    rows, _ = nearest(gallery.vectors, queries.vectors[row], k, _others(gallery, queries.groups[row]), engine)
    return float(np.mean(gallery.labels[rows] == queries.labels[row])) if len(rows) else nan


def _others(index: Index, group: str) -> npt.NDArray[np.bool_]:
    return np.array([other != group for other in index.groups], dtype=np.bool_)


def _means(queries: Index, shares: npt.NDArray[np.float64]) -> Callable[[Indices], Mapping[str, float]]:
    def measure(picked: Indices) -> Mapping[str, float]:
        labels, values = queries.labels[picked], shares[picked]
        by_class = {name: _mean(values[labels == label]) for label, name in enumerate(queries.classes)}
        return by_class | {ALL: _mean(values)}

    return measure


def _mean(values: npt.NDArray[np.float64]) -> float:
    defined = values[~np.isnan(values)]
    return float(defined.mean()) if defined.size else nan
