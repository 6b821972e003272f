"""Segments are taken from free files and become free files again.

A file in ``free/`` is taken by renaming it to ``segments/<number>.seg``; its header is durable before that. Numbers
only grow. ``free/<name>.new`` is being made, locked by who makes it.
"""

from __future__ import annotations

import os
import uuid
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path

from node.errors import StoreUnavailable
from node.store.failures import translated
from node.store.journal.disk import Disk, write_all
from node.store.journal.folder import Folder, lock_now
from node.store.journal.format import (
    BLOCK,
    INDEX_OFFSET,
    MIN_SEGMENT_BYTES,
    SegmentHeader,
    capacity_for,
    data_start,
    pack_header,
    unpack_header,
)
from node.store.journal.segment import Segment


@dataclass(frozen=True, slots=True)
class JournalSettings:
    """``max_bytes`` bounds segments and free files together; 0: only ``reserve`` bounds them.

    ``recycle_after_s``: how long nobody may have freed anything in a segment before it is recycled, longer than
    anybody reads an object that was deleted.
    """

    segment_bytes: int = 128 << 20
    spare_segments: int = 4
    max_bytes: int = 0
    recycle_after_s: float = 3600.0


class Pool:
    """``reserve``: may this many bytes more be taken from the disk?"""

    def __init__(self, root: Path, settings: JournalSettings, reserve: Callable[[int], bool], disk: Disk) -> None:
        self.root = root
        self.folder = Folder(root, disk)
        self.settings = settings
        self.segment_bytes = max(MIN_SEGMENT_BYTES, settings.segment_bytes // BLOCK * BLOCK)
        self._reserve = reserve
        self._disk = disk

    def may_take(self, size: int) -> bool:
        """Whether the disk has room for ``size`` bytes more, and the journal may have them."""
        most = self.settings.max_bytes
        return self._reserve(size) and (not most or self.folder.bytes_taken() + size <= most)

    def require(self, size: int) -> None:
        """
        Raises:
            StoreUnavailable: ``may_take`` says no.
        """
        if not self.may_take(size):
            raise StoreUnavailable("the disk is full")

    def take(self, writer: str, now: float) -> Segment:
        """A segment of this process's own: a free file, or a new one.

        Raises:
            StoreUnavailable: no room, or the disk does not answer.
        """
        self.folder.make()
        before = self.folder.before_first()
        with translated("no segment can be taken"), self.folder.locked() as lock:
            path = min(self.spares(), default=None)
            if path is None:
                path, descriptor = self.new_file()
            else:
                descriptor = self._disk.open(path)
            try:
                number = self.folder.next_number(lock, max(before, self._highest_free()))
                size = os.fstat(descriptor).st_size
                header = SegmentHeader(number, os.urandom(8), capacity_for(size), size, now, writer)
                self._adopt(path, descriptor, header)
                return Segment(self._disk, descriptor, header, written_ahead=path.suffix == ".seg")
            except OSError:
                os.close(descriptor)
                raise

    def recycle(self, number: int) -> None:
        """The file of the segment may be taken again; where it is too small for that, it is removed.

        Raises:
            StoreUnavailable: somebody still writes it, or the disk failed.
        """
        path = self.folder.segment(number)
        with translated("the segment cannot be recycled"), self.folder.locked():
            descriptor = self._disk.open(path)
            try:
                if not lock_now(descriptor):
                    raise StoreUnavailable("the segment is being written", segment=number)
                self._set_free(path, descriptor)
            finally:
                os.close(descriptor)

    @contextmanager
    def exclusively(self) -> Iterator[None]:
        """Nothing is taken and nothing becomes free meanwhile.

        Raises:
            StoreUnavailable
        """
        self.folder.make()
        with translated("the journal cannot be locked"), self.folder.locked():
            yield

    def spares(self) -> list[Path]:
        """Free files of the right size."""
        return [path for path in self._free_files() if _size_of(path) == self.segment_bytes]

    def sweep(self) -> None:
        """Remove what the dead were making, and files of a size that is no longer asked for. Under the lock."""
        usable = set(self.spares())
        for path in (*self._free_files(), *self.folder.free.glob("*.new")):
            descriptor = self._disk.open(path)
            try:
                if path not in usable and lock_now(descriptor):
                    self._disk.unlink(path)
            finally:
                os.close(descriptor)

    def new_file(self) -> tuple[Path, int]:
        """A locked file whose room is taken, not yet written. Under the lock.

        Raises:
            StoreUnavailable: there is no room.
        """
        self.require(self.segment_bytes)
        path = self.folder.free / f"{uuid.uuid4().hex}.new"
        descriptor = self._disk.open(path, create=True)
        try:
            lock_now(descriptor)
            self._disk.allocate(descriptor, 0, self.segment_bytes)
        except OSError:
            self._disk.unlink(path)
            os.close(descriptor)
            raise
        return path, descriptor

    def _adopt(self, path: Path, descriptor: int, header: SegmentHeader) -> None:
        """The index is wiped too: freed bytes of the file's former life, and pages that later writes find in memory."""
        if not lock_now(descriptor):
            raise OSError("a free file is locked")
        beginning = pack_header(header).ljust(INDEX_OFFSET, b"\0")
        wiped = bytes(data_start(header.capacity) - INDEX_OFFSET)
        write_all(self._disk, descriptor, [beginning, wiped], 0)
        self._disk.flush(descriptor)
        self._disk.rename(path, self.folder.segment(header.number))
        self._disk.flush_folder(self.folder.segments)

    def _set_free(self, path: Path, descriptor: int) -> None:
        if os.fstat(descriptor).st_size < self.segment_bytes:
            self._disk.unlink(path)
        else:
            self._disk.truncate(descriptor, self.segment_bytes)
            self._disk.rename(path, self.folder.free / f"{uuid.uuid4().hex}.seg")
            self._disk.flush_folder(self.folder.free)
        self._disk.flush_folder(self.folder.segments)

    def _free_files(self) -> list[Path]:
        return [path for path in self.folder.free.glob("*.seg") if path.is_file()]

    def _highest_free(self) -> int:
        """Free files remember the number they had: for a lock file that is new or was damaged."""
        highest = 0
        for path in self._free_files():
            with suppress(OSError), path.open("rb") as file:
                header = unpack_header(file.read(BLOCK))
                highest = max(highest, header.number if header else 0)
        return highest


def _size_of(path: Path) -> int:
    """-1: another process has just taken it."""
    try:
        return path.stat().st_size
    except FileNotFoundError:
        return -1
