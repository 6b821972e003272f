"""What retention needs of the journal: how full each segment is, moving survivors out, and giving a segment back."""

from __future__ import annotations

import os
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime

from node.errors import ObjectMissing, StoreError
from node.ports import StoredObject
from node.store.failures import translated
from node.store.journal.format import Kind, State, state_of
from node.store.journal.objects import key_of, living_entry, parse_key
from node.store.journal.pool import Pool
from node.store.journal.reader import SegmentReader, segment_at
from node.store.journal.writing import Writing


@dataclass(frozen=True, slots=True)
class Held:
    """One object of a segment. ``live``: it was not deleted."""

    key: str
    size: int
    copied: bool
    live: bool


@dataclass(frozen=True, slots=True)
class SegmentFacts:
    """``entries`` counts notes too; ``freed`` and ``live`` count objects. Sizes in bytes.

    ``changed_at`` is when it was last written or something in it was last deleted.
    """

    number: int
    sealed: bool
    entries: int
    live: int
    freed: int
    live_bytes: int
    size: int
    changed_at: datetime


class Recycling:
    def __init__(self, pool: Pool, writing: Writing) -> None:
        self._pool = pool
        self._writing = writing

    def facts(self, number: int) -> SegmentFacts | None:
        """None: there is no such segment.

        Raises:
            StoreUnavailable
        """
        with translated("the journal cannot be read"), segment_at(self._pool.folder.segment(number), number) as segment:
            if segment is None:
                return None
            held = _held(segment)
            status = os.fstat(segment.descriptor)
            return SegmentFacts(
                number=number,
                sealed=segment.sealed is not None,
                entries=segment.published(),
                live=sum(each.live for each in held),
                freed=sum(not each.live for each in held),
                live_bytes=sum(each.size for each in held if each.live),
                size=status.st_size,
                changed_at=datetime.fromtimestamp(status.st_mtime, UTC),
            )

    def held(self, number: int) -> Sequence[Held]:
        """
        Raises:
            StoreUnavailable
        """
        with translated("the journal cannot be read"), segment_at(self._pool.folder.segment(number), number) as segment:
            return _held(segment) if segment is not None else []

    def copy(self, key: str) -> StoredObject:
        """The same object once more, in a segment of this process; nobody is told that it arrived. On return it is
        durable; who points at the old key is to be told before that is deleted.

        Raises:
            ObjectMissing: there is no such object.
            StoreError: its bytes are not what was received: nothing is copied.
            StoreUnavailable: no room, or the disk failed.
        """
        parsed = parse_key(key)
        if parsed is None:
            raise ObjectMissing("no such object", length=len(key))
        number, position = parsed
        path = self._pool.folder.segment(number)
        with translated("the object cannot be read", missing=True), segment_at(path, number) as segment:
            entry = living_entry(segment, position)
            assert segment is not None
            record = segment.record(entry)
            draft = self._writing.begin(entry.data_length)
            try:
                for piece in segment.pieces(entry):
                    draft.write([piece])
                if record is None or draft.crc != entry.data_crc or draft.size != entry.data_length:
                    raise StoreError("the object is damaged", segment=number, position=position)
                return draft.commit_record(Kind.COPY, record)
            finally:
                draft.discard()

    def recycle(self, number: int) -> None:
        """Its file may be overwritten from now on.

        Raises:
            StoreError: it still holds objects, or is not sealed.
            StoreUnavailable: somebody writes it, or the disk failed.
        """
        found = self.facts(number)
        if found is None:
            return
        if found.live or not found.sealed:
            raise StoreError("the segment is in use", segment=number, live=found.live, sealed=found.sealed)
        self._pool.recycle(number)


def _held(segment: SegmentReader) -> list[Held]:
    found = []
    for position, raw in enumerate(segment.raw_entries(0, segment.published())):
        entry, state = segment.entry(raw, position), state_of(raw)
        if entry is not None and entry.kind in (Kind.INSTANCE, Kind.COPY) and state is not State.DROPPED:
            key = key_of(segment.header.number, position)
            found.append(Held(key, entry.data_length, entry.kind is Kind.COPY, state is not State.FREED))
    return found
