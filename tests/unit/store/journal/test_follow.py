from __future__ import annotations

import errno
import threading
import uuid
from collections import Counter
from collections.abc import Iterator
from contextlib import AbstractContextManager
from pathlib import Path

import pytest
import structlog.testing

from node.domain.study import ByteRange
from node.errors import StoreUnavailable
from node.ports import AssociationEnded, InstanceArrived, JournalEntry, ReceiverStarted, StoredObject
from node.store.journal import JournalStore, follow
from node.store.journal.reader import SegmentReader
from tests.unit.store.journal.arrivals import AT, arrival, journal, store
from tests.waiting import wait_for


def all_entries(where: JournalStore) -> list[JournalEntry]:
    return [entry for segment in where.segments() for entry in where.entries(segment, 0, 100_000)]


@pytest.mark.usefixtures("identities")
def test_a_journal_has_one_identity(tmp_path: Path) -> None:
    first, second = journal(tmp_path), journal(tmp_path)
    assert str(uuid.UUID(first.id)) == first.id == second.id
    assert journal(tmp_path / "other").id != first.id


def test_a_damaged_identity_is_no_new_one(tmp_path: Path) -> None:
    journal(tmp_path).id  # noqa: B018
    (tmp_path / "id").write_text("?")
    with pytest.raises(StoreUnavailable, match="identity"):
        journal(tmp_path).id  # noqa: B018


def test_everything_is_told_in_order_and_as_it_was(tmp_path: Path) -> None:
    writer, follower = journal(tmp_path), journal(tmp_path)
    writer.receiver_started("receive-0")
    key = store(writer, b"content", 4, "a9")
    writer.association_ended("a9", "aborted")
    place = writer.locate(key)
    assert all_entries(follower) == [
        JournalEntry(1, 0, ReceiverStarted("receive-0", AT)),
        JournalEntry(
            1,
            1,
            InstanceArrived(arrival(4, "a9"), StoredObject(key, 7), ByteRange(place.path, place.offset, place.length)),
        ),
        JournalEntry(1, 2, AssociationEnded("a9", "aborted", AT)),
    ]
    writer.close()
    assert len(all_entries(follower)) == 3


def test_entries_are_given_in_portions(tmp_path: Path) -> None:
    where = journal(tmp_path)
    for number in range(10):
        store(where, b"x", number)
    where.segments()
    assert [entry.position for entry in where.entries(1, 0, 4)] == [0, 1, 2, 3]
    assert [entry.position for entry in where.entries(1, 8, 4)] == [8, 9]
    assert list(where.entries(1, 10, 4)) == []
    assert list(where.entries(1, 999, 4)) == []
    assert list(where.entries(2, 0, 4)) == []
    where.close()


def test_what_came_since_the_last_look_is_not_shown_before_the_next(tmp_path: Path) -> None:
    where = journal(tmp_path)
    store(where, b"x", 1)
    where.segments()
    store(where, b"x", 2)
    assert len(where.entries(1, 0, 10)) == 1
    where.segments()
    assert len(where.entries(1, 0, 10)) == 2
    where.close()


def test_an_object_that_was_deleted_arrived_all_the_same(tmp_path: Path) -> None:
    where = journal(tmp_path)
    where.delete(store(where, b"x"))
    assert isinstance(all_entries(where)[0].event, InstanceArrived)
    where.close()


def test_the_end_of_an_association_is_never_seen_before_its_instances(tmp_path: Path) -> None:
    """Writers cross from segment to segment while the follower reads."""
    writer, follower = journal(tmp_path, segment_bytes=1 << 16), journal(tmp_path)
    senders = [threading.Thread(target=send_associations, args=(writer, sender)) for sender in range(3)]
    for thread in senders:
        thread.start()
    seen: dict[int, int] = {}
    instances: Counter[str] = Counter()
    ended: dict[str, int] = {}
    last = False
    while not last:
        last = not any(thread.is_alive() for thread in senders)
        for event in new_events(follower, seen):
            if isinstance(event, InstanceArrived):
                instances[event.arrival.association.id] += 1
            elif isinstance(event, AssociationEnded):
                ended[event.association_id] = instances[event.association_id]
    assert len(ended) == 90
    assert set(ended.values()) == {3}
    writer.close()


def send_associations(writer: JournalStore, sender: int) -> None:
    for index in range(30):
        association = f"{sender}-{index}"
        for number in range(3):
            store(writer, bytes(100 + 3000 * (index % 4)), number, association)
        writer.association_ended(association, "released")


def new_events(follower: JournalStore, seen: dict[int, int]) -> Iterator[object]:
    for segment in follower.segments():
        for entry in follower.entries(segment, seen.get(segment, 0), 10_000):
            assert entry.position == seen.get(segment, 0)
            seen[segment] = entry.position + 1
            yield entry.event


def test_a_commit_wakes_who_waits(tmp_path: Path) -> None:
    writer, follower = journal(tmp_path), journal(tmp_path)
    follower.wait(0.0)
    woken = threading.Event()

    def wait() -> None:
        follower.wait(60.0)
        woken.set()

    thread = threading.Thread(target=wait)
    thread.start()
    assert not woken.is_set()
    store(writer, b"x")
    wait_for(woken.is_set, "the follower wakes", timeout_s=30.0)
    thread.join()
    writer.close()
    follower.close()


def test_a_commit_before_the_wait_is_not_missed_and_calls_nobody_hears_block_nobody(tmp_path: Path) -> None:
    writer, follower = journal(tmp_path), journal(tmp_path)
    for _ in range(1000):
        writer._wake.call()
    follower.wait(0.0)  # from here on it is called
    for _ in range(1000):
        writer._wake.call()
    store(writer, b"x")
    waited = threading.Thread(target=follower.wait, args=(600.0,))
    waited.start()
    waited.join(30)
    assert not waited.is_alive()
    writer.close()
    follower.close()


def test_a_segment_that_cannot_be_read_holds_up_no_other(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    where = journal(tmp_path)
    store(where, b"x", 1)
    where.close()
    store(where, b"x", 2)
    real = follow.segment_at

    def refuse(path: Path, number: int) -> AbstractContextManager[SegmentReader | None]:
        if number == 1:
            raise OSError(errno.EIO, "bad")
        return real(path, number)

    monkeypatch.setattr(follow, "segment_at", refuse)
    with structlog.testing.capture_logs() as logs:
        assert [dict(where.segments()) for _ in range(3)] == [{1: 0, 2: 1}] * 3
    assert [(line["event"], line["segment"]) for line in logs] == [("journal.unreadable_segment", 1)]
    assert len(where.entries(2, 0, 10)) == 1
    monkeypatch.undo()
    assert dict(where.segments()) == {1: 1, 2: 1}
    where.close()
