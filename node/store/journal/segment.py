"""One segment while this process writes it."""

from __future__ import annotations

import mmap
import os
import threading
from collections.abc import Sequence

import structlog

from node.store.journal.disk import Disk, write_all
from node.store.journal.extents import Extents
from node.store.journal.flush import GroupFlush
from node.store.journal.format import (
    BLOCK,
    ENTRY_SIZE,
    SEAL_OFFSET,
    STATE_OFFSET,
    Entry,
    SegmentHeader,
    State,
    data_start,
    entry_offset,
    pack_entry,
    pack_seal,
)

log = structlog.get_logger()

_LITTLE = 8  # of a segment: this part of it


class Segment:
    """Room for objects, and the index that names them. ``descriptor`` holds the lock and is the segment's own.

    ``take``, ``extend``, ``give_back`` and ``enlarge`` are called under the journal's lock; ``write``, ``append`` and
    ``mapped`` by many threads at once.
    """

    def __init__(self, disk: Disk, descriptor: int, header: SegmentHeader, written_ahead: bool) -> None:
        self.header = header
        self.written_ahead = written_ahead
        self.number = header.number
        self.retired = False
        self.broken = False
        self.count = 0
        self._disk = disk
        self._descriptor = descriptor
        self._extents = Extents(data_start(header.capacity), header.nominal_bytes // BLOCK * BLOCK)
        self._size = header.nominal_bytes
        self._slots = header.capacity
        self._open = 0
        self._over = False
        self._trims = False
        self._group: GroupFlush[Entry] = GroupFlush(self._flush)
        self._mapping = threading.Lock()
        self._mapped: mmap.mmap | None = None

    @property
    def is_hardly_used(self) -> bool:
        return self._extents.tail < self.header.nominal_bytes // _LITTLE

    @property
    def enlarged(self) -> bool:
        return self._size > self.header.nominal_bytes

    def take(self, size: int) -> int | None:
        """Room for one object, and a place in the index. None: there is neither, or the disk has failed."""
        if self.retired or self.broken or not self._slots:
            return None
        start = self._extents.take(size)
        if start is not None:
            self._slots -= 1
            self._open += 1
        return start

    def extend(self, end: int, size: int) -> bool:
        return not self.broken and self._extents.extend(end, size)

    def missing(self, size: int) -> int:
        """By how many bytes the file must grow to take ``size`` more at its end."""
        return max(0, self._extents.tail + size - self._extents.limit)

    def enlarge(self, size: int) -> None:
        """
        Raises:
            OSError: the file is as it was.
        """
        start = self._extents.limit
        self._disk.allocate(self._descriptor, start, size)
        self._extents.limit += size
        self._size = start + size

    def is_last(self, end: int) -> bool:
        return end == self._extents.tail

    def give_back(self, start: int, end: int) -> None:
        self._extents.give_back(start, end)

    def release(self, committed: bool) -> bool:
        """An object has ended. True: nobody uses the segment any more, and it is to be finished."""
        self._open -= 1
        self._slots += 0 if committed else 1
        return self._is_over()

    def retire(self, trim: bool = False) -> bool:
        """It takes no more objects. True: nobody uses it any more, and it is to be finished.

        ``trim``: it ends early, and what it does not need goes back to the file system.
        """
        self.retired = True
        self._trims = trim
        return self._is_over()

    def write(self, buffers: Sequence[memoryview | bytes | bytearray], offset: int) -> None:
        """
        Raises:
            OSError: the disk failed, now or before.
        """
        self._require_whole()
        write_all(self._disk, self._descriptor, buffers, offset)

    def mapped(self, end: int) -> mmap.mmap:
        """The segment up to ``end`` at least, for reading; stays valid as long as somebody holds it."""
        with self._mapping:
            if self._mapped is None or len(self._mapped) < end:
                self._mapped = mmap.mmap(self._descriptor, os.fstat(self._descriptor).st_size, access=mmap.ACCESS_READ)
            return self._mapped

    def append(self, entry: Entry) -> int:
        """Make the entry, and everything that was written for it, durable; its position.

        Raises:
            OSError: it is not durable, and nobody will ever see it.
        """
        return self._group.submit(entry)

    def finish(self) -> None:
        """Seal the segment and let it go. A failure is logged: recovery does it again."""
        try:
            if not self.broken:
                self._seal()
                self._trim()
        except OSError as error:
            log.error("journal.seal_failed", segment=self.number, errno=error.errno)
        finally:
            self._mapped = None
            os.close(self._descriptor)

    def _is_over(self) -> bool:
        """True once."""
        if self._over or self._open or not (self.retired or self.broken):
            return False
        self._over = True
        return True

    def _flush(self, entries: Sequence[Entry]) -> int:
        """The entries, one flush for them and their data, then the word that they are there."""
        self._require_whole()
        first = self.count
        nonce = self.header.nonce
        packed = bytearray().join([pack_entry(entry, first + index, nonce) for index, entry in enumerate(entries)])
        try:
            write_all(self._disk, self._descriptor, [packed], entry_offset(first))
            self._disk.flush(self._descriptor)
            packed[STATE_OFFSET::ENTRY_SIZE] = bytes((State.PUBLISHED,)) * len(entries)
            write_all(self._disk, self._descriptor, [packed], entry_offset(first))
        except OSError:
            self._break(first, len(entries))
            raise
        self.count += len(entries)
        return first

    def _break(self, first: int, length: int) -> None:
        """Never write here again: after a failed flush the kernel forgets which pages never reached the disk, and the
        next flush would succeed without them. What was acknowledged stays; what was not is wiped out.
        """
        self.broken = True
        log.error("journal.segment_broken", segment=self.number, entries=first, lost=length)
        try:
            write_all(self._disk, self._descriptor, [bytes(length * ENTRY_SIZE)], entry_offset(first))
            self._seal()
        except OSError as error:
            log.error("journal.seal_failed", segment=self.number, errno=error.errno)

    def _seal(self) -> None:
        write_all(self._disk, self._descriptor, [pack_seal(self.count, self.header.nonce)], SEAL_OFFSET)
        self._disk.flush(self._descriptor)

    def _trim(self) -> None:
        """Not for little: a file of full size can be recycled."""
        if self._trims and self._extents.tail < self._size - self.header.nominal_bytes // _LITTLE:
            self._disk.truncate(self._descriptor, self._extents.tail)

    def _require_whole(self) -> None:
        if self.broken:
            raise OSError("the segment is broken")
