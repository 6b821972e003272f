"""ENOSPC and EIO in each single call: only who was in it fails, and nothing half done is ever seen."""

from __future__ import annotations

import errno
from pathlib import Path

import pytest

from node.errors import StoreUnavailable
from node.store.journal import JournalStore
from tests.unit.store.journal.arrivals import arrival, content_of, journal, store
from tests.unit.store.journal.faulty import FaultyDisk

SEGMENT = 1 << 17
CALLS = 24


def objects(where: JournalStore) -> set[bytes]:
    return {content_of(where, key) for key in list(where.keys())}


@pytest.mark.parametrize("number", [errno.ENOSPC, errno.EIO])
@pytest.mark.parametrize("times", [1, 1000])
@pytest.mark.parametrize("fail_at", range(CALLS))
def test_a_call_fails(tmp_path: Path, fail_at: int, times: int, number: int) -> None:
    """The life of three objects that fill more than one segment, from the first folder to the seal."""
    disk = FaultyDisk()
    where = journal(tmp_path, disk, SEGMENT)
    acknowledged: set[bytes] = set()
    refused: dict[bytes, StoreUnavailable] = {}
    disk.arm(fail_at, number, times)
    for index in range(3):
        content = bytes((index,)) * (30_000 + index)
        try:
            key = store(where, content, index)
            acknowledged.add(content)
            assert content_of(where, key) == content
        except StoreUnavailable as error:
            refused[content] = error
    assert {error.details["errno"] for error in refused.values()} <= {number}
    assert all(("full" in error.message) is (number == errno.ENOSPC) for error in refused.values())
    assert times > 1 or len(refused) <= 1
    disk.arm(-1)
    assert objects(where) == acknowledged
    store(where, b"afterwards", 9)
    where.close()
    after = journal(tmp_path)
    after.recover()
    assert acknowledged | {b"afterwards"} <= objects(after)
    # What the disk did not even let us wipe out is whole or dropped, and was never acknowledged.
    assert times > 1 or objects(after) == acknowledged | {b"afterwards"}
    assert objects(after) <= acknowledged | {b"afterwards"} | refused.keys()


def test_every_kind_of_call_was_among_them(tmp_path: Path) -> None:
    disk = FaultyDisk()
    where = journal(tmp_path, disk, SEGMENT)
    for index in range(4):
        store(where, bytes(30_000), index)
    where.close()
    assert len(disk.calls) >= CALLS
    assert set(disk.calls[:CALLS]) >= {"open", "write", "flush", "allocate", "rename", "flush folder"}


def test_writes_that_take_less_than_they_were_given(tmp_path: Path) -> None:
    disk = FaultyDisk()
    disk.short = 1000
    where = journal(tmp_path, disk, SEGMENT)
    content = bytes(range(256)) * 100
    draft = where.begin(0)
    draft.write([content[:3000], content[3000:9000]])
    draft.write([content[9000:]])
    assert content_of(where, draft.commit(arrival()).key) == content


@pytest.mark.parametrize(("size", "flush"), [(5_000, 2), (10_000, 3)])
def test_nothing_is_written_to_a_segment_after_a_failed_flush(tmp_path: Path, size: int, flush: int) -> None:
    """A later flush of the same file may succeed without the pages that the failed one lost."""
    disk = FaultyDisk()
    where = journal(tmp_path, disk)
    first = store(where, b"first", 1)
    under_way = where.begin(0)
    under_way.write([bytes(10_000)])
    failing = where.begin(0)
    failing.write([bytes(size)])
    disk.arm(flush)  # object with its record, or tail and record; entry, flush
    with pytest.raises(StoreUnavailable):
        failing.commit(arrival(2))
    assert disk.calls[flush] == "flush"
    with pytest.raises(StoreUnavailable):
        under_way.write([bytes(100_000)])
    under_way.discard()
    with pytest.raises(StoreUnavailable):
        under_way.commit(arrival(3))
    second = store(where, b"second", 4)
    assert second[:8] > first[:8]
    assert set(where.keys()) == {first, second}


@pytest.mark.parametrize(("size", "flush"), [(5_000, 2), (10_000, 3)])
def test_who_was_under_way_in_it_cannot_commit_either(tmp_path: Path, size: int, flush: int) -> None:
    disk = FaultyDisk()
    where = journal(tmp_path, disk)
    under_way = where.begin(0)
    under_way.write([bytes(size)])
    failing = where.begin(0)
    failing.write([bytes(size)])
    disk.arm(flush)  # object with its record, or tail and record; entry, flush
    with pytest.raises(StoreUnavailable):
        failing.commit(arrival(1))
    assert disk.calls[flush] == "flush"
    with pytest.raises(StoreUnavailable):
        under_way.commit(arrival(2))
    assert list(where.keys()) == []
    assert list(journal(tmp_path).keys()) == []


def test_a_note_that_is_not_durable_is_refused(tmp_path: Path) -> None:
    disk = FaultyDisk()
    where = journal(tmp_path, disk)
    store(where, b"x")
    disk.arm(0, errno.EIO, 1000)
    with pytest.raises(StoreUnavailable):
        where.association_ended("a1", "released")
    disk.arm(-1)
    where.association_ended("a1", "released")
    where.close()


@pytest.mark.parametrize("limit", ["disk", "journal"])
def test_no_room_is_said_before_a_byte_is_written(tmp_path: Path, limit: str) -> None:
    free = SEGMENT - 1 if limit == "disk" else 1 << 40
    most = SEGMENT - 1 if limit == "journal" else 0
    where = journal(tmp_path, segment_bytes=SEGMENT, free_bytes=free, max_bytes=most)
    with pytest.raises(StoreUnavailable, match="the disk is full"):
        where.begin(0)
    assert list((tmp_path / "segments").iterdir()) == list((tmp_path / "free").iterdir()) == []


def test_a_full_journal_takes_what_fits_its_segments_and_recovers_with_room(tmp_path: Path) -> None:
    where = journal(tmp_path, segment_bytes=SEGMENT, max_bytes=2 * SEGMENT)
    keys: list[str] = []

    def fill() -> None:
        while True:
            keys.append(store(where, bytes(20_000), len(keys)))

    with pytest.raises(StoreUnavailable, match="the disk is full"):
        fill()
    assert len(keys) >= 8
    for key in keys[:5]:
        where.delete(key)
    where.recycle(1)
    keys.append(store(where, b"again", 100))
    assert set(where.keys()) == set(keys[5:])


def test_a_large_object_asks_for_its_room_too(tmp_path: Path) -> None:
    where = journal(tmp_path, segment_bytes=SEGMENT, max_bytes=3 * SEGMENT)
    with pytest.raises(StoreUnavailable, match="the disk is full"):
        where.begin(3 * SEGMENT)
    draft = where.begin(0)
    with pytest.raises(StoreUnavailable, match="the disk is full"):
        draft.write([bytes(10_000)] * 100)
    draft.discard()
    assert content_of(where, store(where, b"small")) == b"small"
