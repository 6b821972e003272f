"""A real file system of a few megabytes, mounted for a test."""

from __future__ import annotations

import os
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from tests.peers import absent

PIECE = 1 << 16


@contextmanager
def small_disk(folder: Path, size_bytes: int) -> Iterator[Path]:
    """A tmpfs of this size at ``folder``; skips where this user may not mount one."""
    folder.mkdir(parents=True)
    mounted = subprocess.run(
        ["mount", "-t", "tmpfs", "-o", f"size={size_bytes}", "none", str(folder)], capture_output=True, check=False
    )
    if mounted.returncode:
        absent(f"no file system may be mounted here: {mounted.stderr.decode().strip()}")
    try:
        yield folder
    finally:
        subprocess.run(["umount", "-l", str(folder)], check=True)


def fill(path: Path, leave_bytes: int = 0) -> None:
    """A file that takes all room of its file system but so much."""
    with path.open("wb", buffering=0) as file:
        while (room := free_bytes(path.parent) - leave_bytes) > 0:
            try:
                file.write(bytes(min(PIECE, room)))
            except OSError:
                return


def free_bytes(folder: Path) -> int:
    status = os.statvfs(folder)
    return status.f_bavail * status.f_frsize
