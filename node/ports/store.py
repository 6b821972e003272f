"""Bytes at rest."""

from __future__ import annotations

import mmap
from collections.abc import Iterator, Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass
from typing import BinaryIO, Protocol

from typing_extensions import Buffer

from node.domain.study import Arrival, ByteRange


@dataclass(frozen=True, slots=True)
class StoredObject:
    """``sha256`` is over the encoded data set, without file meta information; empty where the store does not know."""

    key: str
    size: int
    sha256: str = ""


@dataclass(frozen=True, slots=True)
class View:
    """``buffer[start:end]`` is an object that is being written, or a stored one."""

    buffer: bytes | mmap.mmap
    start: int
    end: int


class Draft(Protocol):
    """One received object while it is being written; used by one thread. It ends by ``commit`` or ``discard``."""

    @property
    def size(self) -> int:
        """Bytes written so far."""
        ...

    def write(self, parts: Sequence[Buffer]) -> None:
        """Append; the buffers may be reused afterwards.

        Raises:
            StoreUnavailable: no room, or the disk failed; the draft can only be discarded.
        """
        ...

    def view(self) -> AbstractContextManager[View]:
        """What was written, for looking at."""
        ...

    def commit(self, arrival: Arrival) -> StoredObject:
        """Make it an object. On return it survives a power cut.

        Raises:
            StoreUnavailable: nothing was stored.
        """
        ...

    def discard(self) -> None:
        """Forget it; nothing happens after ``commit`` or another ``discard``."""
        ...


class ObjectStore(Protocol):
    """DICOM Part 10 files under keys. One contract suite runs over every implementation."""

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


class InstanceStore(ObjectStore, Protocol):
    """What receivers write to; the store names the object."""

    def begin(self, size_hint: int = 0) -> Draft:
        """
        Raises:
            StoreUnavailable: there is no room, or the disk does not answer.
        """
        ...


class ResultStore(ObjectStore, Protocol):
    """What workers write to, under names of their own."""

    def put(self, data: bytes, key: str) -> StoredObject:
        """Store ``data`` durably under ``key``; an object already there under the same key is replaced atomically."""
        ...
