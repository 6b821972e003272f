"""Rows against bytes, and bytes against rows, while the node runs.

Rows and bytes change meanwhile: an instance comes, moves, is removed. So whatever looks wrong is looked at a second
time, after a pause, and only what is still wrong is a finding.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass, field
from enum import StrEnum
from typing import BinaryIO, Protocol

from node.errors import ObjectMissing, StoreError
from node.ports.inventory import Inventory, Known
from node.ports.retention import Kept

BATCH = 500
_PIECE = 1 << 20
# PS3.10 Table 7.1-1: preamble, prefix, and (0002,0000) UL, which counts the bytes of the group behind it.
_PREFIX = slice(128, 132)
_GROUP_LENGTH = slice(132, 140)
_META_START = 144


class Problem(StrEnum):
    MISSING = "MISSING"  # a row names bytes that are not there
    DAMAGED = "DAMAGED"  # the bytes, or the record beside them, are not what was written
    DIFFERENT = "DIFFERENT"  # row and record do not tell the same
    GARBAGE = "GARBAGE"  # bytes that no row names; they only take room
    UNREADABLE = "UNREADABLE"  # the disk did not answer


@dataclass(frozen=True, slots=True)
class Finding:
    problem: Problem
    kept: Kept
    key: str
    sop_instance_uid: str
    detail: str


@dataclass(frozen=True, slots=True)
class Record:
    """What lies in a store, as the store itself knows it. ``sop_instance_uid`` is empty where it does not say.

    ``due``: it is there for long enough that a row must name it. ``problem`` is what the store found wrong by itself.
    """

    key: str
    size: int
    sop_instance_uid: str = ""
    due: bool = True
    problem: str = ""


class Shelf(Protocol):
    """One store, to be looked through; several may be of one kind."""

    @property
    def kept(self) -> Kept: ...

    def records(self, recorded: Callable[[str], Mapping[int, int]]) -> Iterator[Sequence[Record]]:
        """Everything that is there, in batches. ``recorded`` is asked before what it says is compared with."""
        ...

    def record(self, key: str) -> Record | None:
        """One of them as it is now; None: it is not there, or not due."""
        ...

    def delete(self, key: str) -> None: ...

    def settled(self) -> AbstractContextManager[bool]:
        """Whether nobody moves objects as long as this is held."""
        ...


@dataclass(slots=True)
class Report:
    """``rows`` and ``records`` were compared; ``waiting`` records had no row yet. ``unjudged`` could not be told."""

    rows: dict[Kept, int] = field(default_factory=dict)
    records: dict[Kept, int] = field(default_factory=dict)
    waiting: int = 0
    unjudged: int = 0
    bytes_read: int = 0
    repaired: int = 0
    findings: list[Finding] = field(default_factory=list)

    @property
    def ok(self) -> bool:
        return not self.findings


class Verify:
    """Args:
    opens: how what a row names is read, for each kind.
    deep: read every byte and compare its digest.
    repair: delete garbage; nothing that a row names is ever deleted.
    pause: called once, before what looks wrong is looked at again.
    tell: called with the number of objects looked at, now and then.
    """

    def __init__(
        self,
        inventory: Inventory,
        opens: Mapping[Kept, Callable[[str], BinaryIO]],
        deep: bool,
        repair: bool,
        pause: Callable[[], None],
        tell: Callable[[int], None] = lambda _: None,
    ) -> None:
        self._inventory = inventory
        self._opens = opens
        self._deep = deep
        self._repair = repair
        self._pause = pause
        self._tell = tell

    def run(self, shelves: Sequence[Shelf]) -> Report:
        report = Report(records={shelf.kept: 0 for shelf in shelves})
        keys = [(shelf, list(self._wrong_records(shelf, report))) for shelf in shelves]
        rows = [(kept, list(self._wrong_rows(kept, report))) for kept in self._opens]
        if any(found for _, found in keys) or any(found for _, found in rows):
            self._pause()
        for kept, numbers in rows:
            for row in numbers:
                known = self._inventory.row(kept, row)
                finding = None if known is None else self._judged(kept, known, report)
                report.findings += [] if finding is None else [finding]
        for shelf, found in keys:
            self._records_again(shelf, found, report)
        return report

    def _wrong_records(self, shelf: Shelf, report: Report) -> Iterator[str]:
        """Keys at which something looks wrong."""
        for records in shelf.records(self._inventory.recorded):
            report.records[shelf.kept] += len(records)
            report.waiting += sum(not record.due for record in records)
            yield from self._odd(shelf, records)
            self._tell(len(records))

    def _odd(self, shelf: Shelf, records: Sequence[Record]) -> Iterator[str]:
        named = self._inventory.named(shelf.kept, [record.key for record in records])
        for record in records:
            known = named.get(record.key)
            if record.problem or (known is None and record.due) or (known is not None and _differs(record, known)):
                yield record.key

    def _wrong_rows(self, kept: Kept, report: Report) -> Iterator[int]:
        """Rows at whose bytes something looks wrong."""
        after = report.rows[kept] = 0
        while rows := self._inventory.rows(kept, after, BATCH):
            for known in rows:
                if self._judged(kept, known, report) is not None:
                    yield known.row
            after = rows[-1].row
            report.rows[kept] += len(rows)
            self._tell(len(rows))

    def _records_again(self, shelf: Shelf, keys: Sequence[str], report: Report) -> None:
        with shelf.settled() as settled:
            for start in range(0, len(keys), BATCH):
                batch = keys[start : start + BATCH]
                named = self._inventory.named(shelf.kept, batch)
                excused = self._inventory.excused(shelf.kept, batch)
                for key in batch:
                    record = shelf.record(key)
                    if record is not None and key not in excused:
                        self._judge_record(shelf, record, named.get(key), settled, report)

    def _judge_record(self, shelf: Shelf, record: Record, known: Known | None, settled: bool, report: Report) -> None:
        def found(problem: Problem, detail: str) -> None:
            uid = known.sop_instance_uid if known else record.sop_instance_uid
            report.findings.append(Finding(problem, shelf.kept, record.key, uid, detail))

        if record.problem:
            found(Problem.DAMAGED, record.problem)
        elif known is not None and _differs(record, known):
            found(Problem.DIFFERENT, f"the record tells of {record.size} bytes, the row of {known.size}")
        elif known is None and record.due and not settled:
            report.unjudged += 1
        elif known is None and record.due:
            if self._repair:
                shelf.delete(record.key)
                report.repaired += 1
            found(Problem.GARBAGE, f"{record.size} bytes that no row names" + (", freed" if self._repair else ""))

    def _judged(self, kept: Kept, known: Known, report: Report) -> Finding | None:
        """What is wrong with the bytes of one row."""
        try:
            with self._opens[kept](known.key) as file:
                problem, detail = self._compared(file, kept, known, report)
        except ObjectMissing:
            problem, detail = Problem.MISSING, "there are no such bytes"
        except (StoreError, OSError) as error:
            problem, detail = Problem.UNREADABLE, str(error)
        return None if problem is None else Finding(problem, kept, known.key, known.sop_instance_uid, detail)

    def _compared(self, file: BinaryIO, kept: Kept, known: Known, report: Report) -> tuple[Problem | None, str]:
        size = file.seek(0, 2)
        if size != known.size:
            return Problem.DIFFERENT, f"{size} bytes, the row tells of {known.size}"
        if self._deep:
            file.seek(0)
            report.bytes_read += size
            if _digest(file, data_set_only=kept is Kept.INSTANCES) != known.sha256:
                return Problem.DAMAGED, "the digest is not that of what was recorded"
        return None, ""


def _differs(record: Record, known: Known) -> bool:
    return record.size != known.size or record.sop_instance_uid not in ("", known.sop_instance_uid)


def _digest(file: BinaryIO, data_set_only: bool) -> str:
    digest = hashlib.sha256()
    if data_set_only:
        beginning = file.read(_META_START)
        length = int.from_bytes(beginning[_META_START - 4 :], "little")
        if beginning[_PREFIX] != b"DICM" or beginning[_GROUP_LENGTH] != b"\x02\0\0\0UL\x04\0":
            return ""
        file.seek(_META_START + length)
    while piece := file.read(_PIECE):
        digest.update(piece)
    return digest.hexdigest()
