"""The journal, looked through entry by entry (``store.verify.Shelf``)."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager

from node.ports.retention import Kept
from node.store.failures import translated
from node.store.journal.folder import Folder
from node.store.journal.format import Kind, State, state_of
from node.store.journal.objects import key_of, parse_key
from node.store.journal.reader import SegmentReader, segment_at
from node.store.journal.records import decode_arrival
from node.store.journal.reuse import turn
from node.store.journal.store import JournalStore
from node.store.verify import BATCH, Record

_POLL_S = 0.1


class JournalShelf:
    """``settled_wait_s``: how long the step that moves objects is waited for; its turns take seconds."""

    kept = Kept.INSTANCES

    def __init__(self, journal: JournalStore, folder: Folder, settled_wait_s: float = 60.0) -> None:
        self._journal = journal
        self._folder = folder
        self._settled_wait_s = settled_wait_s
        self._recorded: Mapping[int, int] = {}

    def records(self, recorded: Callable[[str], Mapping[int, int]]) -> Iterator[Sequence[Record]]:
        if not self._folder.segments.is_dir():
            return
        self._recorded = recorded(self._journal.id)
        for number in self._folder.numbers():
            yield from self._segment(number)

    def record(self, key: str) -> Record | None:
        parsed = parse_key(key)
        if parsed is None:
            return None
        number, position = parsed
        with self._reader(number) as segment:
            raw = segment.raw_entries(position, 1) if segment is not None else []
            return _record(segment, raw[0], position, due=True) if segment is not None and raw else None

    def delete(self, key: str) -> None:
        self._journal.delete(key)

    @contextmanager
    def settled(self) -> Iterator[bool]:
        deadline = time.monotonic() + self._settled_wait_s
        while True:
            with turn(self._folder.root) as mine:
                if mine or time.monotonic() >= deadline:
                    yield mine
                    return
            time.sleep(_POLL_S)

    def _segment(self, number: int) -> Iterator[Sequence[Record]]:
        with self._reader(number) as segment:
            if segment is None:
                return
            count = segment.published()
            for first in range(0, count, BATCH):
                raws = segment.raw_entries(first, min(BATCH, count - first))
                recorded = self._recorded.get(number, 0)
                looked = [
                    _record(segment, raw, position, due=position < recorded) for position, raw in enumerate(raws, first)
                ]
                yield [record for record in looked if record is not None]

    @contextmanager
    def _reader(self, number: int) -> Iterator[SegmentReader | None]:
        with translated("the journal cannot be read"), segment_at(self._folder.segment(number), number) as segment:
            yield segment


def _record(segment: SegmentReader, raw: bytes, position: int, due: bool) -> Record | None:
    """None: no object, or one that is deleted or was never whole."""
    entry, state = segment.entry(raw, position), state_of(raw)
    key = key_of(segment.header.number, position)
    if entry is None:
        return Record(key, 0, due=due, problem="the entry is torn")
    if entry.kind not in (Kind.INSTANCE, Kind.COPY) or state in (State.FREED, State.DROPPED):
        return None
    record = segment.record(entry)
    if record is None:
        return Record(key, entry.data_length, due=due, problem="the record is damaged")
    return Record(key, entry.data_length, decode_arrival(record).sop_instance_uid, due)
