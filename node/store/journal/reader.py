"""A segment as those see it who do not write it. The file may be recycled at any moment: its number says if it was."""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from isal.isal_zlib import crc32

from node.store.journal.format import (
    BLOCK,
    ENTRY_SIZE,
    Entry,
    SegmentHeader,
    State,
    entry_offset,
    state_of,
    unpack_entry,
    unpack_header,
    unpack_seal,
)

_PIECE = 1 << 20


class SegmentReader:
    """``sealed``: the number of entries it has for good; None while its writer, or recovery, has it."""

    def __init__(self, descriptor: int, header: SegmentHeader, sealed: int | None) -> None:
        self.descriptor = descriptor
        self.header = header
        self.sealed = sealed

    def raw_entries(self, first: int, count: int) -> list[bytes]:
        """The 64 bytes of each, as far as there are any."""
        count = min(count, self.header.capacity - first)
        if count <= 0:
            return []
        raw = os.pread(self.descriptor, count * ENTRY_SIZE, entry_offset(first))
        return [raw[at : at + ENTRY_SIZE] for at in range(0, len(raw) // ENTRY_SIZE * ENTRY_SIZE, ENTRY_SIZE)]

    def entry(self, raw: bytes, position: int) -> Entry | None:
        return unpack_entry(raw, position, self.header.nonce)

    def published(self, known: int = 0) -> int:
        """How many entries are durable, ``known`` of them known before."""
        if self.sealed is not None:
            return self.sealed
        while True:
            found = self.raw_entries(known, 256)
            for position, raw in enumerate(found, known):
                if state_of(raw) is State.WRITTEN or self.entry(raw, position) is None:
                    return position
            known += len(found)
            if not found:
                return known

    def record(self, entry: Entry) -> bytes | None:
        """None: it is not what was written."""
        record = os.pread(self.descriptor, entry.record_length, entry.record_offset)
        return record if crc32(record) == entry.record_crc and len(record) == entry.record_length else None

    def pieces(self, entry: Entry) -> Iterator[bytes]:
        """The object's bytes, a mebibyte at a time; they end early where the file does."""
        at, end = entry.data_offset, entry.data_offset + entry.data_length
        while at < end and (piece := os.pread(self.descriptor, min(_PIECE, end - at), at)):
            yield piece
            at += len(piece)

    def is_whole(self, entry: Entry) -> bool:
        """Whether record and data are what was written."""
        if self.record(entry) is None:
            return False
        crc = length = 0
        for piece in self.pieces(entry):
            crc = crc32(piece, crc)
            length += len(piece)
        return length == entry.data_length and crc == entry.data_crc


@contextmanager
def segment_at(path: Path, number: int) -> Iterator[SegmentReader | None]:
    """None: there is no such segment, or no readable one, which recovery names in the log.

    Raises:
        OSError: the disk does not answer.
    """
    try:
        descriptor = os.open(path, os.O_RDONLY)
    except FileNotFoundError:
        yield None
        return
    try:
        yield reader_of(descriptor, number)
    finally:
        os.close(descriptor)


def reader_of(descriptor: int, number: int) -> SegmentReader | None:
    """None: its header is not that of a segment of this number."""
    block = os.pread(descriptor, BLOCK, 0)
    header = unpack_header(block)
    if header is None or header.number != number:
        return None
    return SegmentReader(descriptor, header, unpack_seal(block, header.nonce))
