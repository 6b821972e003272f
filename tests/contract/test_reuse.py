"""Segments used again, over both databases: nothing that a row names is ever gone, whatever dies when."""

from __future__ import annotations

import threading
from collections.abc import Iterator, Sequence
from dataclasses import replace
from datetime import timedelta
from pathlib import Path

import pytest
from sqlalchemy import Engine

from node.errors import ObjectMissing, StoreUnavailable
from node.jobs.queue import SqlJobQueue
from node.store.journal.recycling import SegmentFacts
from node.store.journal.reuse import Fate, fate, spares_to_keep, turn
from node.store.space import Space
from tests.contract.keeping import IDLE_S, Keeping, MovableClock
from tests.contract.rows import new_job
from tests.objects import data_set


@pytest.fixture
def kept(tmp_path: Path, engine: Engine) -> Iterator[Keeping]:
    kept = Keeping(tmp_path, engine)
    yield kept
    kept.close()


class Dies(Exception):
    pass


class DyingRelocation:
    """The process ends before, or after, the row moves."""

    def __init__(self, real: object, after: bool) -> None:
        self.real = real
        self.after = after

    def in_use(self, keys: Sequence[str]) -> bool:
        return False

    def move(self, key: str, new_key: str) -> bool:
        if self.after:
            self.real.move(key, new_key)  # type: ignore[attr-defined]
        raise Dies


def filled(kept: Keeping, count: int = 12, size: int = 32) -> dict[str, bytes]:
    """A sealed and recorded segment; its objects by key."""
    objects = dict(kept.store(number, size) for number in range(count))
    kept.seal()
    kept.catch_up()
    assert len({key.split("/")[0] for key in objects}) == 1
    return objects


def test_an_empty_segment_is_used_again(kept: Keeping) -> None:
    objects = filled(kept)
    kept.remove(*objects)
    (number,) = kept.segments()
    assert kept.reuse().run_once() == {}, "somebody may still read it"
    kept.pass_time()
    assert kept.reuse().run_once() == {"recycled": 1}
    assert kept.segments() == []
    assert kept.record.recorded(kept.journal.id) == {}
    key, content = kept.store(99)
    assert kept.content(key) == content
    assert kept.segments() == [number + 1], "numbers are never used twice"
    with pytest.raises(ObjectMissing):
        kept.content(next(iter(objects)))


def test_a_segment_with_an_instance_or_without_rows_stays(kept: Keeping) -> None:
    objects = filled(kept, 4, size=128)
    for number in range(10, 12):
        kept.store(number)
    kept.seal()
    kept.remove(*list(objects)[:2])
    kept.pass_time()
    assert kept.reuse().run_once() == {}
    assert len(kept.segments()) == 2
    kept.catch_up()
    assert len(kept.keys()) == 4


def test_an_open_segment_stays(kept: Keeping) -> None:
    key, _ = kept.store(1)
    kept.catch_up()
    kept.remove(key)
    kept.pass_time()
    assert kept.reuse().run_once() == {}


def test_survivors_move_and_the_segment_follows(kept: Keeping) -> None:
    objects = filled(kept)
    survivors = dict(list(objects.items())[:2])
    kept.remove(*[key for key in objects if key not in survivors])
    kept.pass_time()
    before = kept.keys()
    reuse = kept.reuse()
    assert reuse.run_once() == {"moved": 2}
    after = kept.keys()
    assert after.keys() == before.keys()
    assert not set(after.values()) & set(objects)
    assert sorted(kept.content(key) for key in after.values()) == sorted(survivors.values())
    assert sorted(kept.content(key) for key in survivors) == sorted(survivors.values()), "who located it still reads it"
    assert kept.free() == 2
    kept.pass_time()
    assert reuse.run_once() == {"recycled": 1}
    assert sorted(kept.content(key) for key in kept.keys().values()) == sorted(survivors.values())
    kept.copies.recover()
    assert kept.found() == []


