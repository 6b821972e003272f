"""Folders for bytes under way: one for each running process, locked as long as it lives.

A sweep removes only what the dead left behind.
"""

from __future__ import annotations

import fcntl
import os
import shutil
import threading
import uuid
from pathlib import Path

import structlog

from node.store.failures import translated

log = structlog.get_logger()


class IncomingFolder:
    """This process's own folder below ``root``, made when it is first asked for."""

    def __init__(self, root: Path) -> None:
        self._root = root
        self._guard = threading.Lock()
        self._folder: Path | None = None
        self._lock = -1

    def path(self) -> Path:
        """On the first call, what dead processes left is removed.

        Raises:
            StoreUnavailable: the folder cannot be made.
        """
        with self._guard, translated("the incoming folder cannot be made"):
            if self._folder is None or not self._folder.is_dir():
                self._root.mkdir(parents=True, exist_ok=True)
                self._sweep()
                self._folder, self._lock = _locked_folder(self._root)
            return self._folder

    def close(self) -> None:
        """Give up the folder, with whatever still lies in it."""
        with self._guard:
            if self._folder is not None:
                shutil.rmtree(self._folder, ignore_errors=True)
                os.close(self._lock)
                self._folder = None

    def _sweep(self) -> None:
        for folder in self._root.iterdir():
            descriptor = _try_lock(folder)
            if descriptor is not None:
                left = sum(1 for _ in folder.iterdir())
                shutil.rmtree(folder, ignore_errors=True)
                os.close(descriptor)
                log.info("store.swept", left_behind=left)


def _locked_folder(parent: Path) -> tuple[Path, int]:
    """A new folder below ``parent`` and the descriptor that holds its lock."""
    while True:
        folder = parent / uuid.uuid4().hex
        folder.mkdir(mode=0o700)
        descriptor = _try_lock(folder)
        # Another process may have swept it between mkdir and lock.
        if descriptor is not None and folder.is_dir():
            return folder, descriptor


def _try_lock(folder: Path) -> int | None:
    """A descriptor that holds the lock of ``folder``; None where another process holds it or the folder is gone."""
    try:
        descriptor = os.open(folder, os.O_RDONLY | os.O_DIRECTORY)
    except (FileNotFoundError, NotADirectoryError):
        return None
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        os.close(descriptor)
        return None
    return descriptor
