"""An in-memory ``ObjectStore``."""

from __future__ import annotations

import io
from collections.abc import Iterator
from pathlib import Path
from typing import BinaryIO

from node.domain.study import ByteRange
from node.errors import ObjectMissing
from node.ports import StoredObject


class MemoryStore:
    """``fail_with`` is raised by every ``put`` as long as it is set. Locations name keys, not files."""

    def __init__(self, **objects: bytes) -> None:
        self.objects: dict[str, bytes] = dict(objects)
        self.fail_with: Exception | None = None

    def incoming(self) -> Path:
        raise NotImplementedError("nothing is received into memory")

    def adopt(self, source: Path, key: str) -> StoredObject:
        stored = self.put(source.read_bytes(), key)
        source.unlink()
        return stored

    def put(self, data: bytes, key: str) -> StoredObject:
        if self.fail_with is not None:
            raise self.fail_with
        self.objects[key] = data
        return StoredObject(key, len(data))

    def locate(self, key: str) -> ByteRange:
        return ByteRange(key, 0, len(self._existing(key)))

    def open(self, key: str) -> BinaryIO:
        return io.BytesIO(self._existing(key))

    def delete(self, key: str) -> None:
        self.objects.pop(key, None)

    def keys(self) -> Iterator[str]:
        return iter(list(self.objects))

    def _existing(self, key: str) -> bytes:
        if key not in self.objects:
            raise ObjectMissing("no such object")
        return self.objects[key]
