"""How much room is left, and whether that is enough to take in more."""

from __future__ import annotations

import os
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

from node.errors import StoreUnavailable


@dataclass(frozen=True, slots=True)
class Space:
    """Bytes free to this user on the file system of the store, and the watermark below which nothing is taken in."""

    free_bytes: int
    watermark_bytes: int

    def has_room_for(self, size: int = 0) -> bool:
        """Whether ``size`` more bytes leave the watermark untouched."""
        return self.free_bytes - size >= self.watermark_bytes


def measure(folder: Path, watermark_bytes: int) -> Space:
    """
    Raises:
        StoreUnavailable: the file system does not answer.
    """
    try:
        status = os.statvfs(folder)
    except OSError as error:
        raise StoreUnavailable("free space cannot be measured", errno=error.errno) from error
    return Space(free_bytes=status.f_bavail * status.f_frsize, watermark_bytes=watermark_bytes)


def measure_all(folders: Iterable[Path], watermark_bytes: int) -> Space:
    """The tightest of the file systems on which these folders lie.

    Raises:
        StoreUnavailable: one of them does not answer.
    """
    return min((measure(folder, watermark_bytes) for folder in folders), key=lambda space: space.free_bytes)
