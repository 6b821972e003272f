"""Bytes at rest."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import BinaryIO, Protocol

from node.domain.study import ByteRange


@dataclass(frozen=True, slots=True)
class StoredObject:
    key: str
    size: int


class ObjectStore(Protocol):
    """DICOM Part 10 files under keys. One contract suite runs over every implementation."""

    def incoming(self) -> Path:
        """The folder in which a receiver may collect bytes before ``adopt``; swept at start."""
        ...

    def adopt(self, source: Path, key: str) -> StoredObject:
        """Make the file ``source`` (in ``incoming()``) the object ``key``, durably (file and directory flushed).

        Raises:
            StoreUnavailable: nothing was stored; ``source`` is removed.
        """
        ...

    def put(self, data: bytes, key: str) -> StoredObject:
        """Store ``data`` durably under ``key``; an object already there under the same key is replaced atomically."""
        ...

    def locate(self, key: str) -> ByteRange:
        """Where the bytes lie.

        Raises:
            ObjectMissing: there is no such object.
        """
        ...

    def open(self, key: str) -> BinaryIO: ...

    def delete(self, key: str) -> None:
        """Remove the object; nothing happens where it is absent."""
        ...

    def keys(self) -> Iterator[str]: ...
