"""Similar cases, measured: of the training cases that are most like a case, how many have its class?"""

from __future__ import annotations

from typing import Any

import numpy as np

from models.kit.embedding import Index, kind_of, kinds_of
from models.kit.evaluation.parts import Part
from models.kit.evaluation.report import Section, Table
from models.kit.evaluation.run import Run
from models.kit.similar import chance_at_k, precision_at_k
from models.kit.task import Task

NEIGHBOURS = (1, 5)
# Of a segmentation that names no kinds, by what is in its mask.
WITHOUT_AND_WITH = ("nothing to outline", "something to outline")


def similarity(run: Run) -> tuple[dict[str, Any], tuple[Section, ...]]:
    """Precision at ``NEIGHBOURS`` by class; nothing without training cases, embedding, or a second class.

    Neighbours are searched among the training cases: groups are whole in a part, so that no case finds its own
    patient.
    """
    if run.parts is None or not run.has_embedding:
        return {}, ()
    gallery, queries = _index(run, run.parts.train), _index(run, run.part)
    if len(set(gallery.labels.tolist())) < 2 or not len(queries):
        return {}, ()
    found = {f"precision_at_{k}": precision_at_k(gallery, queries, k, samples=run.samples) for k in NEIGHBOURS}
    chance = chance_at_k(gallery, queries)
    document = {key: {name: one.as_json() for name, one in figures.items()} for key, figures in found.items()}
    document["chance"] = {name: {"value": round(value, 4)} for name, value in chance.items()}
    rows = [
        [name, *(str(figures[name]) for figures in found.values()), f"{chance[name]:.3f}"]
        for name in found["precision_at_1"]
    ]
    note = (
        f"By the network's own embedding (cosine), among {len(gallery)} training cases: the fraction of the most "
        "similar cases that have the class of the case. Chance: the share of the class in the training cases."
    )
    table = Table(["class", *(f"precision at {k}" for k in NEIGHBOURS), "chance"], rows)
    return {"similar": document}, (Section("Similar cases", note, [table]),)


def _index(run: Run, part: Part) -> Index:
    """Of the cases whose kind is known."""
    task = run.task
    names, kinds = _kinds(task, part)
    known = [row for row, kind in enumerate(kinds) if kind is not None]
    return Index(
        task.id,
        names,
        tuple(part.cases[row].id for row in known),
        np.array([kinds[row] for row in known], dtype=np.int64),
        tuple(part.groups[row] for row in known),
        run.vectors(part)[known],
        run.weights_sha256,
    )


def _kinds(task: Task, part: Part) -> tuple[tuple[str, ...], list[int | None]]:
    """Names, and the kind of each case; of a segmentation without ``kinds`` by what is in its mask."""
    if task.kinds is None and task.kind == "segmentation":
        return WITHOUT_AND_WITH, [int(one) for one in part.truth(task.positive)]
    return kinds_of(task), [kind_of(task, case) for case in part.cases]
