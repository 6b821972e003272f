"""What every ``InstanceStore`` keeps to."""

from __future__ import annotations

import errno
import os
import random
import threading
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from hashlib import sha256
from pathlib import Path

import pytest

from node.errors import ObjectMissing, StoreUnavailable
from node.ports import InstanceStore
from node.store.files import FileStore
from node.store.journal import JournalStore
from node.store.journal.disk import Disk
from tests.unit.store.journal.arrivals import arrival, journal


class RefusingDisk(Disk):
    """``error``: what the next flushes fail with."""

    def __init__(self) -> None:
        self.error: int | None = None

    def flush(self, descriptor: int) -> None:
        self.flush_or_refuse(descriptor, super().flush)

    def flush_or_refuse(self, descriptor: int, flush: Callable[[int], None]) -> None:
        if self.error is not None:
            raise OSError(self.error, os.strerror(self.error))
        flush(descriptor)


@dataclass
class Site:
    """Opens the same store again and again, as other processes would."""

    kind: str
    root: Path
    disk: RefusingDisk = field(default_factory=RefusingDisk)
    opened: list[FileStore | JournalStore] = field(default_factory=list)

    def open(self) -> InstanceStore:
        store: FileStore | JournalStore
        if self.kind == "files":
            store = FileStore(self.root, lambda descriptor: self.disk.flush_or_refuse(descriptor, os.fsync))
        else:
            store = journal(self.root, self.disk)
        self.opened.append(store)
        return store

    def close(self) -> None:
        for store in self.opened:
            store.close()


@pytest.fixture(params=["files", "journal"])
def site(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Site]:
    site = Site(request.param, tmp_path / "store")
    yield site
    site.close()


@pytest.fixture
def store(site: Site) -> InstanceStore:
    return site.open()


def put(store: InstanceStore, content: bytes, number: int = 1, hint: int = 0, piece: int = 1 << 16) -> str:
    draft = store.begin(hint)
    try:
        for at in range(0, len(content), piece):
            draft.write([content[at : at + piece]])
        stored = draft.commit(arrival(number))
        assert stored.size == len(content)
        return stored.key
    finally:
        draft.discard()


def content(store: InstanceStore, key: str) -> bytes:
    with store.open(key) as file:
        return file.read()


def some(size: int, seed: int = 0) -> bytes:
    return random.Random(seed).randbytes(size)


SIZES = [0, 1, 131, 2047, 2048, 2049, 4095, 4096, 4097, 6144, 65536, 300_001]


@pytest.mark.parametrize("size", SIZES)
def test_what_was_committed_is_read_back(store: InstanceStore, site: Site, size: int) -> None:
    written = some(size)
    key = put(store, written)
    for each in (store, site.open()):
        assert content(each, key) == written
        place = each.locate(key)
        with Path(place.path).open("rb") as file:
            file.seek(place.offset)
            assert place.length == size
            assert file.read(place.length) == written


@pytest.mark.parametrize("hint", [0, 10, 4096, 100_000, 3_000_000])
@pytest.mark.parametrize("piece", [1, 1000, 4096, 5000, 65536])
def test_any_hint_and_any_pieces(store: InstanceStore, hint: int, piece: int) -> None:
    written = some(20_000 if piece == 1 else 150_000)
    assert content(store, put(store, written, hint=hint, piece=piece)) == written


def test_parts_of_one_write_are_joined_and_may_be_reused(store: InstanceStore) -> None:
    buffer = bytearray(some(10_000))
    draft = store.begin(0)
    draft.write([memoryview(buffer)[:100], b"", memoryview(buffer)[100:9000], bytes(buffer[9000:])])
    expected = bytes(buffer)
    buffer[:] = bytes(len(buffer))
    draft.write([b"end"])
    assert draft.size == 10_003
    key = draft.commit(arrival()).key
    assert content(store, key) == expected + b"end"


def test_more_parts_than_the_system_takes_at_once(store: InstanceStore) -> None:
    parts = [bytes((number % 256,)) * 7 for number in range(3000)]
    draft = store.begin(0)
    draft.write(parts)
    assert content(store, draft.commit(arrival()).key) == b"".join(parts)


def test_a_view_shows_what_was_written_and_writing_goes_on(store: InstanceStore) -> None:
    first, second = some(5000, 1), some(5000, 2)
    draft = store.begin(0)
    with draft.view() as view:
        assert view.start == view.end
    draft.write([first])
    with draft.view() as view:
        assert view.buffer[view.start : view.end] == first
    draft.write([second])
    with draft.view() as view:
        assert view.buffer[view.start : view.end] == first + second
    assert content(store, draft.commit(arrival()).key) == first + second


