"""A store of files, looked through (``store.verify.Shelf``)."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from itertools import islice
from pathlib import Path

from node.errors import ObjectMissing
from node.ports.retention import Kept
from node.store.failures import translated
from node.store.files import FileStore
from node.store.verify import BATCH, Record

# A file has its row milliseconds after it has its name; a result when its job is completed, perhaps by a later attempt.
DUE_AFTER_S = 3600.0


class FileShelf:
    def __init__(self, store: FileStore, kept: Kept, due_after_s: float = DUE_AFTER_S) -> None:
        self._store = store
        self._kept = kept
        self._due_after_s = due_after_s

    @property
    def kept(self) -> Kept:
        return self._kept

    def records(self, recorded: Callable[[str], Mapping[int, int]]) -> Iterator[Sequence[Record]]:
        every = self._store.keys()
        while keys := list(islice(every, BATCH)):
            looked = [self._look(key) for key in keys]
            yield [record for record in looked if record is not None]

    def record(self, key: str) -> Record | None:
        return self._look(key)

    def delete(self, key: str) -> None:
        self._store.delete_older(key, datetime.now(UTC) - timedelta(seconds=self._due_after_s))

    @contextmanager
    def settled(self) -> Iterator[bool]:
        """Files do not move."""
        yield True

    def _look(self, key: str) -> Record | None:
        try:
            with translated("the object cannot be looked up", missing=True):
                status = Path(self._store.locate(key).path).stat()
        except ObjectMissing:
            return None
        return Record(key, status.st_size, due=time.time() - status.st_ctime >= self._due_after_s)
