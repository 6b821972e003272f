"""A disk that loses power: what it holds afterwards, whatever part of the unflushed writes got through."""

from __future__ import annotations

import errno
import os
import random
import threading
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path

from typing_extensions import Buffer

from node.store.journal.disk import Disk

SECTOR = 512


@dataclass
class Change:
    """A write (``content`` at ``offset``) or a new size, to the file ``inode``. Doubtful: a flush of it failed, and no
    later one writes it (Linux marks the pages clean).
    """

    inode: int
    offset: int = 0
    content: bytes = b""
    size: int | None = None
    doubtful: bool = False


@dataclass
class Flushed:
    """The changes of ``inode`` before number ``upto`` are on the disk, but for the doubtful ones."""

    inode: int
    upto: int


@dataclass
class Renamed:
    source: Path | None
    destination: Path | None
    inode: int


@dataclass
class FolderFlushed:
    folder: Path
    upto: int


Event = Change | Flushed | Renamed | FolderFlushed


@dataclass
class RecordingDisk(Disk):
    """Keeps what happened, and flushes nothing really. ``fail_flush``: the next flush of a file fails with EIO."""

    events: list[Event] = field(default_factory=list)
    fail_flush: bool = False
    _guard: threading.Lock = field(default_factory=threading.Lock)

    def open(self, path: Path, create: bool = False) -> int:
        descriptor = super().open(path, create)
        if create:
            self._add(Renamed(None, path, _inode(descriptor)))
        return descriptor

    def pwritev(self, descriptor: int, buffers: Sequence[Buffer], offset: int) -> int:
        content = b"".join(bytes(memoryview(buffer)) for buffer in buffers)
        self._add(Change(_inode(descriptor), offset, content))
        return super().pwritev(descriptor, buffers, offset)

    def flush(self, descriptor: int) -> None:
        inode, upto = _inode(descriptor), len(self.events)
        if self.fail_flush:
            self.fail_flush = False
            self._doubt(inode, upto)
            raise OSError(errno.EIO, os.strerror(errno.EIO))
        self._add(Flushed(inode, upto))

    def allocate(self, descriptor: int, offset: int, length: int) -> None:
        super().allocate(descriptor, offset, length)
        self._add(Change(_inode(descriptor), size=os.fstat(descriptor).st_size))

    def truncate(self, descriptor: int, length: int) -> None:
        super().truncate(descriptor, length)
        self._add(Change(_inode(descriptor), size=length))

    def rename(self, source: Path, destination: Path) -> None:
        inode = source.stat().st_ino
        super().rename(source, destination)
        self._add(Renamed(source, destination, inode))

    def unlink(self, path: Path) -> None:
        if path.exists():
            self._add(Renamed(path, None, path.stat().st_ino))
        super().unlink(path)

    def flush_folder(self, folder: Path) -> None:
        self._add(FolderFlushed(folder, len(self.events)))

    def _add(self, event: Event) -> None:
        with self._guard:
            self.events.append(event)

    def _doubt(self, inode: int, upto: int) -> None:
        with self._guard:
            durable = _durable(self.events, inode)
            for number, event in enumerate(self.events[:upto]):
                if isinstance(event, Change) and event.inode == inode and number >= durable:
                    event.doubtful = True


def image_after(events: Sequence[Event], chance: random.Random, old: Path, new: Path) -> None:
    """Write to the folder ``new`` what the folder ``old`` holds when the power went off after ``events``."""
    luck = chance.choice((0.0, 0.5, 0.95, 1.0))
    for path, inode in _names(events, chance).items():
        destination = new / path.relative_to(old)
        destination.parent.mkdir(parents=True, exist_ok=True)
        destination.write_bytes(_content(events, inode, chance, luck))
    for name in ("segments", "free"):
        (new / name).mkdir(parents=True, exist_ok=True)


def _names(events: Sequence[Event], chance: random.Random) -> dict[Path, int]:
    """Durable are the changes up to the last one in a flushed folder, and by luck some more, in their order."""
    changes = [(number, event) for number, event in enumerate(events) if isinstance(event, Renamed)]
    flushed: dict[Path, int] = {}
    for event in events:
        if isinstance(event, FolderFlushed):
            flushed[event.folder] = max(flushed.get(event.folder, 0), event.upto)
    certain = 0
    for index, (number, change) in enumerate(changes):
        folder = (change.destination or change.source or Path()).parent
        if number < flushed.get(folder, 0):
            certain = index + 1
    names: dict[Path, int] = {}
    for _, change in changes[: chance.randint(certain, len(changes))]:
        if change.source is not None:
            names.pop(change.source, None)
        if change.destination is not None:
            names[change.destination] = change.inode
    return names


def _content(events: Sequence[Event], inode: int, chance: random.Random, luck: float) -> bytes:
    durable = _durable(events, inode)
    content = bytearray()
    for number, event in enumerate(events):
        if isinstance(event, Change) and event.inode == inode:
            certain = number < durable and not event.doubtful
            _apply(event, content, chance, 1.0 if certain else luck)
    return bytes(content)


def _apply(change: Change, content: bytearray, chance: random.Random, luck: float) -> None:
    if change.size is not None:
        if chance.random() < luck or luck == 1.0:
            content[change.size :] = bytes(max(0, change.size - len(content)))
        return
    end = change.offset + len(change.content)
    at = change.offset
    while at < end:
        until = min(end, (at // SECTOR + 1) * SECTOR)
        if luck == 1.0 or chance.random() < luck:
            content.extend(bytes(max(0, until - len(content))))
            content[at:until] = change.content[at - change.offset : until - change.offset]
        at = until


def _durable(events: Sequence[Event], inode: int) -> int:
    return max((event.upto for event in events if isinstance(event, Flushed) and event.inode == inode), default=0)


def _inode(descriptor: int) -> int:
    return os.fstat(descriptor).st_ino
