"""How the segments of a writer follow each other, and how objects grow in them."""

from __future__ import annotations

import threading
from pathlib import Path

import pytest
import structlog.testing

from node.errors import ObjectMissing, StoreError, StoreUnavailable
from node.store.journal import JournalStore
from node.store.journal.disk import Disk
from node.store.journal.folder import Folder
from node.store.journal.format import BLOCK, INDEX_OFFSET
from tests.unit.store.journal.arrivals import arrival, content_of, journal, store
from tests.unit.store.journal.faulty import FaultyDisk
from tests.waiting import wait_for

SEGMENT = 1 << 17


def segment_file(root: Path, number: int) -> Path:
    return root / "segments" / f"{number:08x}.seg"


def numbers_of(keys: list[str]) -> list[int]:
    return [int(key[:8], 16) for key in keys]


def test_a_process_that_only_reads_takes_no_segment(tmp_path: Path) -> None:
    where = journal(tmp_path)
    assert (list(where.keys()), list(where.segments()), where.recover()) == ([], [], 0)
    with pytest.raises(ObjectMissing):
        where.locate("00000001/000000")
    where.delete("00000001/000000")
    where.close()
    assert not (tmp_path / "segments").exists()


def test_keys_are_segment_and_position(tmp_path: Path) -> None:
    where = journal(tmp_path)
    assert [store(where, b"x") for _ in range(3)] == ["00000001/000000", "00000001/000001", "00000001/000002"]
    where.association_ended("a1", "released")
    assert store(where, b"x") == "00000001/000004"
    where.close()


def test_a_full_segment_is_sealed_and_the_next_one_taken(tmp_path: Path) -> None:
    where = journal(tmp_path, segment_bytes=SEGMENT)
    keys = [store(where, bytes(30_000), number) for number in range(9)]
    assert numbers_of(keys) == [1, 1, 1, 2, 2, 2, 3, 3, 3]
    sealed = [facts.sealed for number in (1, 2, 3) if (facts := where.facts(number))]
    assert sealed == [True, True, False]
    where.close()


def test_a_full_index_ends_a_segment_too(tmp_path: Path) -> None:
    where = journal(tmp_path, segment_bytes=1 << 19)
    keys = [store(where, b"", number) for number in range(70)]
    assert numbers_of(keys) == [1] * 64 + [2] * 6
    where.close()


def test_a_segment_is_sealed_when_the_last_of_its_drafts_ends(tmp_path: Path) -> None:
    where = journal(tmp_path, segment_bytes=SEGMENT)
    slow = where.begin(30_000)
    keys = [store(where, bytes(30_000), number) for number in range(6)]
    assert numbers_of(keys) == [1, 1, 2, 2, 2, 3]
    facts = where.facts(1)
    assert facts is not None
    assert not facts.sealed
    slow.write([b"slow"])
    key = slow.commit(arrival(9)).key
    assert numbers_of([key]) == [1]
    facts = where.facts(1)
    assert facts is not None
    assert facts.sealed
    assert content_of(where, key) == b"slow"


def test_what_is_noted_last_lies_behind_all_that_was_sent(tmp_path: Path) -> None:
    """Also where the last object, a large one, went to another segment."""
    where = journal(tmp_path, segment_bytes=SEGMENT)
    blocking = where.begin(0)
    other = where.begin(0)
    other.write([bytes(3 * SEGMENT)])
    key = other.commit(arrival()).key
    where.association_ended("a1", "released")
    places = [
        (entry.segment, entry.position) for segment in where.segments() for entry in where.entries(segment, 0, 100)
    ]
    assert places == sorted(places)
    assert places[0] == (int(key[:8], 16), int(key[9:], 16))
    assert len(places) == 2
    blocking.discard()


def test_close_leaves_a_draft_that_is_under_way_its_segment(tmp_path: Path) -> None:
    where = journal(tmp_path)
    draft = where.begin(0)
    draft.write([b"under way"])
    where.close()
    key = draft.commit(arrival()).key
    facts = where.facts(1)
    assert facts is not None
    assert facts.sealed
    assert content_of(where, key) == b"under way"


def test_closing_gives_unused_room_back(tmp_path: Path) -> None:
    where = journal(tmp_path)
    key = store(where, bytes(10_000))
    assert segment_file(tmp_path, 1).stat().st_size == 1 << 20
    where.close()
    where.close()
    assert segment_file(tmp_path, 1).stat().st_size < 1 << 16
    assert content_of(where, key) == bytes(10_000)


