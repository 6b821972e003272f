"""Instances of both stores under one roof: a site that changes from one kind to the other keeps what it has."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import datetime
from typing import BinaryIO

from node.domain.study import ByteRange
from node.ports import Draft, InstanceStore, ObjectStore
from node.store.files import FileStore
from node.store.journal.objects import parse_key
from node.store.journal.store import JournalStore


class EitherStore:
    """A key says by its form whose it is; ``writes_to`` gets what is received now."""

    def __init__(self, files: FileStore, journal: JournalStore, writes_to: InstanceStore) -> None:
        self._files = files
        self._journal = journal
        self._writes_to = writes_to

    def begin(self, size_hint: int = 0) -> Draft:
        """
        Raises:
            StoreUnavailable: there is no room, or the disk does not answer.
        """
        return self._writes_to.begin(size_hint)

    def locate(self, key: str) -> ByteRange:
        """
        Raises:
            ObjectMissing: there is no such object.
            StoreUnavailable: the disk does not answer.
        """
        return self._of(key).locate(key)

    def open(self, key: str) -> BinaryIO:
        """
        Raises:
            ObjectMissing: there is no such object.
            StoreUnavailable: it cannot be opened.
        """
        return self._of(key).open(key)

    def delete(self, key: str) -> None:
        """
        Raises:
            StoreUnavailable: it is there and cannot be removed.
        """
        self._of(key).delete(key)

    def delete_older(self, key: str, than: datetime) -> None:
        """Files are named by what they hold: one that was written after ``than`` is not what was to be deleted.

        Raises:
            StoreUnavailable: it is there and cannot be removed.
        """
        if parse_key(key) is None:
            self._files.delete_older(key, than)
        else:
            self._journal.delete(key)

    def keys(self) -> Iterator[str]:
        yield from self._files.keys()
        yield from self._journal.keys()

    def _of(self, key: str) -> ObjectStore:
        return self._files if parse_key(key) is None else self._journal
