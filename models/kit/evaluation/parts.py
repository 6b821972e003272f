"""The cases of each part, as they were trained on, read into memory once."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TypeVar

import numpy as np
import numpy.typing as npt
from rich.console import Console
from rich.progress import track

from models.kit.cases import Case, Problem
from models.kit.task import Task
from models.kit.trained import UNREADABLE
from models.kit.training.loop import limited, prepared_in
from models.kit.training.samples import Sample, read_sample

T = TypeVar("T")

NAMES = ("train", "validation", "test")


@dataclass(frozen=True, slots=True)
class Part:
    """The cases of one part that could be read, with their images (and masks) in memory."""

    cases: tuple[Case, ...]
    samples: tuple[Sample, ...]

    @property
    def groups(self) -> list[str]:
        """Of each case."""
        return [case.group for case in self.cases]

    @property
    def labels(self) -> npt.NDArray[np.intp]:
        """Of each case."""
        return np.array([case.label for case in self.cases], dtype=np.intp)

    def truth(self, positive: Sequence[int]) -> npt.NDArray[np.bool_]:
        """Which cases are positive: by their label, or where there is a mask, if it has anything positive."""
        return np.array([_is_positive(*pair, positive) for pair in zip(self.cases, self.samples, strict=True)], bool)

    def as_json(self, classes: Sequence[str]) -> dict[str, int]:
        """Cases, groups, and cases of each class."""
        labels = Counter(case.label for case in self.cases)
        counted = {name: labels[index] for index, name in enumerate(classes) if labels[index]}
        return {"cases": len(self.cases), "groups": len(set(self.groups))} | counted


def named_cases(task: Task, data: Path, out: Path, limit: int = 0) -> tuple[dict[str, list[Case]], list[Problem]]:
    """The cases of each part and what was passed over: what ``prepare`` left in ``out``, or a fresh preparation there.

    Args:
        limit: only so many cases of each part, the classes in turn; 0 is all.

    Raises:
        FileNotFoundError, ValueError: as ``prepare`` and ``read_prepared``.
    """
    prepared = prepared_in(task, data, out)
    return {name: limited(prepared.part(name), limit) for name in NAMES}, list(prepared.listing.problems)


def read_part(task: Task, cases: Sequence[Case], what: str, problems: list[Problem]) -> Part:
    """The cases that can be read; what cannot goes to ``problems`` with its reason. ``what`` names the progress bar."""
    kept: list[Case] = []
    samples: list[Sample] = []
    for case in shown(cases, f"reading {what}"):
        try:
            samples.append(read_sample(task, case))
            kept.append(case)
        except UNREADABLE as error:
            problems.append(Problem(case.id, f"{type(error).__name__}: {error}"))
    return Part(tuple(kept), tuple(samples))


def shown(items: Sequence[T], what: str) -> Iterable[T]:
    """The items, with a progress bar on stderr where that is a terminal."""
    console = Console(stderr=True)
    return track(items, what, console=console, transient=True, disable=not console.is_terminal)


def _is_positive(case: Case, sample: Sample, positive: Sequence[int]) -> bool:
    if sample.mask is None:
        return case.label in positive
    return bool(np.isin(sample.mask.numpy(), positive).any())