def test_numbers_are_never_used_twice(tmp_path: Path) -> None:
    for number in range(1, 6):
        where = journal(tmp_path)
        key = store(where, b"x")
        assert numbers_of([key]) == [number]
        where.close()
        where.delete(key)
        where.recycle(number)
        assert not segment_file(tmp_path, number).exists()


def test_numbers_go_on_behind_what_exists_where_the_counter_is_damaged(tmp_path: Path) -> None:
    where = journal(tmp_path, segment_bytes=SEGMENT)
    keys = [store(where, bytes(30_000), number) for number in range(15)]
    fill = store(where, bytes(20_000))
    where.close()
    assert numbers_of([keys[-1], fill]) == [5, 5]
    for key in (*keys[-3:], fill):
        where.delete(key)
    where.recycle(5)  # a free file now, which remembers its number
    assert spares(tmp_path)
    (tmp_path / "lock").write_bytes(b"garbage")
    assert numbers_of([store(journal(tmp_path, segment_bytes=SEGMENT), b"x")]) == [6]


# --- growth


def test_an_object_alone_grows_in_place(tmp_path: Path) -> None:
    where = journal(tmp_path, segment_bytes=SEGMENT)
    draft = where.begin(0)
    start = draft._place.start  # type: ignore[union-attr]
    for _ in range(100):
        draft.write([bytes(10_000)])
    place = draft._place
    assert place is not None
    assert place.start == start
    key = draft.commit(arrival()).key
    assert content_of(where, key) == bytes(1_000_000)
    where.close()


def test_objects_in_each_others_way_move_few_times(tmp_path: Path) -> None:
    disk = FaultyDisk()
    where = journal(tmp_path, disk, 1 << 20)
    drafts = [where.begin(100) for _ in range(4)]
    parts = {draft: bytes((number,)) * 5000 for number, draft in enumerate(drafts)}
    moves = 0
    for _ in range(200):
        for draft in drafts:
            before = draft._place
            draft.write([parts[draft]])
            moves += draft._place is not before
    assert moves <= 4 * 8
    for draft in drafts:
        key = draft.commit(arrival()).key
        assert content_of(where, key) == parts[draft] * 200
    where.close()


def test_a_large_object_costs_no_memory_of_its_size(tmp_path: Path) -> None:
    where = journal(tmp_path, segment_bytes=1 << 20)
    piece = bytes(range(256)) * 4096
    draft = where.begin(0)
    for _ in range(64):
        draft.write([memoryview(piece)])
    with draft.view() as view:
        assert view.end - view.start == 64 << 20
        assert view.buffer[view.end - 1] == 255
    key = draft.commit(arrival()).key
    with where.open(key) as file:
        for _ in range(64):
            assert file.read(1 << 20) == piece
    where.close()
    assert segment_file(tmp_path, 1).stat().st_size < 66 << 20


def test_room_that_is_not_used_goes_to_the_next(tmp_path: Path) -> None:
    where = journal(tmp_path, segment_bytes=SEGMENT)
    for number in range(20):
        draft = where.begin(80_000)
        draft.write([b"small"])
        key = draft.commit(arrival(number)).key if number % 2 else None
        draft.discard()
        assert key is None or numbers_of([key]) == [1]
    where.close()


# --- hostile and stale bytes


def test_an_object_that_looks_like_a_segment_is_only_an_object(tmp_path: Path) -> None:
    where = journal(tmp_path)
    store(where, b"first")
    whole = segment_file(tmp_path, 1).read_bytes()
    key = store(where, whole)
    before = list(where.keys())
    assert content_of(where, key) == whole
    where.close()
    assert list(where.keys()) == before


