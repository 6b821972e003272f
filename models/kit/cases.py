"""Labelled examples as the kit hands them around."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path


@dataclass(frozen=True, slots=True)
class Case:
    """One labelled example of a set.

    Attributes:
        id: unique in its set and the same on every machine: the image's path below the data folder, without suffix.
        image: the file with the image.
        label: index into ``Task.classes``; 0 where only a mask is the truth.
        group: what never crosses a split: the patient, or the run of neighbouring slices where patients are lost.
        mask: the file with the true mask, of a segmentation.
        facts: what else the set says of it, for subgroups and trivial baselines.
    """

    id: str
    image: Path
    label: int
    group: str
    mask: Path | None = None
    facts: Mapping[str, float | str] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Problem:
    """What was passed over while a folder was listed, and why, in a sentence."""

    path: str
    reason: str


@dataclass(frozen=True, slots=True)
class Listing:
    """The cases of a folder in the order of their ids, and everything that was passed over.

    ``near``: pairs of ids of pictures that are nearly the same; ``None`` as long as nobody looked at the pictures.
    """

    cases: tuple[Case, ...]
    problems: tuple[Problem, ...] = ()
    near: tuple[tuple[str, str], ...] | None = None


@dataclass(frozen=True, slots=True)
class Split:
    """Groups by part; no group is in two parts. ``validation`` chooses operating points, ``test`` is only looked at."""

    train: frozenset[str]
    validation: frozenset[str]
    test: frozenset[str]

    def part(self, cases: tuple[Case, ...], name: str) -> tuple[Case, ...]:
        """The cases of ``train``, ``validation`` or ``test``, in their order."""
        groups: frozenset[str] = getattr(self, name)
        return tuple(case for case in cases if case.group in groups)
