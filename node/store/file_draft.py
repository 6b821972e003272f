"""A received object while it is being written as a file of its own (``ports.Draft``)."""

from __future__ import annotations

import mmap
import os
import tempfile
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from hashlib import sha256
from pathlib import Path

from typing_extensions import Buffer

from node.domain.study import Arrival
from node.ports import StoredObject, View
from node.store.failures import translated
from node.store.layout import instance_key


class FileDraft:
    """A file in ``folder``; ``adopt`` makes it an object under its key, durably."""

    def __init__(self, folder: Path, adopt: Callable[[Path, str], StoredObject]) -> None:
        self._adopt = adopt
        with translated("the object cannot be written"):
            descriptor, name = tempfile.mkstemp(dir=folder)
        self._file = os.fdopen(descriptor, "r+b", buffering=0)
        self._path = Path(name)
        self._size = 0

    @property
    def size(self) -> int:
        return self._size

    def write(self, parts: Sequence[Buffer]) -> None:
        with translated("the object cannot be written"):
            for part in parts:
                with memoryview(part) as rest:
                    written = 0
                    while written < len(rest):
                        written += self._file.write(rest[written:])
                    self._size += written

    @contextmanager
    def view(self) -> Iterator[View]:
        if not self._size:
            yield View(b"", 0, 0)
            return
        with translated("the object cannot be read back"):
            mapped = mmap.mmap(self._file.fileno(), self._size, access=mmap.ACCESS_READ)
        with mapped:
            yield View(mapped, 0, self._size)

    def commit(self, arrival: Arrival) -> StoredObject:
        digest = self._digest(arrival.data_set_offset)
        key = instance_key(arrival.study_instance_uid, arrival.series_instance_uid, arrival.sop_instance_uid, digest)
        self._file.close()
        stored = self._adopt(self._path, key)
        return StoredObject(stored.key, stored.size, digest)

    def discard(self) -> None:
        self._file.close()
        self._path.unlink(missing_ok=True)

    def _digest(self, offset: int) -> str:
        with self.view() as view, memoryview(view.buffer) as whole, whole[offset : view.end] as data_set:
            return sha256(data_set).hexdigest()