def test_what_a_recycled_file_held_is_not_seen_again(tmp_path: Path) -> None:
    """Also where the wiped index never reached the disk: the nonce of the new segment tells its entries apart."""
    where = journal(tmp_path, segment_bytes=SEGMENT)
    keys = [store(where, bytes(11_000), number) for number in range(7)]
    where.close()
    old = segment_file(tmp_path, 1).read_bytes()
    assert len(old) == SEGMENT
    for key in keys:
        where.delete(key)
    where.recycle(1)
    assert [path.name.endswith(".seg") for path in (tmp_path / "free").iterdir()] == [True]
    again = journal(tmp_path, segment_bytes=SEGMENT)
    fresh = store(again, b"fresh")
    assert fresh == "00000002/000000"
    assert list((tmp_path / "free").iterdir()) == []
    with segment_file(tmp_path, 2).open("r+b") as file:
        file.seek(INDEX_OFFSET + 64)
        file.write(old[INDEX_OFFSET + 64 : INDEX_OFFSET + BLOCK])
    assert list(again.keys()) == [fresh]
    again.segments()
    assert len(again.entries(2, 0, 100)) == 1
    again.close()
    for key in keys:
        with pytest.raises(ObjectMissing):
            where.locate(key)


def test_a_key_of_a_recycled_segment_frees_nothing_in_the_new_one(tmp_path: Path) -> None:
    where = journal(tmp_path, segment_bytes=SEGMENT)
    keys = [store(where, bytes(11_000), number) for number in range(7)]
    where.close()
    for key in keys:
        where.delete(key)
    where.recycle(1)
    assert spares(tmp_path)
    again = journal(tmp_path, segment_bytes=SEGMENT)
    fresh = store(again, b"fresh")
    where.delete(keys[0])
    assert list(again.keys()) == [fresh]
    again.close()


# --- what retention needs


def test_facts_tell_what_a_segment_holds(tmp_path: Path) -> None:
    where = journal(tmp_path)
    keys = [store(where, bytes(1000), number) for number in range(4)]
    where.association_ended("a1", "released")
    where.delete(keys[2])
    facts = where.facts(1)
    assert facts is not None
    assert (facts.number, facts.sealed, facts.entries, facts.live, facts.freed) == (1, False, 5, 3, 1)
    assert (facts.live_bytes, facts.size) == (3000, 1 << 20)
    assert [each.key for each in where.held(1)] == keys
    assert [each.live for each in where.held(1)] == [True, True, False, True]
    assert where.facts(2) is None
    assert list(where.held(2)) == []
    where.close()


def test_a_copy_is_the_same_object_and_no_arrival(tmp_path: Path) -> None:
    where = journal(tmp_path)
    key = store(where, b"survivor" * 1000, 5)
    where.close()
    other = journal(tmp_path)
    copy = other.copy(key)
    assert (copy.key, copy.size) == ("00000002/000000", 8000)
    assert content_of(other, copy.key) == b"survivor" * 1000
    assert [each.copied for each in other.held(2)] == [True]
    other.segments()
    assert [entry.event for entry in other.entries(2, 0, 10)] == [None]
    again = other.copy(copy.key)
    assert content_of(other, again.key) == b"survivor" * 1000
    other.close()


def test_a_damaged_object_is_not_copied(tmp_path: Path) -> None:
    where = journal(tmp_path)
    key = store(where, b"x" * 5000)
    place = where.locate(key)
    with Path(place.path).open("r+b") as file:
        file.seek(place.offset + 4000)
        file.write(b"y")
    with pytest.raises(StoreError, match="damaged"):
        where.copy(key)
    with pytest.raises(ObjectMissing):
        where.copy("00000001/000009")
    with pytest.raises(ObjectMissing):
        where.copy("nothing")
    assert list(where.keys()) == [key]
    where.close()


def test_a_segment_that_is_in_use_is_not_recycled(tmp_path: Path) -> None:
    where = journal(tmp_path)
    key = store(where, b"x")
    with pytest.raises(StoreError, match="in use"):
        where.recycle(1)
    where.delete(key)
    with pytest.raises(StoreError, match="in use"):
        where.recycle(1)
    where.close()
    where.recycle(1)
    where.recycle(1)
    assert list(where.segments()) == []


def test_a_segment_that_grew_is_cut_to_the_size_of_the_others(tmp_path: Path) -> None:
    where = journal(tmp_path, segment_bytes=SEGMENT)
    key = store(where, bytes(5 * SEGMENT))
    where.close()
    where.delete(key)
    where.recycle(1)
    assert [path.stat().st_size for path in (tmp_path / "free").iterdir()] == [SEGMENT]


# --- spares


def spares(root: Path) -> list[Path]:
    return list((root / "free").glob("*.seg"))


