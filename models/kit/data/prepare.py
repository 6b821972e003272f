"""A data folder to what a training starts from: cases, what was passed over, and a split, as files."""

from __future__ import annotations

import csv
import json
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from models.kit.cases import Case, Listing, Problem, Split
from models.kit.data.duplicates import deduplicated
from models.kit.data.splits import PARTS, SPLIT_SEED, check_split, make_split, read_split, write_split
from models.kit.task import Task

CASES, PROBLEMS, SPLIT = "cases.csv", "problems.csv", "split.json"
CASE_COLUMNS = ("id", "image", "label", "class", "group", "part", "mask", "facts")


@dataclass(frozen=True, slots=True)
class Prepared:
    """Cases without twins, what was passed over, and which groups are for training, validation and test."""

    listing: Listing
    split: Split

    def part(self, name: str) -> tuple[Case, ...]:
        """The cases of ``train``, ``validation`` or ``test``."""
        return self.split.part(self.listing.cases, name)


def prepare(task: Task, data: Path, out: Path) -> Prepared:
    """List, look at every picture, drop twins, split by group, check, and write it all below ``out``, the split last.

    The same folder gives the same bytes on every machine. A part without cases and a class that a part lacks
    are among the problems.

    Raises:
        FileNotFoundError: the data is not there.
        ValueError: no case is left.
        SplitLeak: the split would leak; a defect, as near twins share a group.
    """
    listing = deduplicated(task.listing(data))
    if not listing.cases:
        raise ValueError(f"no case of {task.id} is left; {len(listing.problems)} files were passed over")
    split = _split(task, listing.cases)
    check_split(listing.cases, split, listing.near or ())
    problems = (*listing.problems, *_absent(task, listing.cases, split))
    prepared = Prepared(replace(listing, problems=problems), split)
    out.mkdir(parents=True, exist_ok=True)
    _write_cases(prepared, task, data, out / CASES)
    _write_rows(out / PROBLEMS, ("path", "reason"), ((problem.path, problem.reason) for problem in problems))
    write_split(split, out / SPLIT)
    return prepared


def _split(task: Task, cases: Sequence[Case]) -> Split:
    """The stored split of the task, as far as its groups are there; what it does not know is dealt."""
    if task.split is None:
        return make_split(cases, task.parts, SPLIT_SEED)
    stored, groups = read_split(task.split), {case.group for case in cases}
    known = stored.train | stored.validation | stored.test
    unknown = [case for case in cases if case.group not in known]
    dealt = make_split(unknown, task.parts, SPLIT_SEED) if unknown else Split(frozenset(), frozenset(), frozenset())
    return Split(*((getattr(stored, name) & groups) | getattr(dealt, name) for name in PARTS))


def read_prepared(data: Path, out: Path) -> Prepared:
    """What ``prepare`` wrote, without a look at the pictures; ``near`` is not kept.

    Raises:
        FileNotFoundError: ``prepare`` did not run.
        ValueError: the files do not belong together, or are damaged.
    """
    try:
        cases = tuple(
            Case(
                id=row["id"],
                image=data / row["image"],
                label=int(row["label"]),
                group=row["group"],
                mask=data / row["mask"] if row["mask"] else None,
                facts=json.loads(row["facts"]),
            )
            for row in _read_rows(out / CASES)
        )
        problems = tuple(Problem(row["path"], row["reason"]) for row in _read_rows(out / PROBLEMS))
    except (KeyError, TypeError) as error:
        raise ValueError(f"the tables in {out.name} are damaged") from error
    split = read_split(out / SPLIT)
    check_split(cases, split)
    return Prepared(Listing(cases, problems), split)


def _absent(task: Task, cases: tuple[Case, ...], split: Split) -> list[Problem]:
    """A problem for each wanted part without cases, and for each class of a classification that a part lacks."""
    problems = []
    for part in (part for part, fraction in zip(PARTS, task.parts, strict=True) if fraction > 0):
        labels = {case.label for case in split.part(cases, part)}
        if not labels:
            problems.append(Problem(f"({part})", "this part has no case"))
        elif task.kind == "classification":
            missing = [name for label, name in enumerate(task.classes) if label not in labels]
            problems += [Problem(f"({part})", f"this part has no case of the class {name}") for name in missing]
    return problems


def _write_cases(prepared: Prepared, task: Task, data: Path, path: Path) -> None:
    part_of = {group: part for part in PARTS for group in getattr(prepared.split, part)}
    rows = (
        (
            case.id,
            _below(case.image, data),
            case.label,
            task.classes[case.label],
            case.group,
            part_of[case.group],
            _below(case.mask, data) if case.mask else "",
            json.dumps(dict(case.facts), sort_keys=True),
        )
        for case in prepared.listing.cases
    )
    _write_rows(path, CASE_COLUMNS, rows)


def _below(path: Path, data: Path) -> str:
    return path.relative_to(data).as_posix()


def _write_rows(path: Path, columns: Sequence[str], rows: Iterable[Sequence[object]]) -> None:
    # A file name on disk is bytes; what of it is no UTF-8 survives as surrogates.
    with path.open("w", newline="", encoding="utf-8", errors="surrogateescape") as file:
        writer = csv.writer(file, lineterminator="\n")
        writer.writerow(columns)
        writer.writerows(rows)


def _read_rows(path: Path) -> list[dict[str, str]]:
    with path.open(newline="", encoding="utf-8", errors="surrogateescape") as file:
        return list(csv.DictReader(file))
