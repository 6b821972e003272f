"""A received object while it is being written into the journal (``ports.Draft``)."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Protocol

from isal.isal_zlib import crc32
from typing_extensions import Buffer

from node.domain.study import Arrival
from node.errors import StoreUnavailable
from node.ports import StoredObject, View
from node.store.failures import translated, unavailable
from node.store.journal.format import BLOCK, RECORD_SPACE, Entry, Kind, round_up
from node.store.journal.records import encode_arrival
from node.store.journal.segment import Segment

# An object no longer than this is kept in memory until it is whole: then it is written at once, with its record.
SMALL = 128 * 1024


@dataclass(slots=True)
class Place:
    """The bytes of a segment that are an object's own: record and data."""

    segment: Segment
    start: int
    end: int


class Room(Protocol):
    """Who gives places, and takes them back."""

    def grow(self, place: Place, size: int) -> Place:
        """A place of ``size`` bytes at least: the same, longer, or another; the old one is still the caller's.

        Raises:
            StoreUnavailable: there is no room.
        """
        ...

    def leave(self, place: Place) -> None:
        """Nothing of it is needed."""
        ...

    def keep(self, place: Place, used: int) -> None:
        """It holds an object now, in its first ``used`` bytes."""
        ...

    def abandon(self, place: Place) -> None:
        """The disk failed in it: nobody is to have it again."""
        ...


class JournalDraft:
    """Writes whole blocks, so that pages which are not in memory need not be read first; the rest is carried along.

    Nothing is written of a small object before it is committed.
    """

    def __init__(self, room: Room, place: Place) -> None:
        self._room = room
        self._place: Place | None = place
        self._held: list[bytes] | None = []  # a small object; None: it is not small
        self._carry = bytearray()
        self._carried = 0
        self._written = 0  # whole blocks, in bytes
        self._flushed_tail = False
        self._crc = 0
        self._size = 0

    @property
    def size(self) -> int:
        return self._size

    @property
    def crc(self) -> int:
        """CRC32 of the bytes written so far."""
        return self._crc

    def write(self, parts: Sequence[Buffer]) -> None:
        views = [_bytes_of(part) for part in parts]
        added = sum(map(len, views))
        place = self._fitting(RECORD_SPACE + self._size + added)
        for view in views:
            self._crc = crc32(view, self._crc)
        if self._held is not None:
            if self._size + added <= SMALL:
                self._held.append(b"".join(views))
                self._size += added
                return
            views = self._let_go(self._held) + views
            added += self._size
            self._size = 0
        whole = (self._carried + added) // BLOCK * BLOCK
        if whole:
            self._write_blocks(place, views, whole)
        else:
            self._carry_along(views)
        self._size += added
        self._flushed_tail = False

    @contextmanager
    def view(self) -> Iterator[View]:
        place = self._open_place()
        if self._held is not None:
            yield View(self._joined(self._held), 0, self._size)
            return
        self._write_tail(place)
        start = place.start + RECORD_SPACE
        with translated("the object cannot be read back"):
            mapped = place.segment.mapped(place.end)
        yield View(mapped, start, start + self._size)

    def commit(self, arrival: Arrival) -> StoredObject:
        return self.commit_record(Kind.INSTANCE, encode_arrival(arrival))

    def commit_record(self, kind: Kind, record: bytes) -> StoredObject:
        """
        Raises:
            StoreUnavailable: nothing was stored.
        """
        place = self._open_place()
        entry = Entry(kind, len(record), place.start + RECORD_SPACE, self._size, self._crc, crc32(record))
        if self._held is not None:
            self._write(place, _whole_blocks(record, self._joined(self._held)), place.start)
        else:
            self._write_tail(place)
            self._write(place, [record], place.start)
        try:
            position = place.segment.append(entry)
        except OSError as error:
            self._fail(place)
            raise unavailable("the object cannot be made durable", error) from error
        self._place = None
        self._room.keep(place, entry.end - place.start)
        return StoredObject(key=f"{place.segment.number:08x}/{position:06x}", size=self._size)

    def discard(self) -> None:
        if self._place is not None:
            place, self._place = self._place, None
            self._room.leave(place)

    def _let_go(self, held: list[bytes]) -> list[memoryview]:
        """It has become too long for memory: what was kept is to be written, behind room for the record."""
        self._held = None
        self._carry = bytearray(BLOCK)
        self._carried = RECORD_SPACE  # the record is written last, over these zeros
        return [memoryview(each) for each in held]

    def _joined(self, held: list[bytes]) -> bytes:
        if len(held) != 1:
            held[:] = [b"".join(held)]
        return held[0]

    def _write_blocks(self, place: Place, views: list[memoryview], whole: int) -> None:
        """``whole`` bytes of carry and views; the rest of the last view is carried."""
        buffers: list[memoryview | bytes | bytearray] = [memoryview(self._carry)[: self._carried]]
        missing = whole - self._carried
        rest: list[memoryview] = []
        for view in views:
            if missing >= len(view):
                buffers.append(view)
                missing -= len(view)
            else:
                buffers.append(view[:missing])
                rest.append(view[missing:])
                missing = 0
        self._write(place, buffers, place.start + self._written)
        self._written += whole
        self._carried = 0
        self._carry_along(rest)

    def _carry_along(self, views: list[memoryview]) -> None:
        for view in views:
            end = self._carried + len(view)
            self._carry[self._carried : end] = view
            self._carried = end

    def _write_tail(self, place: Place) -> None:
        """The last block, filled up with zeros; written again if more bytes follow."""
        if self._carried and not self._flushed_tail:
            self._carry[self._carried :] = bytes(BLOCK - self._carried)
            self._write(place, [self._carry], place.start + self._written)
            self._flushed_tail = True

    def _fitting(self, size: int) -> Place:
        """The place, moved to a longer one where ``size`` bytes do not fit; what was written moves along."""
        place = self._open_place()
        if place.start + size <= place.end:
            return place
        larger = self._room.grow(place, round_up(size))
        if larger is not place:
            self._place = larger
            try:
                if self._written:
                    with memoryview(place.segment.mapped(place.end)) as whole:
                        written = whole[place.start : place.start + self._written]
                        self._write(larger, [written], larger.start)
            finally:
                self._room.leave(place)
        return larger

    def _write(self, place: Place, buffers: list[memoryview | bytes | bytearray], offset: int) -> None:
        try:
            place.segment.write(buffers, offset)
        except OSError as error:
            self._fail(place)
            raise unavailable("the object cannot be written", error) from error

    def _fail(self, place: Place) -> None:
        self._place = None
        self._room.abandon(place)

    def _open_place(self) -> Place:
        if self._place is None:
            raise StoreUnavailable("the draft has ended")
        return self._place


def _whole_blocks(record: bytes, data: bytes) -> list[memoryview | bytes | bytearray]:
    """Record and object as they lie in their extent."""
    end = RECORD_SPACE + len(data)
    return [record, bytes(RECORD_SPACE - len(record)), data, bytes(round_up(end) - end)]


def _bytes_of(part: Buffer) -> memoryview:
    view = memoryview(part)
    return view if view.format == "B" and view.ndim == 1 else view.cast("B")
