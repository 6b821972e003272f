"""Folders of labelled pictures as cases; what is passed over is listed with its reason.

Nothing is decoded here: what cannot be read is found by ``duplicates.deduplicated``, which looks at every picture.
"""

from __future__ import annotations

import csv
from collections import Counter
from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from models.kit.cases import Case, Listing, Problem
from models.kit.data.formats import is_image, without_suffix


def class_folders(
    root: Path, labels: Mapping[str, int], group_of: Callable[[Path], str], data: Path | None = None
) -> Listing:
    """Pictures in one folder for each class.

    Args:
        root: holds the class folders.
        labels: folder below ``root`` to label (``.`` is ``root``); pictures may lie deeper in it.
        group_of: the patient (or run) of a picture, by its path.
        data: what ids and problems are relative to; ``root`` where it is not given.

    Raises:
        FileNotFoundError: a class folder is not there.
    """
    base = root if data is None else data
    for folder in labels:
        if not (root / folder).is_dir():
            raise FileNotFoundError(f"there is no folder {folder} in {root.name}")
    labelled: dict[Path, int] = {}
    problems: list[Problem] = []
    for path in _files(root):
        label = _label(path.relative_to(root), labels)
        if not is_image(path):
            problems.append(Problem(relative(path, base), "no picture by its name or content"))
        elif label is None:
            problems.append(Problem(relative(path, base), "unlabelled: it lies in no class folder"))
        else:
            labelled[path] = label
    ids = case_ids(list(labelled), base)
    cases = [Case(ids[path], path, label, group_of(path)) for path, label in labelled.items()]
    return Listing(tuple(sorted(cases, key=lambda case: case.id)), tuple(problems))


@dataclass(frozen=True, slots=True)
class Columns:
    """Names of the columns of a table of pictures.

    Attributes:
        image: path below the folder; ``mask`` too, empty where there are none.
        group: the patient.
        facts: columns to keep; those that are numbers become numbers.
    """

    image: str
    label: str
    group: str
    mask: str = ""
    facts: tuple[str, ...] = ()


def table_folder(
    root: Path, table: Path, columns: Columns, labels: Mapping[str, int], data: Path | None = None
) -> Listing:
    """Pictures that a CSV table with a header row names.

    Args:
        root: what the paths of the table are relative to.
        labels: text of the label column to label.
        data: what ids and problems are relative to; ``root`` where it is not given.

    Raises:
        FileNotFoundError: there is no such table.
        ValueError: the table lacks a column.
    """
    base = root if data is None else data
    rows: dict[Path, Mapping[str, str]] = {}
    conflicting: set[Path] = set()
    problems: list[Problem] = []
    for row in _rows(table, columns):
        path = root / row[columns.image]
        reason = _refused(path, root, row, columns, labels)
        if not reason and rows.setdefault(path, row) != row:
            conflicting.add(path)
        if reason:
            problems.append(Problem(row[columns.image], reason))
    for path in sorted(conflicting):
        problems.append(Problem(relative(path, base), "conflicting: the table names it twice, with other entries"))
        del rows[path]
    ids = case_ids(list(rows), base)
    cases = [_case(ids[path], path, row, root, columns, labels) for path, row in rows.items()]
    told = {root / problem.path for problem in problems} | {table} | conflicting
    problems += left_over(root, cases, told, base)
    return Listing(tuple(sorted(cases, key=lambda case: case.id)), tuple(problems))


def left_over(root: Path, cases: Sequence[Case], told: Collection[Path], base: Path) -> list[Problem]:
    """Every file below ``root`` that no case has as image or mask, and that is not among ``told``."""
    known = {path for case in cases for path in (case.image, case.mask)} | set(told)
    return [
        Problem(
            relative(path, base),
            "unlabelled: no row names it" if is_image(path) else "no picture by its name or content",
        )
        for path in _files(root)
        if path not in known
    ]


def case_ids(paths: list[Path], base: Path) -> dict[Path, str]:
    """An id for each path: relative to ``base``, without suffix unless that would name two of them."""
    stems = {path: relative(without_suffix(path), base) for path in paths}
    taken = Counter(stems.values())
    return {path: stem if taken[stem] == 1 else relative(path, base) for path, stem in stems.items()}


def relative(path: Path, base: Path) -> str:
    """``path`` below ``base`` with forward slashes: the same text on every machine."""
    return path.relative_to(base).as_posix()


def _files(root: Path) -> list[Path]:
    return sorted(path for path in root.rglob("*") if path.is_file())


def _label(path: Path, labels: Mapping[str, int]) -> int | None:
    folders = (parent.as_posix() for parent in path.parents)
    return next((labels[folder] for folder in folders if folder in labels), None)


def _rows(table: Path, columns: Columns) -> Iterator[dict[str, str]]:
    wanted = [name for name in (columns.image, columns.label, columns.group, columns.mask, *columns.facts) if name]
    with table.open(newline="", encoding="utf-8-sig") as file:
        reader = csv.DictReader(file, restval="")
        missing = [name for name in wanted if name not in (reader.fieldnames or ())]
        if missing:
            raise ValueError(f"{table.name} lacks the columns {', '.join(missing)}")
        yield from ({name: row[name].strip() for name in wanted} for row in reader)


def _refused(path: Path, root: Path, row: Mapping[str, str], columns: Columns, labels: Mapping[str, int]) -> str:
    """Why a row makes no case, empty where it does."""
    if row[columns.label] not in labels:
        return f"unlabelled: the table says {row[columns.label]!r}"
    if not row[columns.group]:
        return "the table names no patient or group"
    if not _holds(root, path):
        return "missing: the table names it, the folder does not hold it"
    if columns.mask and row[columns.mask] and not _holds(root, root / row[columns.mask]):
        return "missing: the folder does not hold its mask"
    return ""


def _holds(root: Path, path: Path) -> bool:
    return path.is_file() and path.resolve().is_relative_to(root.resolve())


def _case(
    id_: str, path: Path, row: Mapping[str, str], root: Path, columns: Columns, labels: Mapping[str, int]
) -> Case:
    mask = root / row[columns.mask] if columns.mask and row[columns.mask] else None
    facts = {name: _number_or_text(row[name]) for name in columns.facts if row[name]}
    return Case(id_, path, labels[row[columns.label]], row[columns.group], mask, facts)


def _number_or_text(value: str) -> float | str:
    try:
        return float(value)
    except ValueError:
        return value
