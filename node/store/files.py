"""The object store as one file for each object below a folder.

``objects/`` holds the objects under their keys. ``incoming/`` holds one folder for each running process that collects
bytes; the folder is locked as long as its process lives, so that a sweep removes only what the dead left behind.
"""

from __future__ import annotations

import os
import tempfile
from collections.abc import Callable, Iterator
from contextlib import suppress
from datetime import datetime
from pathlib import Path
from typing import BinaryIO

from node.domain.study import ByteRange
from node.errors import ObjectMissing, StoreError
from node.ports import StoredObject
from node.store.failures import translated
from node.store.file_draft import FileDraft
from node.store.incoming import IncomingFolder
from node.store.layout import is_key, object_path

# Folders whose entry in their parent is known to be durable; forgotten all at once when there are too many.
_MAX_KNOWN_FOLDERS = 4096


class FileStore:
    """``ObjectStore`` on a local file system. ``flush`` makes a file descriptor durable."""

    def __init__(self, root: Path, flush: Callable[[int], None] = os.fsync) -> None:
        self._objects = root / "objects"
        self._incoming = IncomingFolder(root / "incoming")
        self._flush = flush
        self._durable_folders: set[Path] = set()

    def incoming(self) -> Path:
        """This process's own folder for bytes under way.

        Raises:
            StoreUnavailable: the folder cannot be made.
        """
        return self._incoming.path()

    def begin(self, size_hint: int = 0) -> FileDraft:
        """
        Raises:
            StoreUnavailable: the file cannot be made.
        """
        return FileDraft(self.incoming(), self.adopt)

    def adopt(self, source: Path, key: str) -> StoredObject:
        """Make ``source`` the object ``key``: flush the file, rename it, flush the folder.

        Raises:
            StoreUnavailable: nothing is acknowledged; ``source`` is removed.
            StoreError: ``key`` is no key.
        """
        try:
            path = object_path(self._objects, key)
            with translated("the object cannot be stored"):
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
        with translated("the object cannot be written"):
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
        with translated("the object cannot be looked up", missing=True):
            return ByteRange(path=str(path), offset=0, length=path.stat().st_size)

    def open(self, key: str) -> BinaryIO:
        """
        Raises:
            ObjectMissing: there is no such object.
            StoreUnavailable: it cannot be opened.
        """
        path = self._existing(key)
        with translated("the object cannot be opened", missing=True):
            return path.open("rb")

    def delete(self, key: str) -> None:
        """Remove the object; nothing happens where it is absent.

        Raises:
            StoreUnavailable: it is there and cannot be removed.
        """
        if is_key(key):
            with translated("the object cannot be removed"):
                object_path(self._objects, key).unlink(missing_ok=True)

    def delete_older(self, key: str, than: datetime) -> None:
        """``delete``, but an object that was put under this key since then stays: it is another one.

        Raises:
            StoreUnavailable: it is there and cannot be looked at or removed.
        """
        if not is_key(key):
            return
        path = object_path(self._objects, key)
        with suppress(ObjectMissing), translated("the object cannot be removed", missing=True):
            # Renaming a file onto its key changes this time, also of a file that was written before.
            if path.stat().st_ctime < than.timestamp():
                path.unlink()
        self._remove_empty(path.parent)

    def keys(self) -> Iterator[str]:
        for folder, _, names in os.walk(self._objects):
            for name in names:
                yield (Path(folder) / name).relative_to(self._objects).as_posix()

    def close(self) -> None:
        """Give up the folder for bytes under way, with whatever still lies in it."""
        self._incoming.close()

    def _existing(self, key: str) -> Path:
        if not is_key(key):
            raise ObjectMissing("no such object", length=len(key))
        return object_path(self._objects, key)

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

    def _remove_empty(self, folder: Path) -> None:
        """The folders of a series and a study without objects; who puts one there just then fails, and tries again."""
        with suppress(OSError):
            while folder != self._objects:
                folder.rmdir()
                folder = folder.parent

    def _flush_folder(self, folder: Path) -> None:
        descriptor = os.open(folder, os.O_RDONLY | os.O_DIRECTORY)
        try:
            self._flush(descriptor)
        finally:
            os.close(descriptor)
