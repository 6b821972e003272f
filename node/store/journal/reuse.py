"""The timer's step over the journal: segments whose objects are all deleted are used again, and the few survivors of a
segment that is otherwise empty move to another one.

It may die anywhere. A copy is durable before a row names it; the row moves and the old bytes are written down to be
freed in one transaction; a copy that no row names is deleted by the next run. ``turn`` keeps other such steps out.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from enum import StrEnum
from pathlib import Path
from typing import Protocol

import structlog

from node.errors import StoreError
from node.ports import ArrivalRecord, Clock, StoredObject
from node.ports.retention import Relocation
from node.store.failures import translated
from node.store.journal.folder import lock_now
from node.store.journal.pool import Pool
from node.store.journal.recycling import Held, SegmentFacts
from node.store.space import Space

log = structlog.get_logger()

# A segment of which no more than this part is still needed is emptied.
FEW = 0.25
# How often a segment is looked at that is not ready; objects may have been deleted in it.
LOOK_AGAIN = timedelta(minutes=10)


class Journal(Protocol):
    """What ``JournalStore`` gives for this."""

    @property
    def id(self) -> str: ...

    def segments(self) -> Iterable[int]: ...

    def facts(self, segment: int) -> SegmentFacts | None: ...

    def held(self, segment: int) -> Sequence[Held]: ...

    def copy(self, key: str) -> StoredObject: ...

    def delete(self, key: str) -> None: ...

    def recycle(self, segment: int) -> None: ...


class Fate(StrEnum):
    KEEP = "KEEP"
    RECYCLE = "RECYCLE"
    EMPTY = "EMPTY"


def fate(facts: SegmentFacts, recorded: int, now: datetime, idle: timedelta) -> Fate:
    """``recorded`` of its entries have their rows. Nothing is done before it was left alone for ``idle``: somebody may
    still read what was deleted last.
    """
    if not facts.sealed or recorded < facts.entries or now - facts.changed_at < idle:
        return Fate.KEEP
    if not facts.live:
        return Fate.RECYCLE
    return Fate.EMPTY if facts.live_bytes <= FEW * facts.size else Fate.KEEP


def spares_to_keep(spares: int, segment_bytes: int, space: Space) -> int:
    """As many free files as leave the watermark untouched: room that is kept for the journal is nobody else's."""
    missing = space.watermark_bytes - space.free_bytes
    return spares if missing <= 0 else max(0, spares - -(-missing // segment_bytes))


@contextmanager
def turn(root: Path) -> Iterator[bool]:
    """Whether nobody else moves or frees objects of this journal by what the rows say, as long as this is held."""
    with translated("the journal cannot be locked"):
        root.mkdir(parents=True, exist_ok=True)
        descriptor = os.open(root / "reuse", os.O_RDWR | os.O_CREAT, 0o640)
    try:
        yield lock_now(descriptor)
    finally:
        os.close(descriptor)


@dataclass(slots=True)
class Reuse:
    """``room`` measures free space. Remembers when each segment is looked at next, nothing else."""

    journal: Journal
    pool: Pool
    record: ArrivalRecord
    relocation: Relocation
    clock: Clock
    room: Callable[[], Space]
    _look_at: dict[int, datetime] = field(default_factory=dict, init=False)

    def run_once(self) -> Mapping[str, int]:
        """How many segments were recycled, objects moved and spares given back; empty where nothing was done."""
        with turn(self.pool.root) as mine:
            if not mine:
                return {}
            counts = {"recycled": 0, "moved": 0, "given back": 0}
            self._turn_over(counts)
            counts["given back"] = self._give_back()
        return {what: count for what, count in counts.items() if count}

    def _turn_over(self, counts: dict[str, int]) -> None:
        """Positions are read before the segments: what has a position and no file was recycled."""
        recorded = self.record.recorded(self.journal.id)
        numbers = frozenset(self.journal.segments())
        for gone in recorded.keys() - numbers:
            self.record.forget_segment(self.journal.id, gone)
        self._look_at = {number: at for number, at in self._look_at.items() if number in numbers}
        for number in sorted(numbers):
            if self._is_due(number):
                self._look(number, recorded.get(number, 0), counts)

    def _is_due(self, number: int) -> bool:
        return number not in self._look_at or self.clock.now() >= self._look_at[number]

    def _look(self, number: int, recorded: int, counts: dict[str, int]) -> None:
        facts = self.journal.facts(number)
        if facts is None:
            return
        idle = timedelta(seconds=self.pool.settings.recycle_after_s)
        now = self.clock.now()
        if facts.sealed and recorded >= facts.entries:
            self._drop_copies(number)
        decided = fate(facts, recorded, now, idle)
        if decided is Fate.RECYCLE:
            self.journal.recycle(number)
            # After that, not before: entries of a segment without a position would be recorded once more.
            self.record.forget_segment(self.journal.id, number)
            counts["recycled"] += 1
        elif decided is Fate.EMPTY and not counts["moved"]:
            # One segment a run: copying takes the disk from the receivers.
            counts["moved"] += self._empty(number)
        if facts.sealed:
            self._look_at[number] = now + min(LOOK_AGAIN, idle)

    def _drop_copies(self, number: int) -> None:
        """Who copied died before a row named the copy. Nobody names it now: this is our turn, the segment is sealed."""
        copies = [each.key for each in self.journal.held(number) if each.live and each.copied]
        needed = frozenset(self.record.keys_of_segment(number)) if copies else frozenset()
        for key in copies:
            if key not in needed:
                self.journal.delete(key)
                log.info("journal.copy_dropped", storage_key=key)

    def _empty(self, number: int) -> int:
        """Move what rows name; how many objects."""
        needed = frozenset(self.record.keys_of_segment(number))
        survivors = [each.key for each in self.journal.held(number) if each.live and each.key in needed]
        if self.relocation.in_use(survivors):
            return 0
        moved = 0
        for key in survivors:
            try:
                moved += self._move(key)
            except StoreError as error:
                log.error("journal.not_moved", storage_key=key, error=error.code, reason=error.message)
                break
        return moved

    def _move(self, key: str) -> bool:
        """False: nobody needs it any more, or somebody needs it just there."""
        copy = self.journal.copy(key)
        if self.relocation.move(key, copy.key):
            return True
        self.journal.delete(copy.key)
        return False

    def _give_back(self) -> int:
        """Free files beyond what there is room for; how many."""
        with self.pool.exclusively(), translated("the free segments cannot be removed"):
            free = sorted((self.pool.root / "free").glob("*.seg"))
            keep = spares_to_keep(len(free), self.pool.segment_bytes, self.room())
            for path in free[keep:]:
                path.unlink(missing_ok=True)
        return len(free) - keep
