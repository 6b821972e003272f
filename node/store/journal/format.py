"""How a segment is laid out, as pure functions over bytes. All numbers are little-endian.

Block 0: the header (fixed once the segment is taken) and, at byte 512, the seal. Then the index: ``capacity`` entries
of 64 bytes. Then the extents, each a whole number of blocks: ``RECORD_SPACE`` bytes for the record, which says what the
object is and how it came, and behind it the object's bytes.

Everything that is trusted is covered by a CRC32 keyed with the segment's random nonce: bytes that a recycled file held
before, or that somebody sent, never pass for an entry. CRC32 finds accidents (torn and rotten sectors), not attackers;
objects cannot reach the index at all.
"""

from __future__ import annotations

import struct
from dataclasses import dataclass
from enum import IntEnum

from isal.isal_zlib import crc32

BLOCK = 4096
ENTRY_SIZE = 64
RECORD_SPACE = 2048
SEAL_OFFSET = 512
INDEX_OFFSET = BLOCK
STATE_OFFSET = 60  # of the state byte in an entry
MIN_SEGMENT_BYTES = 16 * BLOCK
MAX_WRITER_LENGTH = 64

_MAGIC = b"AINODEJ\x01"
_SEALED = b"SEAL"
_BYTES_PER_ENTRY = 8192  # the smallest extent but one: an index full before its segment is, is rare
_HEADER = struct.Struct("<8sI8sIQd64s")
_SEAL = struct.Struct("<4sI")
_ENTRY = struct.Struct("<IBxHQQII")
_CRC = struct.Struct("<I")
_ENTRY_BODY = 56


class Kind(IntEnum):
    INSTANCE = 1
    ASSOCIATION_ENDED = 2
    RECEIVER_STARTED = 3
    COPY = 4  # an instance that another segment told of before


class State(IntEnum):
    """The byte of an entry that changes; outside its CRC.

    WRITTEN becomes PUBLISHED when the entry is known to be durable. A sealed segment has entries in both: that byte
    itself is not flushed. DROPPED: recovery found its object torn.
    """

    WRITTEN = 0
    PUBLISHED = 1
    FREED = 2
    DROPPED = 3


_KINDS = frozenset(map(int, Kind))
_STATES = frozenset(map(int, State))


@dataclass(frozen=True, slots=True)
class SegmentHeader:
    """``nominal_bytes`` is the size of the file when it was taken; it may have grown. ``created_at``: POSIX seconds."""

    number: int
    nonce: bytes
    capacity: int
    nominal_bytes: int
    created_at: float
    writer: str


@dataclass(frozen=True, slots=True)
class Entry:
    """``data_offset`` counts from the beginning of the segment; the record lies ``RECORD_SPACE`` before it."""

    kind: Kind
    record_length: int
    data_offset: int
    data_length: int
    data_crc: int
    record_crc: int

    @property
    def record_offset(self) -> int:
        return self.data_offset - RECORD_SPACE

    @property
    def end(self) -> int:
        """Where its extent ends."""
        return round_up(self.data_offset + self.data_length)


def round_up(size: int) -> int:
    """To whole blocks."""
    return -(-size // BLOCK) * BLOCK


def capacity_for(segment_bytes: int) -> int:
    """How many entries the index of a segment of this size holds."""
    per_block = BLOCK // ENTRY_SIZE
    return max(per_block, segment_bytes // _BYTES_PER_ENTRY // per_block * per_block)


def data_start(capacity: int) -> int:
    """Where the first extent may begin."""
    return round_up(INDEX_OFFSET + capacity * ENTRY_SIZE)


def entry_offset(position: int) -> int:
    return INDEX_OFFSET + position * ENTRY_SIZE


def pack_header(header: SegmentHeader) -> bytes:
    body = _HEADER.pack(
        _MAGIC,
        header.number,
        header.nonce,
        header.capacity,
        header.nominal_bytes,
        header.created_at,
        header.writer.encode()[:MAX_WRITER_LENGTH],
    )
    return body + _CRC.pack(crc32(body))


def unpack_header(block: bytes) -> SegmentHeader | None:
    """None: this is no header."""
    if len(block) < _HEADER.size + _CRC.size:
        return None
    magic, number, nonce, capacity, nominal, created_at, writer = _HEADER.unpack_from(block)
    if magic != _MAGIC or _CRC.unpack_from(block, _HEADER.size)[0] != crc32(block[: _HEADER.size]):
        return None
    return SegmentHeader(number, nonce, capacity, nominal, created_at, writer.rstrip(b"\0").decode(errors="replace"))


def pack_seal(count: int, nonce: bytes) -> bytes:
    """The segment has ``count`` entries for good."""
    body = _SEAL.pack(_SEALED, count)
    return body + _CRC.pack(crc32(body, crc32(nonce)))


def unpack_seal(block: bytes, nonce: bytes) -> int | None:
    """The count of entries; None: not sealed. ``block`` begins with the segment."""
    body = block[SEAL_OFFSET : SEAL_OFFSET + _SEAL.size]
    if len(block) < SEAL_OFFSET + _SEAL.size + _CRC.size:
        return None
    magic, count = _SEAL.unpack(body)
    if magic != _SEALED or _CRC.unpack_from(block, SEAL_OFFSET + _SEAL.size)[0] != crc32(body, crc32(nonce)):
        return None
    return int(count)


def pack_entry(entry: Entry, position: int, nonce: bytes, state: State = State.WRITTEN) -> bytes:
    body = _ENTRY.pack(
        position,
        entry.kind,
        entry.record_length,
        entry.data_offset,
        entry.data_length,
        entry.data_crc,
        entry.record_crc,
    ).ljust(_ENTRY_BODY, b"\0")
    return body + _CRC.pack(crc32(body, crc32(nonce))) + bytes((state, 0, 0, 0))


def unpack_entry(raw: bytes, position: int, nonce: bytes) -> Entry | None:
    """None: nothing, or something torn, stands at this position."""
    if len(raw) != ENTRY_SIZE:
        return None
    body = raw[:_ENTRY_BODY]
    if _CRC.unpack_from(raw, _ENTRY_BODY)[0] != crc32(body, crc32(nonce)):
        return None
    ordinal, kind, record_length, offset, length, data_crc, record_crc = _ENTRY.unpack_from(body)
    if ordinal != position or kind not in _KINDS:
        return None
    return Entry(Kind(kind), record_length, offset, length, data_crc, record_crc)


def state_of(raw: bytes) -> State:
    """An unknown value, by a rotten bit, is WRITTEN: it is looked at again, not lost."""
    value = raw[STATE_OFFSET]
    return State(value) if value in _STATES else State.WRITTEN
