"""What a network makes of every picture of a set, kept with the digest of the weights that made it."""

from __future__ import annotations

import zipfile
import zlib
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor, nn

from models.kit.cases import Case, Problem
from models.kit.nearest import normalised
from models.kit.task import Array, Task
from models.kit.trained import UNREADABLE, embedding, network_input, trained_network, weights_digest
from node.errors import WeightsDigestMismatch

TOLERANCE = 1e-3


@dataclass(frozen=True, slots=True)
class Index:
    """Embeddings of pictures.

    Attributes:
        task: id of the package whose network made them.
        classes: names of the labels: the task's classes, or its ``kinds``.
        ids, labels, groups: of the cases, in their order.
        vectors: float32 (cases, size), rows of length 1.
        weights_sha256: of the weights file. Vectors of other weights mean something else, and are never compared.
    """

    task: str
    classes: tuple[str, ...]
    ids: tuple[str, ...]
    labels: npt.NDArray[np.int64]
    groups: tuple[str, ...]
    vectors: Array
    weights_sha256: str

    def __len__(self) -> int:
        return len(self.ids)


def build_index(
    task: Task, weights: Path, cases: Iterable[Case], device: str = "cpu"
) -> tuple[Index, tuple[Problem, ...]]:
    """The index of all cases that can be read, and the others with the reason.

    Pictures go through the network one by one, so that a picture's vector does not depend on its neighbours.

    Raises:
        InvalidModelPackage: the weights do not fit, or the network has no ``features``.
        ValueError: not one case could be read.
    """
    network = trained_network(task, weights, device)
    read: list[Case] = []
    vectors: list[Array] = []
    problems: list[Problem] = []
    labels: list[int] = []
    for case in cases:
        label = kind_of(task, case)
        if label is None:
            problems.append(Problem(case.id, f"it is none of {', '.join(kinds_of(task))}"))
            continue
        try:
            inputs = network_input(task, case)
        except UNREADABLE as error:
            problems.append(Problem(case.id, f"{type(error).__name__}: {error}"))
            continue
        vectors.append(vector_of(network, inputs))
        labels.append(label)
        read.append(case)
    if not read:
        raise ValueError(f"not one case of {task.id} could be read; {len(problems)} have a problem")
    index = Index(
        task.id,
        kinds_of(task),
        tuple(case.id for case in read),
        np.array(labels, dtype=np.int64),
        tuple(case.group for case in read),
        np.concatenate(vectors),
        weights_digest(weights),
    )
    return index, tuple(problems)


def kinds_of(task: Task) -> tuple[str, ...]:
    """Names of what similar cases are judged by."""
    return task.classes if task.kinds is None else task.kinds.names


def kind_of(task: Task, case: Case) -> int | None:
    """The index of a case's kind in ``kinds_of``; ``None`` where nobody knows it."""
    return case.label if task.kinds is None else task.kinds.of(case)


def vector_of(network: nn.Module, inputs: Tensor) -> Array:
    """The embedding of one picture, float32 (1, size) of length 1.

    Raises:
        InvalidModelPackage: the network has no ``features``.
        ValueError: the embedding is not finite.
    """
    device = next(network.parameters()).device
    with torch.inference_mode():
        vector: Array = embedding(network, inputs.to(device)).float().cpu().numpy()
    if not np.isfinite(vector).all():
        raise ValueError("an embedding that is not finite")
    return normalised(vector)


def save_index(index: Index, file: Path) -> None:
    """Write an ``.npz`` without pickles, replaced atomically."""
    partial = file.with_suffix(".partial")
    with partial.open("wb") as stream:
        np.savez_compressed(
            stream,
            allow_pickle=False,
            task=np.array(index.task),
            classes=np.array(index.classes),
            ids=np.array(index.ids),
            labels=index.labels,
            groups=np.array(index.groups),
            vectors=index.vectors,
            weights_sha256=np.array(index.weights_sha256),
        )
    partial.replace(file)


def load_index(file: Path, weights: Path) -> Index:
    """The index in ``file``, which has to be of these weights.

    Raises:
        WeightsDigestMismatch: it was made with other weights.
        ValueError: the file is no index, or damaged.
        OSError: it cannot be read.
    """
    index = _read(file)
    digest = weights_digest(weights)
    if index.weights_sha256 != digest:
        raise WeightsDigestMismatch(
            f"{file.name} was made with other weights than {weights.name}; build it again",
            found=index.weights_sha256,
            wanted=digest,
        )
    return index


def _read(file: Path) -> Index:
    try:
        # Opened here: numpy leaves a file open that turns out to be no archive.
        with file.open("rb") as stream, np.load(stream, allow_pickle=False) as stored:
            task, digest = str(stored["task"]), str(stored["weights_sha256"])
            classes, ids, groups = (tuple(map(str, stored[name].tolist())) for name in ("classes", "ids", "groups"))
            labels, vectors = stored["labels"], stored["vectors"]
    except (KeyError, EOFError, ValueError, TypeError, zipfile.BadZipFile, zlib.error) as error:
        raise ValueError(f"{file.name} is no index of embeddings: {error}") from error
    _require_consistent(file, classes, ids, groups, labels, vectors)
    return Index(task, classes, ids, labels.astype(np.int64), groups, vectors, digest)


def _require_consistent(
    file: Path,
    classes: tuple[str, ...],
    ids: tuple[str, ...],
    groups: tuple[str, ...],
    labels: npt.NDArray[np.int64],
    vectors: Array,
) -> None:
    sizes = {len(ids), len(groups), *labels.shape[:1], *vectors.shape[:1]}
    if len(sizes) != 1 or labels.ndim != 1 or vectors.ndim != 2 or vectors.dtype != np.float32:
        raise ValueError(f"{file.name} is damaged: its parts do not belong together")
    if not np.isin(labels, np.arange(len(classes))).all():
        raise ValueError(f"{file.name} is damaged: a label that is no class")
    lengths = np.linalg.norm(vectors, axis=1)
    if not np.all((np.abs(lengths - 1) < TOLERANCE) | (lengths == 0)):
        raise ValueError(f"{file.name} is damaged: vectors that are not of length 1")
