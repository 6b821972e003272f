"""Train, validation and test by group: stratified by label, seeded, stored, and checked."""

from __future__ import annotations

import hashlib
import json
from collections import Counter, defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from models.kit.cases import Case, Split

PARTS = ("train", "validation", "test")
# Not the seed of a training: whatever is trained on a set, its test cases stay the same.
SPLIT_SEED = 0
DEALS = 50

# Part to label to the number of cases that it should have.
Wanted = Mapping[str, Mapping[int, float]]


@dataclass(frozen=True, slots=True)
class _Deal:
    """Part to groups, and the sum over parts and labels of the squared error of the share, relative to the share."""

    groups: Mapping[str, set[str]]
    unevenness: float


class SplitLeak(ValueError):
    """What belongs together is in two parts, or a case is in none."""


def make_split(cases: Sequence[Case], parts: tuple[float, float, float], seed: int) -> Split:
    """Deal whole groups into train, validation and test so that each label keeps its share (after Sechidis 2011).

    Groups are dealt in a random order, those of rare labels first, each to the part that is filled least for the
    group's labels. Of ``DEALS`` such deals the one with the best shares is taken, which matters where groups are few
    and large. Every order is by SHA-256 of seed, deal and group: the same cases give the same split on every machine
    and with every version of the libraries, in whatever order they come.

    Args:
        parts: fractions of train, validation and test; a part of 0 stays empty.

    Raises:
        ValueError: the fractions are negative or do not sum to 1, or there are no cases.
    """
    if min(parts) < 0 or abs(sum(parts) - 1) > 1e-6:
        raise ValueError(f"the parts {parts} are no fractions that sum to 1")
    if not cases:
        raise ValueError("there are no cases to split")
    labels: defaultdict[str, Counter[int]] = defaultdict(Counter)
    # In one order: a sum of floats depends on it.
    cases = sorted(cases, key=lambda case: case.id)
    for case in cases:
        labels[case.group][case.label] += 1
    totals = Counter(case.label for case in cases)
    wanted = {
        name: {label: fraction * total for label, total in totals.items()}
        for name, fraction in zip(PARTS, parts, strict=True)
        if fraction > 0
    }
    deals = (_deal(labels, wanted, f"{seed}.{number}") for number in range(DEALS))
    dealt = min(deals, key=lambda deal: deal.unevenness).groups
    return Split(*(frozenset(dealt.get(name, ())) for name in PARTS))


def folds(cases: Sequence[Case], count: int, seed: int) -> tuple[frozenset[str], ...]:
    """Groups dealt into ``count`` folds of about the same labels, for cross-validation.

    Raises:
        ValueError: there are fewer groups than folds, or fewer than two folds.
    """
    groups = {case.group for case in cases}
    if not 2 <= count <= len(groups):
        raise ValueError(f"{len(groups)} groups cannot be dealt into {count} folds")
    rest, dealt = list(cases), []
    for left in range(count, 1, -1):
        chosen = make_split(rest, (1 / left, 1 - 1 / left, 0.0), seed).train
        dealt.append(chosen)
        rest = [case for case in rest if case.group not in chosen]
    return (*dealt, frozenset(case.group for case in rest))


def check_split(cases: Sequence[Case], split: Split, near: Iterable[tuple[str, str]] = ()) -> None:
    """Nothing that belongs together is in two parts.

    Args:
        near: pairs of case ids that show the same picture, or nearly.

    Raises:
        SplitLeak: a group is in two parts, a case is in none, or a pair of ``near`` is in two parts.
    """
    part_of: dict[str, str] = {}
    for name in PARTS:
        for group in sorted(getattr(split, name)):
            if group in part_of:
                raise SplitLeak(f"the group {group} is in {part_of[group]} and in {name}")
            part_of[group] = name
    for case in cases:
        if case.group not in part_of:
            raise SplitLeak(f"the case {case.id} of the group {case.group} is in no part")
    group_of = {case.id: case.group for case in cases}
    for one, other in near:
        first, second = part_of[group_of[one]], part_of[group_of[other]]
        if first != second:
            raise SplitLeak(f"{one} in {first} and {other} in {second} are nearly the same picture")


def write_split(split: Split, path: Path) -> None:
    """The groups of each part as JSON, sorted: the same split is the same bytes. The file is there whole or not."""
    partial = path.with_suffix(".partial")
    partial.write_text(json.dumps({name: sorted(getattr(split, name)) for name in PARTS}, indent=1) + "\n")
    partial.replace(path)


def read_split(path: Path) -> Split:
    """A split that ``write_split`` wrote.

    Raises:
        FileNotFoundError: there is no such file.
        ValueError: it is not a split, or a group is in two parts (``SplitLeak``).
    """
    stored = json.loads(path.read_text())
    if not isinstance(stored, dict) or not all(isinstance(stored.get(name), list) for name in PARTS):
        raise ValueError(f"{path.name} is no split: it wants the lists {', '.join(PARTS)}")
    split = Split(*(frozenset(map(str, stored[name])) for name in PARTS))
    check_split((), split)
    return split


def _deal(labels: Mapping[str, Counter[int]], wanted: Wanted, seed: str) -> _Deal:
    groups: dict[str, set[str]] = {name: set() for name in wanted}
    filled = {name: dict.fromkeys(numbers, 0.0) for name, numbers in wanted.items()}
    weight = next(iter(wanted.values()))
    order = (
        (min(weight[label] for label in of_group), _rank(seed, group), group) for group, of_group in labels.items()
    )
    for _, _, group in sorted(order):
        of_group = labels[group].items()
        least = min(wanted, key=lambda name: sum(n * filled[name][label] for label, n in of_group))
        groups[least].add(group)
        for label, n in of_group:
            filled[least][label] += n / wanted[least][label]
    unevenness = sum((share - 1) ** 2 for shares in filled.values() for share in shares.values())
    return _Deal(groups, unevenness)


def _rank(seed: str, group: str) -> str:
    # A group may come from a file name, whose bytes need not be UTF-8.
    return hashlib.sha256(f"{seed}\0{group}".encode(errors="surrogateescape")).hexdigest()
