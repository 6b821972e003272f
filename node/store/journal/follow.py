"""The journal as its follower sees it (``ports.ArrivalJournal``)."""

from __future__ import annotations

import select
import socket
import threading
import weakref
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from pathlib import Path

import structlog

from node.domain.study import ByteRange
from node.ports import AssociationEnded, InstanceArrived, JournalEntry, ReceiverStarted, StoredObject
from node.store.failures import translated
from node.store.journal.folder import Folder
from node.store.journal.format import Entry, Kind, State, state_of
from node.store.journal.objects import key_of
from node.store.journal.reader import SegmentReader, segment_at
from node.store.journal.records import decode_arrival, decode_note

log = structlog.get_logger()

Event = InstanceArrived | AssociationEnded | ReceiverStarted


class Wake:
    """A datagram wakes the follower; if nobody follows, or it has more of them than it needs, nothing is lost.

    Sockets of an abstract name, because a named pipe costs a writer more than what it tells: each byte changes the
    times of the pipe's inode, and waits for the file system's journal, which is busy with flushes.
    """

    def __init__(self, identity: Callable[[], str]) -> None:
        self._identity = identity
        self._guard = threading.Lock()
        self._socket: socket.socket | None = None
        self._address = ""
        self._listens = False

    def call(self) -> None:
        with suppress(OSError):
            self._opened().sendto(b"!", self._address)

    def wait(self, timeout_s: float) -> None:
        """Where another process follows too, this one sleeps."""
        called = self._opened()
        if not self._listens:
            with suppress(OSError):
                called.bind(self._address)
                self._listens = True
        select.select([called], [], [], timeout_s)
        with suppress(BlockingIOError):
            while True:
                called.recv(1)

    def close(self) -> None:
        if self._socket is not None:
            self._socket.close()
            self._socket = None

    def _opened(self) -> socket.socket:
        if self._socket is None:
            with self._guard:
                if self._socket is None:
                    self._address = f"\0ainode-journal-{self._identity()}"
                    made = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
                    made.setblocking(False)
                    weakref.finalize(self, made.close)
                    self._socket = made
        return self._socket


class Follower:
    """``entries`` shows what was there at the last ``segments``: a consistent moment. The counts are read from the
    highest segment down, and a receiver writes upwards: if the end of an association is seen, so are all its instances.
    """

    def __init__(self, folder: Folder, wake: Wake) -> None:
        self._folder = folder
        self._counts: dict[int, int] = {}
        self._sealed: dict[int, int] = {}
        self._unreadable: set[int] = set()
        self._wake = wake

    def segments(self) -> Mapping[int, int]:
        numbers = self._folder.numbers()
        counts = {number: self._count(number) for number in reversed(numbers)}
        self._sealed = {number: count for number, count in self._sealed.items() if number in counts}
        self._counts = {number: counts[number] for number in numbers}
        return self._counts

    def entries(self, segment: int, after: int, limit: int) -> Sequence[JournalEntry]:
        path = self._folder.segment(segment)
        count = min(limit, self._counts.get(segment, 0) - after)
        with translated("the journal cannot be read"), segment_at(path, segment) as reader:
            if reader is None or count <= 0:
                return []
            return [
                JournalEntry(segment, position, _event(reader, path, raw, position))
                for position, raw in enumerate(reader.raw_entries(after, count), after)
            ]

    def wait(self, timeout_s: float) -> None:
        self._wake.wait(timeout_s)

    def _count(self, number: int) -> int:
        """A sealed segment, and most are, is looked at once. One that cannot be read now holds up no other."""
        if number in self._sealed:
            return self._sealed[number]
        known = self._counts.get(number, 0)
        try:
            with segment_at(self._folder.segment(number), number) as reader:
                if reader is None:
                    return 0
                if reader.sealed is not None:
                    self._sealed[number] = reader.sealed
                return reader.published(known)
        except OSError as error:
            if number not in self._unreadable:
                self._unreadable.add(number)
                log.error("journal.unreadable_segment", segment=number, errno=error.errno)
            return known


def _event(reader: SegmentReader, path: Path, raw: bytes, position: int) -> Event | None:
    """None for a copy, and for what is torn or was dropped; a deleted instance arrived all the same."""
    entry = reader.entry(raw, position)
    if entry is None or state_of(raw) is State.DROPPED:
        return None
    record = reader.record(entry)
    if record is None:
        return None
    match entry.kind:
        case Kind.INSTANCE:
            return _arrived(reader, path, entry, record, position)
        case Kind.ASSOCIATION_ENDED:
            return AssociationEnded(*decode_note(record))
        case Kind.RECEIVER_STARTED:
            name, _, at = decode_note(record)
            return ReceiverStarted(name, at)
        case _:
            return None


def _arrived(reader: SegmentReader, path: Path, entry: Entry, record: bytes, position: int) -> InstanceArrived:
    return InstanceArrived(
        arrival=decode_arrival(record),
        stored=StoredObject(key=key_of(reader.header.number, position), size=entry.data_length),
        location=ByteRange(str(path), entry.data_offset, entry.data_length),
    )