@pytest.mark.parametrize("after", [False, True])
def test_a_death_between_the_steps_leaves_one_valid_place(kept: Keeping, after: bool) -> None:
    objects = filled(kept)
    survivor, content = next(iter(objects.items()))
    kept.remove(*[key for key in objects if key != survivor])
    kept.pass_time()
    real = kept.relocation
    kept.relocation = DyingRelocation(real, after)
    with pytest.raises(Dies):
        kept.reuse().run_once()
    (key,) = kept.keys().values()
    assert kept.content(key) == content
    assert (key == survivor) is not after
    kept.relocation = real
    kept.free()
    kept.copies.close()  # a restart: what was being written is sealed
    kept.copies = kept.open_journal("timers")
    for _ in range(4):
        kept.pass_time()
        kept.reuse().run_once()
        kept.free()
    kept.copies.close()
    (key,) = kept.keys().values()
    assert kept.content(key) == content
    assert kept.found() == []


def test_what_goes_while_it_is_copied_is_not_brought_back(kept: Keeping) -> None:
    objects = filled(kept)
    survivor = next(iter(objects))
    kept.remove(*[key for key in objects if key != survivor])
    kept.pass_time()
    real = kept.relocation

    class Overtaken:
        def in_use(self, keys: Sequence[str]) -> bool:
            return False

        def move(self, key: str, new_key: str) -> bool:
            kept.remove(key, freed=False)
            return real.move(key, new_key)

    kept.relocation = Overtaken()
    assert kept.reuse().run_once() == {}
    assert kept.keys() == {}
    kept.free()
    assert list(kept.journal.keys()) == []


def test_what_a_job_works_on_stays_where_it_is(kept: Keeping, engine: Engine) -> None:
    """It looked up once where its images lie, and reads them again when it writes its result."""
    objects = filled(kept)
    survivor = next(iter(objects))
    kept.remove(*[key for key in objects if key != survivor])
    kept.pass_time()
    queue = SqlJobQueue(engine, kept.clock)
    queue.enqueue(new_job("a", study_instance_uid=str(data_set().StudyInstanceUID)))
    job = queue.claim("w1", 6.0)
    assert job is not None
    assert kept.reuse().run_once() == {}
    assert not kept.relocation.move(survivor, "00000009/000000"), "also where it was claimed a moment ago"
    assert list(kept.keys().values()) == [survivor]
    assert queue.hand_back(job)
    assert kept.reuse().run_once() == {"moved": 1}