def test_spares_are_written_ahead_and_taken(tmp_path: Path) -> None:
    where = journal(tmp_path, segment_bytes=SEGMENT, spares=2)
    store(where, b"x")
    wait_for(lambda: len(spares(tmp_path)) == 2, "two spares")
    wait_for(lambda: (facts := where.facts(1)) is not None and facts.sealed, "the one not written ahead is left")
    assert all(path.read_bytes() == bytes(SEGMENT) for path in spares(tmp_path))
    inodes = {path.stat().st_ino for path in spares(tmp_path)}
    keys = [store(where, bytes(30_000), number) for number in range(6)]
    taken = set(numbers_of(keys))
    assert taken == {2, 3}
    assert {segment_file(tmp_path, number).stat().st_ino for number in taken} <= inodes
    wait_for(lambda: len(spares(tmp_path)) == 2, "two spares again")
    where.close()
    assert list((tmp_path / "free").glob("*.new")) == []


def test_while_objects_come_only_half_of_the_spares_are_made(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    looks: list[int] = []
    quiet = threading.Event()

    def is_busy(_: Folder) -> bool:
        looks.append(len(spares(tmp_path)))
        return not quiet.is_set()

    monkeypatch.setattr(Folder, "is_busy", is_busy)
    monkeypatch.setattr("node.store.journal.spares._LOOK_AGAIN_S", 0.01)
    where = journal(tmp_path, segment_bytes=SEGMENT, spares=4)
    store(where, b"x")
    wait_for(lambda: looks.count(2) > 5, "two are enough for now")
    assert max(looks) == 2
    quiet.set()
    wait_for(lambda: len(spares(tmp_path)) == 4, "all four")
    where.close()


def test_no_spares_without_room_and_none_by_a_reader(tmp_path: Path) -> None:
    where = journal(tmp_path, segment_bytes=SEGMENT, spares=2, max_bytes=2 * SEGMENT)
    store(where, b"x")
    wait_for(lambda: len(spares(tmp_path)) == 1, "one spare")
    where.close()
    reader = journal(tmp_path / "other", segment_bytes=SEGMENT, spares=2)
    reader.recover()
    reader.close()
    assert not (tmp_path / "other" / "free").exists()


def test_leftovers_and_files_of_another_size_are_swept(tmp_path: Path) -> None:
    free = tmp_path / "free"
    free.mkdir()
    (free / "dead.new").write_bytes(b"half")
    (free / "other.seg").write_bytes(bytes(SEGMENT // 2))
    where = journal(tmp_path, segment_bytes=SEGMENT, spares=1)
    store(where, b"x")
    wait_for(lambda: len(spares(tmp_path)) == 1 and not (free / "dead.new").exists(), "swept")
    wait_for(lambda: not (free / "other.seg").exists(), "the other size is gone")
    where.close()


def test_a_disk_that_fails_while_spares_are_made_is_said_and_harms_nobody(tmp_path: Path) -> None:
    class NoSpares(Disk):
        def open_uncached(self, path: Path) -> int:
            raise OSError(5, "bad")

    where = journal(tmp_path, NoSpares(), SEGMENT, spares=1)
    with structlog.testing.capture_logs() as logs:
        key = store(where, b"x")
        wait_for(lambda: [line for line in logs if line["event"] == "journal.no_spare"], "it is said")
    where.close()
    assert content_of(where, key) == b"x"
    assert list((tmp_path / "free").iterdir()) == []


def test_two_processes_take_different_segments(tmp_path: Path) -> None:
    journals = [journal(tmp_path, segment_bytes=SEGMENT, spares=2) for _ in range(3)]
    keys: list[str] = []

    def send(where: JournalStore) -> None:
        keys.extend(store(where, bytes(20_000), number) for number in range(20))

    threads = [threading.Thread(target=send, args=(where,)) for where in journals]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(set(keys)) == 60
    for where in journals:
        where.close()
    assert set(journal(tmp_path).keys()) == set(keys)


def test_a_draft_that_has_ended_can_do_nothing(tmp_path: Path) -> None:
    where = journal(tmp_path)
    draft = where.begin(0)
    draft.discard()
    with pytest.raises(StoreUnavailable):
        draft.write([b"x"])
    with pytest.raises(StoreUnavailable):
        draft.commit(arrival())
    where.close()
