from __future__ import annotations

import random

import pytest

from node.store.journal.format import (
    BLOCK,
    ENTRY_SIZE,
    SEAL_OFFSET,
    STATE_OFFSET,
    Entry,
    Kind,
    SegmentHeader,
    State,
    capacity_for,
    data_start,
    entry_offset,
    pack_entry,
    pack_header,
    pack_seal,
    round_up,
    state_of,
    unpack_entry,
    unpack_header,
    unpack_seal,
)

NONCE = b"12345678"
HEADER = SegmentHeader(0xABCDEF, NONCE, 64, 1 << 20, 1700000000.25, "receive-0")
ENTRY = Entry(Kind.INSTANCE, 700, (1 << 33) + 2048, (1 << 31) + 5, 0xFFFFFFFF, 1)


def damaged(content: bytes, bit: int) -> bytes:
    changed = bytearray(content)
    changed[bit // 8] ^= 1 << bit % 8
    return bytes(changed)


def test_a_header_is_read_as_it_was_written() -> None:
    assert unpack_header(pack_header(HEADER).ljust(BLOCK, b"\0")) == HEADER


def test_the_name_of_a_writer_is_cut_to_its_room() -> None:
    long = SegmentHeader(1, NONCE, 64, 1, 0.0, "ü" * 100)
    found = unpack_header(pack_header(long))
    assert found is not None
    assert found.writer.startswith("ü" * 32)


def test_a_header_with_any_bit_wrong_is_none() -> None:
    packed = pack_header(HEADER)
    assert len(packed) <= SEAL_OFFSET
    for bit in range(len(packed) * 8):
        assert unpack_header(damaged(packed, bit)) is None


@pytest.mark.parametrize("block", [b"", b"\0" * BLOCK, b"AINODEJ\x01", random.Random(1).randbytes(BLOCK)])
def test_anything_else_is_no_header(block: bytes) -> None:
    assert unpack_header(block) is None


def test_a_seal_is_read_with_its_nonce_alone() -> None:
    block = bytes(SEAL_OFFSET) + pack_seal(17, NONCE)
    assert unpack_seal(block.ljust(BLOCK, b"\0"), NONCE) == 17
    assert unpack_seal(block, b"87654321") is None
    assert unpack_seal(block[:-1], NONCE) is None
    assert unpack_seal(bytes(BLOCK), NONCE) is None
    for bit in range(SEAL_OFFSET * 8, len(block) * 8):
        assert unpack_seal(damaged(block, bit), NONCE) is None


def test_the_seal_lies_in_a_sector_of_its_own() -> None:
    assert SEAL_OFFSET % 512 == 0
    assert len(pack_seal(1, NONCE)) <= 512


@pytest.mark.parametrize("kind", Kind)
def test_an_entry_is_read_at_its_position_with_its_nonce_alone(kind: Kind) -> None:
    entry = Entry(kind, 1, 2 * BLOCK + 2048, 0, 3, 4)
    packed = pack_entry(entry, 9, NONCE)
    assert len(packed) == ENTRY_SIZE
    assert unpack_entry(packed, 9, NONCE) == entry
    assert unpack_entry(packed, 8, NONCE) is None
    assert unpack_entry(packed, 9, b"\0" * 8) is None


def test_an_entry_with_any_bit_wrong_is_none_but_its_state_may_change() -> None:
    packed = pack_entry(ENTRY, 3, NONCE)
    for bit in range(STATE_OFFSET * 8):
        assert unpack_entry(damaged(packed, bit), 3, NONCE) is None
    for state in State:
        changed = pack_entry(ENTRY, 3, NONCE, state)
        assert state_of(changed) is state
        assert unpack_entry(changed, 3, NONCE) == ENTRY
    assert state_of(packed[:STATE_OFFSET] + b"\x77" + packed[STATE_OFFSET + 1 :]) is State.WRITTEN


def test_an_empty_or_short_slot_is_none() -> None:
    assert unpack_entry(bytes(ENTRY_SIZE), 0, NONCE) is None
    assert unpack_entry(b"", 0, NONCE) is None


def test_where_an_extent_begins_and_ends() -> None:
    assert ENTRY.record_offset == 1 << 33
    assert ENTRY.end == (1 << 33) + round_up(2048 + (1 << 31) + 5)
    assert [round_up(size) for size in (0, 1, BLOCK, BLOCK + 1)] == [0, BLOCK, BLOCK, 2 * BLOCK]


@pytest.mark.parametrize("size", [1 << 16, 1 << 20, 128 << 20, 1 << 34])
def test_the_index_leaves_the_segment_to_objects(size: int) -> None:
    capacity = capacity_for(size)
    assert capacity * ENTRY_SIZE % BLOCK == 0
    assert entry_offset(capacity) == data_start(capacity)
    assert data_start(capacity) <= max(2 * BLOCK, size // 64)
