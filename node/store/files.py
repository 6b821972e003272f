"""The object store as one file for each object below a folder.

``objects/`` holds the objects under their keys. ``incoming/`` holds one folder for each running process that collects
bytes; the folder is locked as long as its process lives, so that a sweep removes only what the dead left behind.
"""

from __future__ import annotations

import errno
import fcntl
import os
import shutil
import tempfile
import threading
import uuid
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import BinaryIO

import structlog

from node.domain.study import ByteRange
from node.errors import ObjectMissing, StoreError, StoreUnavailable
from node.ports import StoredObject
from node.store.layout import is_key, object_path

log = structlog.get_logger()

_NO_ROOM = (errno.ENOSPC, errno.EDQUOT)
# Folders whose entry in their parent is known to be durable; forgotten all at once when there are too many.
_MAX_KNOWN_FOLDERS = 4096


class FileStore:
    """``ObjectStore`` on a local file system. ``flush`` makes a file descriptor durable."""

    def __init__(self, root: Path, flush: Callable[[int], None] = os.fsync) -> None:
        self._objects = root / "objects"
        self._incoming_root = root / "incoming"
        self._flush = flush
        self._lock = threading.Lock()
        self._incoming: Path | None = None
        self._incoming_lock = -1
        self._durable_folders: set[Path] = set()

    def incoming(self) -> Path:
        """This process's own folder for bytes under way; on the first call, what dead processes left is removed.

        Raises:
            StoreUnavailable: the folder cannot be made.
        """
        with self._lock, _translated("the incoming folder cannot be made"):
            if self._incoming is None or not self._incoming.is_dir():
                self._incoming_root.mkdir(parents=True, exist_ok=True)
                self._sweep()
                self._incoming, self._incoming_lock = _locked_folder(self._incoming_root)
            return self._incoming

    def adopt(self, source: Path, key: str) -> StoredObject:
        """Make ``source`` the object ``key``: flush the file, rename it, flush the folder.

        Raises:
            StoreUnavailable: nothing is acknowledged; ``source`` is removed.
            StoreError: ``key`` is no key.
        """
        try:
            path = object_path(self._objects, key)
            with _translated("the object cannot be stored"):
                with source.open("rb") as file:
                    self._flush(file.fileno())
                    size = os.fstat(file.fileno()).st_size
                self._make_durable_folder(path.parent)
                source.replace(path)
                self._flush_folder(path.parent)
        except StoreError:
            source.unlink(missing_ok=True)
            raise
        return StoredObject(key=key, size=size)

    def put(self, data: bytes, key: str) -> StoredObject:
        """Store ``data`` under ``key``; an older object of that key is replaced atomically.

        Raises:
            StoreUnavailable: nothing was stored.
            StoreError: ``key`` is no key.
        """
        folder = self.incoming()
        with _translated("the object cannot be written"):
            descriptor, name = tempfile.mkstemp(dir=folder)
            temporary = Path(name)
            try:
                with os.fdopen(descriptor, "wb") as file:
                    file.write(data)
            except OSError:
                temporary.unlink(missing_ok=True)
                raise
        return self.adopt(temporary, key)

    def locate(self, key: str) -> ByteRange:
        """
        Raises:
            ObjectMissing: there is no such object.
            StoreUnavailable: the file system does not answer.
        """
        path = self._existing(key)
        with _translated("the object cannot be looked up", missing=True):
            return ByteRange(path=str(path), offset=0, length=path.stat().st_size)

    def open(self, key: str) -> BinaryIO:
        """
        Raises:
            ObjectMissing: there is no such object.
            StoreUnavailable: it cannot be opened.
        """
        path = self._existing(key)
        with _translated("the object cannot be opened", missing=True):
            return path.open("rb")

    def delete(self, key: str) -> None:
        """Remove the object; nothing happens where it is absent.

        Raises:
            StoreUnavailable: it is there and cannot be removed.
        """
        if is_key(key):
            with _translated("the object cannot be removed"):
                object_path(self._objects, key).unlink(missing_ok=True)

    def keys(self) -> Iterator[str]:
        for folder, _, names in os.walk(self._objects):
            for name in names:
                yield (Path(folder) / name).relative_to(self._objects).as_posix()

    def close(self) -> None:
        """Give up the folder for bytes under way, with whatever still lies in it."""
        with self._lock:
            if self._incoming is not None:
                shutil.rmtree(self._incoming, ignore_errors=True)
                os.close(self._incoming_lock)
                self._incoming = None

    def _existing(self, key: str) -> Path:
        if not is_key(key):
            raise ObjectMissing("no such object", length=len(key))
        return object_path(self._objects, key)

    def _sweep(self) -> None:
        for folder in self._incoming_root.iterdir():
            descriptor = _try_lock(folder)
            if descriptor is not None:
                left = sum(1 for _ in folder.iterdir())
                shutil.rmtree(folder, ignore_errors=True)
                os.close(descriptor)
                log.info("store.swept", left_behind=left)

    def _make_durable_folder(self, folder: Path) -> None:
        """Make ``folder`` and its missing parents, and flush every parent's entry that is not known to be durable.

        A folder that another process has just made may not be durable yet: the first time, its entry is flushed too.
        """
        missing = [folder, *folder.parents][: len(folder.parts) - len(self._objects.parent.parts)]
        for each in reversed(missing):
            if each in self._durable_folders and each.is_dir():
                continue
            each.mkdir(parents=True, exist_ok=True)
            self._flush_folder(each.parent)
            if len(self._durable_folders) >= _MAX_KNOWN_FOLDERS:
                self._durable_folders.clear()
            self._durable_folders.add(each)

    def _flush_folder(self, folder: Path) -> None:
        descriptor = os.open(folder, os.O_RDONLY | os.O_DIRECTORY)
        try:
            self._flush(descriptor)
        finally:
            os.close(descriptor)


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


@contextmanager
def _translated(what: str, missing: bool = False) -> Iterator[None]:
    """The one place where the operating system's errors become the store's."""
    try:
        yield
    except FileNotFoundError as error:
        if missing:
            raise ObjectMissing("no such object") from error
        raise StoreUnavailable(what, errno=errno.ENOENT) from error
    except OSError as error:
        reason = "the disk is full" if error.errno in _NO_ROOM else what
        raise StoreUnavailable(reason, errno=error.errno) from error
