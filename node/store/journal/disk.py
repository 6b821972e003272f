"""What the journal asks of the operating system when it changes something: one object, so that tests can refuse,
record and undo it. Reading needs no seam.
"""

from __future__ import annotations

import errno
import os
from collections.abc import Sequence
from pathlib import Path

from typing_extensions import Buffer

_MAX_BUFFERS = 1024  # IOV_MAX of Linux


class Disk:
    """The real one. Every method raises ``OSError`` as the system gives it."""

    def open(self, path: Path, create: bool = False) -> int:
        """For reading and writing; the descriptor is the caller's."""
        return os.open(path, os.O_RDWR | (os.O_CREAT | os.O_EXCL if create else 0), 0o640)

    def open_uncached(self, path: Path) -> int:
        """For writing aligned blocks past the page cache, where the file system can; the descriptor is the caller's."""
        try:
            return os.open(path, os.O_WRONLY | os.O_DIRECT)
        except OSError as error:
            if error.errno != errno.EINVAL:
                raise
            return os.open(path, os.O_WRONLY)

    def pwritev(self, descriptor: int, buffers: Sequence[Buffer], offset: int) -> int:
        """May write less than all."""
        return os.pwritev(descriptor, buffers, offset)

    def flush(self, descriptor: int) -> None:
        """Make the bytes of the file durable, and its size."""
        os.fdatasync(descriptor)

    def allocate(self, descriptor: int, offset: int, length: int) -> None:
        """Take the room from the file system; the file grows where it is shorter."""
        os.posix_fallocate(descriptor, offset, length)

    def truncate(self, descriptor: int, length: int) -> None:
        os.ftruncate(descriptor, length)

    def rename(self, source: Path, destination: Path) -> None:
        source.rename(destination)

    def unlink(self, path: Path) -> None:
        path.unlink(missing_ok=True)

    def flush_folder(self, folder: Path) -> None:
        """Make renames in it durable."""
        descriptor = os.open(folder, os.O_RDONLY | os.O_DIRECTORY)
        try:
            os.fsync(descriptor)
        finally:
            os.close(descriptor)


def write_all(disk: Disk, descriptor: int, buffers: Sequence[memoryview | bytes | bytearray], offset: int) -> None:
    """
    Raises:
        OSError: some of it may be written.
    """
    wanted = sum(map(len, buffers))
    if len(buffers) <= _MAX_BUFFERS:
        written = disk.pwritev(descriptor, buffers, offset)
        if written == wanted:
            return
    else:
        written = 0
    rest = [memoryview(buffer) for buffer in buffers if len(buffer)]
    skip = written
    while rest:
        while rest and skip >= len(rest[0]):
            skip -= len(rest.pop(0))
        if rest:
            rest[0] = rest[0][skip:]
            skip = disk.pwritev(descriptor, rest[:_MAX_BUFFERS], offset + written)
            if not skip:
                raise OSError(errno.EIO, "nothing was written")
            written += skip
