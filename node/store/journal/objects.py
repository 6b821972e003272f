"""Objects by their keys: ``<segment, 8 hex digits>/<position of the entry, 6 hex digits>``."""

from __future__ import annotations

import fcntl
import io
import os
import re
from collections.abc import Iterator
from typing import BinaryIO, cast

from typing_extensions import Buffer

from node.domain.study import ByteRange
from node.errors import ObjectMissing
from node.store.failures import translated
from node.store.journal.disk import Disk, write_all
from node.store.journal.folder import Folder
from node.store.journal.format import STATE_OFFSET, Entry, Kind, State, entry_offset, state_of
from node.store.journal.reader import SegmentReader, segment_at

_KEY = re.compile(r"([0-9a-f]{8})/([0-9a-f]{6,8})\Z")
_OBJECTS = (Kind.INSTANCE, Kind.COPY)


def key_of(number: int, position: int) -> str:
    return f"{number:08x}/{position:06x}"


def parse_key(key: str) -> tuple[int, int] | None:
    match = _KEY.match(key)
    return (int(match[1], 16), int(match[2], 16)) if match else None


class Objects:
    """Looks entries up anew each time: a segment that was recycled is noticed."""

    def __init__(self, folder: Folder, disk: Disk) -> None:
        self._folder = folder
        self._disk = disk

    def locate(self, key: str) -> ByteRange:
        number, position = _parsed(key)
        path = self._folder.segment(number)
        with translated("the object cannot be looked up", missing=True), segment_at(path, number) as segment:
            entry = living_entry(segment, position)
        return ByteRange(path=str(path), offset=entry.data_offset, length=entry.data_length)

    def open(self, key: str) -> BinaryIO:
        number, position = _parsed(key)
        with translated("the object cannot be opened", missing=True):
            with segment_at(self._folder.segment(number), number) as segment:
                entry = living_entry(segment, position)
                assert segment is not None
                descriptor = os.dup(segment.descriptor)
            return cast(BinaryIO, io.BufferedReader(_Range(descriptor, entry.data_offset, entry.data_length)))

    def delete(self, key: str) -> None:
        """The byte is not flushed: after a power cut the object may be there again, as in a file system."""
        parsed = parse_key(key)
        if parsed is None or not self._folder.segment(parsed[0]).exists():
            return
        number, position = parsed
        with translated("the object cannot be removed"), self._folder.locked(fcntl.LOCK_SH):
            descriptor = self._disk.open(self._folder.segment(number))
            try:
                with segment_at(self._folder.segment(number), number) as segment:
                    if _is_living(segment, position):
                        where = entry_offset(position) + STATE_OFFSET
                        write_all(self._disk, descriptor, [bytes((State.FREED,))], where)
            finally:
                os.close(descriptor)

    def keys(self) -> Iterator[str]:
        for number in self._folder.numbers():
            with translated("the journal cannot be read"), segment_at(self._folder.segment(number), number) as segment:
                found = list(_live_positions(segment))
            yield from (key_of(number, position) for position in found)


def _parsed(key: str) -> tuple[int, int]:
    parsed = parse_key(key)
    if parsed is None:
        raise ObjectMissing("no such object", length=len(key))
    return parsed


def living_entry(segment: SegmentReader | None, position: int) -> Entry:
    if segment is not None:
        for raw in segment.raw_entries(position, 1):
            entry = _object(segment, raw, position)
            if entry is not None:
                return entry
    raise ObjectMissing("no such object")


def _is_living(segment: SegmentReader | None, position: int) -> bool:
    try:
        living_entry(segment, position)
    except ObjectMissing:
        return False
    return True


def _live_positions(segment: SegmentReader | None) -> Iterator[int]:
    if segment is None:
        return
    count = segment.published()
    for position, raw in enumerate(segment.raw_entries(0, count)):
        if _object(segment, raw, position) is not None:
            yield position


def _object(segment: SegmentReader, raw: bytes, position: int) -> Entry | None:
    """WRITTEN is as good as PUBLISHED for who knows the key: only what was durable has one."""
    entry = segment.entry(raw, position)
    if entry is None or entry.kind not in _OBJECTS or state_of(raw) in (State.FREED, State.DROPPED):
        return None
    if segment.sealed is not None and position >= segment.sealed:
        return None
    return entry


class _Range(io.RawIOBase):
    """Part of a file, as a file of its own, which has no name (readers of DICOM files ask for it)."""

    name = ""

    def __init__(self, descriptor: int, offset: int, length: int) -> None:
        self._descriptor = descriptor
        self._offset = offset
        self._length = length
        self._at = 0

    def readable(self) -> bool:
        return True

    def seekable(self) -> bool:
        return True

    def seek(self, offset: int, whence: int = os.SEEK_SET) -> int:
        origin = {os.SEEK_SET: 0, os.SEEK_CUR: self._at, os.SEEK_END: self._length}[whence]
        if origin + offset < 0:
            raise ValueError("before the beginning")
        self._at = origin + offset
        return self._at

    def readinto(self, buffer: Buffer) -> int:
        with memoryview(buffer).cast("B") as view:
            wanted = max(0, min(len(view), self._length - self._at))
            count = os.preadv(self._descriptor, [view[:wanted]], self._offset + self._at) if wanted else 0
        self._at += count
        return count

    def close(self) -> None:
        if not self.closed:
            os.close(self._descriptor)
        super().close()
