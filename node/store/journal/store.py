"""The ingest journal: ``ports.InstanceStore``, ``ports.ArrivalJournal`` and the notes of receivers, in one folder."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from datetime import datetime
from pathlib import Path
from typing import BinaryIO

from node.domain.study import ByteRange
from node.ports import Clock, JournalEntry, LivingKeys, StoredObject
from node.store.journal.disk import Disk
from node.store.journal.draft import JournalDraft
from node.store.journal.follow import Follower, Wake
from node.store.journal.format import Kind
from node.store.journal.objects import Objects
from node.store.journal.pool import JournalSettings, Pool
from node.store.journal.records import encode_note
from node.store.journal.recover import recover
from node.store.journal.recycling import Held, Recycling, SegmentFacts
from node.store.journal.segment import Segment
from node.store.journal.spares import Spares
from node.store.journal.writing import Writing


class JournalStore:
    """One for each process; its threads share it. A process that only reads takes no segment.

    Args:
        root: the journal's folder; made when something is first written.
        writer: names this process in its segments.
        reserve: may this many bytes more be taken from the disk?
    """

    def __init__(
        self,
        root: Path,
        settings: JournalSettings,
        writer: str,
        clock: Clock,
        reserve: Callable[[int], bool],
        disk: Disk | None = None,
    ) -> None:
        disk = disk or Disk()
        self._writer = writer
        self._clock = clock
        self._disk = disk
        self._pool = Pool(root, settings, reserve, disk)
        self._wake = Wake(self._pool.folder.identity)
        self._writing = Writing(self._pool, self._take, self._wake.call)
        self._spares = Spares(self._pool, disk, self._pool.folder.is_busy, self._writing.spare_is_ready)
        self._objects = Objects(self._pool.folder, disk)
        self._follower = Follower(self._pool.folder, self._wake)
        self._recycling = Recycling(self._pool, self._writing)

    # --- ports.InstanceStore

    def begin(self, size_hint: int = 0) -> JournalDraft:
        """
        Raises:
            StoreUnavailable: there is no room, or the disk does not answer.
        """
        return self._writing.begin(size_hint)

    def locate(self, key: str) -> ByteRange:
        return self._objects.locate(key)

    def open(self, key: str) -> BinaryIO:
        return self._objects.open(key)

    def delete(self, key: str) -> None:
        self._objects.delete(key)

    def keys(self) -> Iterator[str]:
        return self._objects.keys()

    # --- what receivers note; durable on return

    def association_ended(self, association_id: str, how: str, at: datetime | None = None) -> None:
        """``at``: when that was, where it is not now.

        Raises:
            StoreUnavailable
        """
        self._note(Kind.ASSOCIATION_ENDED, association_id, how, at)

    def receiver_started(self, receiver: str, at: datetime | None = None) -> None:
        """What the dead left comes first: then this note lies behind all that an older receiver of the name wrote.

        Raises:
            StoreUnavailable
        """
        self.recover()
        self._note(Kind.RECEIVER_STARTED, receiver, "", at)

    # --- ports.ArrivalJournal

    @property
    def id(self) -> str:
        return self._pool.folder.identity()

    def recover(self) -> int:
        return recover(self._pool.folder, self._disk)

    def segments(self) -> Mapping[int, int]:
        return self._follower.segments()

    def entries(self, segment: int, after: int, limit: int) -> Sequence[JournalEntry]:
        return self._follower.entries(segment, after, limit)

    def living(self, segment: int) -> LivingKeys:
        held = [each for each in self._recycling.held(segment) if each.live]
        return LivingKeys(
            arrived=frozenset(each.key for each in held if not each.copied),
            copied=frozenset(each.key for each in held if each.copied),
        )

    def wait(self, timeout_s: float) -> None:
        self._follower.wait(timeout_s)

    # --- what retention needs

    def facts(self, segment: int) -> SegmentFacts | None:
        """How full a segment is; None: there is no such segment."""
        return self._recycling.facts(segment)

    def held(self, segment: int) -> Sequence[Held]:
        """Its objects, deleted ones too."""
        return self._recycling.held(segment)

    def copy(self, key: str) -> StoredObject:
        """See ``Recycling.copy``."""
        return self._recycling.copy(key)

    def recycle(self, segment: int) -> None:
        """See ``Recycling.recycle``."""
        self._recycling.recycle(segment)

    def close(self) -> None:
        """Seal what this process wrote; stop writing ahead."""
        self._spares.close()
        self._writing.close()
        self._wake.close()

    def _note(self, kind: Kind, name: str, how: str, at: datetime | None) -> None:
        draft = self._writing.begin_note()
        try:
            draft.commit_record(kind, encode_note(name, how, at or self._clock.now()))
        finally:
            draft.discard()

    def _take(self) -> Segment:
        try:
            return self._pool.take(self._writer, self._clock.now().timestamp())
        finally:
            self._spares.ask()