def test_a_damaged_survivor_is_left_where_it_is(kept: Keeping) -> None:
    objects = filled(kept)
    survivor = next(iter(objects))
    kept.remove(*[key for key in objects if key != survivor])
    place = kept.journal.locate(survivor)
    with Path(place.path).open("r+b") as file:
        file.seek(place.offset + place.length // 2)
        file.write(b"rotten")
    kept.pass_time()
    assert kept.reuse().run_once() == {}
    assert kept.keys() == dict.fromkeys(kept.keys(), survivor)
    assert kept.found() == [("DAMAGED", survivor)]


def test_positions_of_segments_that_are_gone_are_forgotten(kept: Keeping) -> None:
    """The process died between the file and its row."""
    objects = filled(kept)
    kept.remove(*objects)
    (number,) = kept.segments()
    kept.pool.recycle(number)
    assert number in kept.record.recorded(kept.journal.id)
    kept.reuse().run_once()
    assert kept.record.recorded(kept.journal.id) == {}


def test_spare_room_is_given_back_below_the_watermark(kept: Keeping) -> None:
    objects = [kept.store(number, 128) for number in range(20)]
    kept.seal()
    kept.catch_up()
    kept.remove(*[key for key, _ in objects])
    kept.pass_time()
    reuse = kept.reuse()
    reuse.run_once()
    free = len(list(kept.pool.folder.free.glob("*.seg")))
    assert free
    kept.space = Space(free_bytes=0, watermark_bytes=1 << 40)
    assert reuse.run_once() == {"given back": free}
    key, content = kept.store(7)
    assert kept.content(key) == content


def test_only_one_turns_over_at_a_time(kept: Keeping) -> None:
    kept.remove(*filled(kept))
    kept.pass_time()
    with turn(kept.pool.root) as mine:
        assert mine
        assert kept.reuse().run_once() == {}
    assert kept.reuse().run_once() == {"recycled": 1}


def test_receivers_write_while_segments_turn_over(kept: Keeping) -> None:
    """Two receivers, a recorder and a retention that removes three of four; whatever is left is what was sent."""
    sent: dict[str, bytes] = {}
    guard, stop, errors = threading.Lock(), threading.Event(), []
    kept.clock.moved = timedelta(seconds=2 * IDLE_S)

    def receive(first: int) -> None:
        store = kept.open_journal(f"receive-{first}")
        try:
            for number in range(first, first + 60):
                _, content = kept.store(number, 48, store)
                with guard:
                    sent[f"{number}"] = content
        except StoreUnavailable as error:
            errors.append(error)
        finally:
            store.close()

    receivers = [threading.Thread(target=receive, args=(1000 * index,)) for index in (1, 2)]
    for thread in receivers:
        thread.start()

    def keep() -> None:
        reuse = kept.reuse()
        while not stop.is_set():
            kept.catch_up()
            kept.remove(*[key for uid, key in kept.keys().items() if int(uid[-1]) % 4])
            reuse._look_at.clear()
            reuse.run_once()
            kept.free()

    keeper = threading.Thread(target=keep)
    keeper.start()
    for thread in receivers:
        thread.join(60)
    stop.set()
    keeper.join(60)
    assert not keeper.is_alive()
    assert errors == []
    for _ in range(3):
        kept.catch_up()
        kept.pass_time()
        kept.reuse().run_once()
        kept.free()
    contents = set(sent.values())
    assert len(contents) == 120
    assert kept.rows("instance") == 120
    for key in kept.keys().values():
        assert kept.content(key) in contents
    assert kept.found() == []


NOW = MovableClock().now()
FULL = SegmentFacts(1, True, 10, 8, 0, 900, 1000, NOW - timedelta(seconds=100))


@pytest.mark.parametrize(
    ("changes", "recorded", "wanted"),
    [
        ({}, 10, Fate.KEEP),
        ({"live": 0, "live_bytes": 0}, 10, Fate.RECYCLE),
        ({"live": 0, "live_bytes": 0}, 9, Fate.KEEP),
        ({"live": 0, "live_bytes": 0, "sealed": False}, 10, Fate.KEEP),
        ({"live": 0, "live_bytes": 0, "changed_at": NOW - timedelta(seconds=59)}, 10, Fate.KEEP),
        ({"live": 1, "live_bytes": 250}, 10, Fate.EMPTY),
        ({"live": 1, "live_bytes": 251}, 10, Fate.KEEP),
        ({"live": 1, "live_bytes": 250}, 9, Fate.KEEP),
        ({"entries": 0, "live": 0, "live_bytes": 0}, 0, Fate.RECYCLE),
    ],
)
def test_the_fate_of_a_segment(changes: dict[str, object], recorded: int, wanted: Fate) -> None:
    facts = replace(FULL, **changes)  # type: ignore[arg-type]
    assert fate(facts, recorded, NOW, timedelta(seconds=60)) is wanted


@pytest.mark.parametrize(
    ("spares", "free", "keep"), [(4, 100, 4), (4, 99, 3), (4, 90, 3), (4, 89, 2), (4, 0, 0), (0, 0, 0)]
)
def test_spares_go_until_there_is_room(spares: int, free: int, keep: int) -> None:
    assert spares_to_keep(spares, 10, Space(free_bytes=free, watermark_bytes=100)) == keep