def test_the_digest_where_there_is_one_is_over_the_data_set(store: InstanceStore) -> None:
    written = some(1000)
    draft = store.begin(0)
    draft.write([written])
    stored = draft.commit(arrival())
    assert stored.sha256 in ("", sha256(written[arrival().data_set_offset :]).hexdigest())


def test_a_discarded_draft_leaves_nothing(store: InstanceStore, site: Site) -> None:
    draft = store.begin(0)
    draft.write([some(100_000)])
    draft.discard()
    draft.discard()
    assert list(site.open().keys()) == []


def test_discard_after_commit_does_nothing(store: InstanceStore) -> None:
    key = put(store, b"kept")
    assert content(store, key) == b"kept"
    assert list(store.keys()) == [key]


def test_keys_names_every_object_and_nothing_under_way(store: InstanceStore, site: Site) -> None:
    assert list(store.keys()) == []
    under_way = store.begin(0)
    under_way.write([b"half"])
    keys = {put(store, some(100, number), number) for number in range(20)}
    assert len(keys) == 20
    assert set(site.open().keys()) == keys
    under_way.discard()


def test_delete_removes_and_is_quiet_about_what_is_absent(store: InstanceStore, site: Site) -> None:
    first, second = put(store, b"1", 1), put(store, b"2", 2)
    other = site.open()
    other.delete(first)
    other.delete(first)
    for each in (store, other):
        assert list(each.keys()) == [second]
        for ask in (each.locate, each.open):
            with pytest.raises(ObjectMissing):
                ask(first)
        assert content(each, second) == b"2"


@pytest.mark.parametrize(
    "key", ["../outside", "/etc/passwd", "", "a/../../b", "00000001/", "00000001/000000", "ffffffff/ffffff", "a\0b"]
)
def test_what_is_absent_is_object_missing(store: InstanceStore, key: str) -> None:
    for ask in (store.locate, store.open):
        with pytest.raises(ObjectMissing):
            ask(key)
    store.delete(key)
    assert list(store.keys()) == []


def test_an_open_object_is_read_in_any_order(store: InstanceStore) -> None:
    written = some(70_000)
    put(store, b"before", 1)
    key = put(store, written, 2)
    put(store, b"behind", 3)
    with store.open(key) as file:
        file.seek(-10, os.SEEK_END)
        assert file.read() == written[-10:]
        assert file.read(1) == b""
        file.seek(65_000)
        assert file.read(100) == written[65_000:65_100]
        assert file.tell() == 65_100


def test_a_big_object(store: InstanceStore) -> None:
    written = some(5_000_000)
    assert content(store, put(store, written)) == written
    assert content(store, put(store, written[1:], 2, hint=len(written) - 1)) == written[1:]


def test_drafts_of_many_threads_are_kept_apart(store: InstanceStore) -> None:
    """Each writes small and large ones, without hints, in pieces: they grow in each other's way."""
    keys: dict[int, str] = {}

    def send(sender: int) -> None:
        for index in range(8):
            number = sender * 100 + index
            keys[number] = put(store, some(3000 * (1 + number % 7) ** 2, number), number, piece=7000)

    threads = [threading.Thread(target=send, args=(sender,)) for sender in range(6)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(set(keys.values())) == 48
    for number, key in keys.items():
        assert content(store, key) == some(3000 * (1 + number % 7) ** 2, number)


def test_everything_is_there_after_a_restart(site: Site) -> None:
    first = site.open()
    keys = [put(first, some(10_000, number), number) for number in range(5)]
    site.close()
    second = site.open()
    keys += [put(second, some(10_000, number), number) for number in range(5, 10)]
    assert len(set(keys)) == 10
    for number, key in enumerate(keys):
        assert content(second, key) == some(10_000, number)


@pytest.mark.parametrize(("number", "words"), [(errno.ENOSPC, "full"), (errno.EIO, "cannot|fail")])
def test_what_could_not_be_made_durable_is_not_there_and_the_next_one_is(
    store: InstanceStore, site: Site, number: int, words: str
) -> None:
    kept = put(store, b"kept", 1)
    draft = store.begin(0)
    draft.write([b"lost"])
    site.disk.error = number
    with pytest.raises(StoreUnavailable, match=words):
        draft.commit(arrival(2))
    draft.discard()
    site.disk.error = None
    after = put(store, b"after", 3)
    assert set(site.open().keys()) == {kept, after}
    assert content(store, kept) == b"kept"
    assert content(store, after) == b"after"
