"""A disk whose calls fail when asked to."""

from __future__ import annotations

import errno
import os
from collections.abc import Sequence
from pathlib import Path

from typing_extensions import Buffer

from node.store.journal.disk import Disk


class FaultyDisk(Disk):
    """``fail_at``: the call of this number, counted from 0 over all kinds, fails with ``number``; so do the next
    ``times`` - 1. ``short``: a write takes no more bytes than this.
    """

    def __init__(self) -> None:
        self.calls: list[str] = []
        self.fail_at = -1
        self.times = 1
        self.number = errno.EIO
        self.short = 0

    def arm(self, fail_at: int, number: int = errno.EIO, times: int = 1) -> None:
        self.calls.clear()
        self.fail_at, self.number, self.times = fail_at, number, times

    def open(self, path: Path, create: bool = False) -> int:
        self._count("open")
        return super().open(path, create)

    def pwritev(self, descriptor: int, buffers: Sequence[Buffer], offset: int) -> int:
        self._count("write")
        if self.short:
            return os.pwrite(descriptor, b"".join(bytes(memoryview(each)) for each in buffers)[: self.short], offset)
        return super().pwritev(descriptor, buffers, offset)

    def flush(self, descriptor: int) -> None:
        self._count("flush")
        super().flush(descriptor)

    def allocate(self, descriptor: int, offset: int, length: int) -> None:
        self._count("allocate")
        super().allocate(descriptor, offset, length)

    def truncate(self, descriptor: int, length: int) -> None:
        self._count("truncate")
        super().truncate(descriptor, length)

    def rename(self, source: Path, destination: Path) -> None:
        self._count("rename")
        super().rename(source, destination)

    def flush_folder(self, folder: Path) -> None:
        self._count("flush folder")
        super().flush_folder(folder)

    def _count(self, call: str) -> None:
        number = len(self.calls)
        self.calls.append(call)
        if self.fail_at <= number < self.fail_at + self.times and self.fail_at >= 0:
            raise OSError(self.number, os.strerror(self.number))
