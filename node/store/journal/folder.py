"""The journal's folder: where its files lie, and its locks.

``id`` names the journal; ``lock`` is held while a file changes between ``segments/`` and ``free/``, and holds the last
segment number; ``preparing`` is held by the process that makes spares.
"""

from __future__ import annotations

import fcntl
import os
import re
import time
import uuid
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

import structlog

from node.errors import StoreUnavailable
from node.store.failures import translated
from node.store.journal.disk import Disk, write_all

log = structlog.get_logger()

_SEGMENT_NAME = re.compile(r"([0-9a-f]{8})\.seg\Z")
_MOMENTS_S = 0.25
_COUNTER = re.compile(rb"[0-9a-f]{8}\n\Z")


class Folder:
    def __init__(self, root: Path, disk: Disk) -> None:
        self.root = root
        self.segments = root / "segments"
        self.free = root / "free"
        self._disk = disk
        self._foreign: set[str] = set()

    def make(self) -> None:
        """
        Raises:
            StoreUnavailable
        """
        with translated("the journal's folder cannot be made"):
            for folder in (self.root, self.segments, self.free):
                if not folder.is_dir():
                    folder.mkdir(parents=True, exist_ok=True)
                    self._disk.flush_folder(folder.parent)

    def segment(self, number: int) -> Path:
        return self.segments / f"{number:08x}.seg"

    def numbers(self) -> list[int]:
        """Of the segments that exist, ascending. A foreign file is named in the log, once.

        Raises:
            StoreUnavailable
        """
        try:
            with os.scandir(self.segments) as found:
                names = [each.name if each.is_file(follow_symlinks=False) else f"{each.name}/" for each in found]
        except FileNotFoundError:
            return []
        except OSError as error:
            raise StoreUnavailable("the journal cannot be listed", errno=error.errno) from error
        return sorted(number for name in names if (number := self._number(name)) is not None)

    def next_number(self, lock: int, at_least: int) -> int:
        """One that no segment ever had. ``lock`` is the lock file, held; ``at_least`` counts where it was damaged.

        Raises:
            OSError
        """
        text = os.pread(lock, 16, 0)
        counted = int(text, 16) if _COUNTER.match(text) else at_least
        number = max([counted, *self.numbers()]) + 1
        while os.path.lexists(self.segment(number)):  # something foreign
            number += 1
        write_all(self._disk, lock, [b"%08x\n" % number], 0)
        self._disk.flush(lock)
        return number

    def bytes_taken(self) -> int:
        """By segments and free files."""
        total = 0
        for folder in (self.segments, self.free):
            with os.scandir(folder) as found:
                total += sum(each.stat(follow_symlinks=False).st_size for each in found)
        return total

    def is_busy(self) -> bool:
        """Whether some process has written to a segment in the last moments."""
        since = time.time() - _MOMENTS_S
        with suppress(OSError), os.scandir(self.segments) as found:
            return any(each.stat(follow_symlinks=False).st_mtime > since for each in found)
        return False

    def identity(self) -> str:
        """Made once, durably.

        Raises:
            StoreUnavailable
        """
        path = self.root / "id"
        if not path.exists():
            self.make()
            with translated("the journal has no identity"), self.locked():
                if not path.exists():
                    self._write_file(path, f"{uuid.uuid4()}\n".encode())
        try:
            with translated("the journal has no identity"):
                return str(uuid.UUID(path.read_text().strip()))
        except ValueError as error:
            raise StoreUnavailable("the identity of the journal is damaged") from error

    def before_first(self) -> int:
        """Segment numbers of this journal lie above it: two journals that share a database are far apart, and the keys
        of one name nothing in the other. They stay below 2^31.

        Raises:
            StoreUnavailable
        """
        return uuid.UUID(self.identity()).int >> 113 << 16

    @contextmanager
    def locked(self, how: int = fcntl.LOCK_EX) -> Iterator[int]:
        """Waits for the lock; the descriptor of the lock file.

        Raises:
            OSError
        """
        descriptor = os.open(self.root / "lock", os.O_RDWR | os.O_CREAT, 0o640)
        try:
            fcntl.flock(descriptor, how)
            yield descriptor
        finally:
            os.close(descriptor)

    @contextmanager
    def turn(self) -> Iterator[bool]:
        """Whether no other process makes spares now.

        Raises:
            OSError
        """
        descriptor = os.open(self.root / "preparing", os.O_RDWR | os.O_CREAT, 0o640)
        try:
            yield lock_now(descriptor)
        finally:
            os.close(descriptor)

    def _number(self, name: str) -> int | None:
        if match := _SEGMENT_NAME.match(name):
            return int(match[1], 16)
        if name not in self._foreign:
            self._foreign.add(name)
            log.warning("journal.foreign_file", name=name[:64])
        return None

    def _write_file(self, path: Path, content: bytes) -> None:
        """Whole and durable, or not at all."""
        temporary = path.with_suffix(".new")
        self._disk.unlink(temporary)
        descriptor = self._disk.open(temporary, create=True)
        try:
            write_all(self._disk, descriptor, [content], 0)
            self._disk.flush(descriptor)
        finally:
            os.close(descriptor)
        self._disk.rename(temporary, path)
        self._disk.flush_folder(path.parent)


def lock_now(descriptor: int) -> bool:
    """Whether the lock of the file is ours, as long as the descriptor is open."""
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    return True
