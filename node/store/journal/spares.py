"""Segments written ahead, by a thread of their own, so that nobody waits for one.

Blocks that were written once are overwritten without a change of the file system's own tables; blocks that are only
allocated cost each flush a commit of those. Writing ahead costs the disk as much as reception does: while objects
come, it goes slowly.
"""

from __future__ import annotations

import mmap
import os
import threading
from collections.abc import Callable
from pathlib import Path

import structlog

from node.errors import StoreUnavailable
from node.store.failures import translated
from node.store.journal.disk import Disk, write_all
from node.store.journal.pool import Pool

log = structlog.get_logger()

_PIECE = 4 << 20  # bytes written at once
_PAUSE_S = 0.1  # after each piece, while objects come
_RETRY_S = 5.0  # after a full or failing disk
_LOOK_AGAIN_S = 0.5  # whether objects still come


class Spares:
    """The thread starts with the first ``ask``. ``busy``: have objects come in the last moments? ``ready``: one is
    made.
    """

    def __init__(self, pool: Pool, disk: Disk, busy: Callable[[], bool], ready: Callable[[], None]) -> None:
        self._pool = pool
        self._disk = disk
        self._busy = busy
        self._ready = ready
        self._asked = threading.Event()
        self._stop = threading.Event()
        self._guard = threading.Lock()
        self._thread: threading.Thread | None = None

    def ask(self) -> None:
        """A segment was taken: see whether there are spares enough."""
        self._asked.set()
        with self._guard:
            if self._thread is None and not self._stop.is_set() and self._pool.settings.spare_segments:
                self._thread = threading.Thread(target=self._run, name="journal-spares", daemon=True)
                self._thread.start()

    def are_enough(self) -> bool:
        return len(self._pool.spares()) >= self._pool.settings.spare_segments

    def make_one(self) -> bool:
        """False: there are enough, another process is at it, or there is no room for more.

        Raises:
            StoreUnavailable: the disk failed.
        """
        with translated("no spare segment can be made"), self._pool.folder.turn() as mine:
            if not mine or self.are_enough():
                return False
            with self._pool.folder.locked():
                self._pool.sweep()
                if not self._pool.may_take(self._pool.segment_bytes):
                    return False
                path, descriptor = self._pool.new_file()
            try:
                if written := self._write_ahead(path):
                    self._disk.rename(path, path.with_suffix(".seg"))
            finally:
                self._disk.unlink(path)
                os.close(descriptor)
            return written

    def close(self) -> None:
        self._stop.set()
        self._asked.set()
        with self._guard:
            thread, self._thread = self._thread, None
        if thread is not None:
            thread.join()

    def _run(self) -> None:
        while not self._stop.is_set():
            self._asked.clear()
            try:
                while self._waited() and self.make_one():
                    self._ready()
                enough = self.are_enough()
            except StoreUnavailable as error:
                log.warning("journal.no_spare", reason=error.message, **error.details)
                enough = False
            self._asked.wait(None if enough else _RETRY_S)

    def _waited(self) -> bool:
        """Until nothing comes, or few are left: what is written ahead costs the disk as much as what comes. False: it
        is time to end.
        """
        few = max(1, self._pool.settings.spare_segments // 2)
        while self._busy() and len(self._pool.spares()) >= few:
            if self._stop.wait(_LOOK_AGAIN_S):
                return False
        return not self._stop.is_set()

    def _write_ahead(self, path: Path) -> bool:
        size = self._pool.segment_bytes
        descriptor = self._disk.open_uncached(path)
        try:
            with mmap.mmap(-1, min(_PIECE, size)) as zeros, memoryview(zeros) as piece:
                for offset in range(0, size, len(piece)):
                    if self._stop.is_set() or (self._busy() and self._stop.wait(_PAUSE_S)):
                        return False
                    write_all(self._disk, descriptor, [piece[: size - offset]], offset)
                    self._disk.flush(descriptor)
        finally:
            os.close(descriptor)
        return True
