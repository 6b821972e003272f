"""Rows against bytes and bytes against rows: every kind of damage is found, and nothing else is called damage."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from datetime import timedelta
from hashlib import sha256
from pathlib import Path

import pytest
from sqlalchemy import Engine, insert, update

from node.database.catalogue import SqlCatalogue
from node.database.tables import instance, result
from node.domain.job import NewJob
from node.domain.result import heat_maps_key
from node.jobs.queue import SqlJobQueue
from node.store.journal.format import RECORD_SPACE, entry_offset
from node.store.journal.reuse import turn
from node.store.verify import Problem
from tests.contract.keeping import Keeping
from tests.contract.rows import new_job


@pytest.fixture
def kept(tmp_path: Path, engine: Engine) -> Iterator[Keeping]:
    kept = Keeping(tmp_path, engine)
    yield kept
    kept.close()


def stored(kept: Keeping, count: int = 3) -> list[str]:
    """Keys of recorded objects in a sealed segment."""
    keys = [kept.store(number)[0] for number in range(count)]
    kept.seal()
    kept.catch_up()
    return keys


def overwrite(path: Path, offset: int, content: bytes) -> None:
    with path.open("r+b") as file:
        file.seek(offset)
        file.write(content)


def test_a_sound_store_has_no_findings(kept: Keeping) -> None:
    assert kept.verify().ok
    stored(kept)
    report = kept.verify()
    assert report.ok
    assert (report.rows, report.records) == (
        {"instances": 3, "results": 0},
        {"instances": 3, "results": 0},
    )
    assert report.bytes_read > 3 * 64 * 64
    assert kept.verify(deep=False).bytes_read == 0


def test_what_has_no_row_yet_only_waits(kept: Keeping) -> None:
    stored(kept)
    kept.store(10)
    report = kept.verify(repair=True)
    assert (report.ok, report.waiting) == (True, 1)
    kept.catch_up()
    report = kept.verify()
    assert (report.ok, report.waiting) == (True, 0)


def test_missing_bytes(kept: Keeping) -> None:
    key, *_ = stored(kept)
    kept.journal.delete(key)
    assert kept.found(deep=False, repair=True) == [("MISSING", key)]


def test_a_lost_segment_misses_every_object(kept: Keeping) -> None:
    keys = stored(kept)
    (number,) = kept.segments()
    kept.pool.folder.segment(number).unlink()
    assert kept.found() == [("MISSING", key) for key in keys]


def test_damaged_bytes_are_found_by_reading_them(kept: Keeping) -> None:
    key, *_ = stored(kept)
    place = kept.journal.locate(key)
    overwrite(Path(place.path), place.offset + place.length - 5, b"x")
    assert kept.found(deep=False) == []
    assert kept.found() == [("DAMAGED", key)]
    overwrite(Path(place.path), place.offset + 128, b"NONE")
    assert kept.found() == [("DAMAGED", key)]


def test_a_damaged_record_is_found(kept: Keeping) -> None:
    key, *_ = stored(kept)
    place = kept.journal.locate(key)
    overwrite(Path(place.path), place.offset - RECORD_SPACE + 3, b"x")
    assert kept.found(deep=False, repair=True) == [("DAMAGED", key)]
    assert kept.content(key)


def test_a_torn_entry_is_found_from_both_sides(kept: Keeping) -> None:
    key, *_ = stored(kept)
    (number,) = kept.segments()
    overwrite(kept.pool.folder.segment(number), entry_offset(0) + 20, b"rotten")
    assert sorted(kept.found(deep=False, repair=True)) == [("DAMAGED", key), ("MISSING", key)]


def test_row_and_record_that_disagree(kept: Keeping, engine: Engine) -> None:
    first, second, _ = stored(kept)
    with engine.begin() as connection:
        connection.execute(update(instance).where(instance.c.storage_key == first).values(size=instance.c.size + 1))
        other = update(instance).where(instance.c.storage_key == second)
        connection.execute(other.values(sop_instance_uid="1.2.9"))
    assert sorted(set(kept.found(repair=True))) == [("DIFFERENT", first), ("DIFFERENT", second)]
    assert kept.content(first)


def test_garbage_is_found_and_freed_when_asked_for(kept: Keeping) -> None:
    keys = stored(kept)
    copied = kept.copies.copy(keys[0]).key
    kept.copies.close()
    kept.copies = kept.open_journal("timers")
    kept.catch_up()
    assert kept.found() == [("GARBAGE", copied)]
    with turn(kept.pool.root) as mine:
        assert mine
        report = kept.verify(repair=True)
        assert (report.unjudged, report.repaired) == (1, 0)
        assert report.ok
    report = kept.verify(repair=True)
    assert (report.repaired, [one.problem for one in report.findings]) == (1, [Problem.GARBAGE])
    assert kept.found() == []
    assert [key for key in keys if kept.content(key)] == keys


def test_what_waits_to_be_freed_is_no_finding(kept: Keeping) -> None:
    first, second, _ = stored(kept)
    kept.remove(first, freed=False)
    assert kept.found(repair=True) == []
    assert kept.free() == 1
    assert kept.found(repair=True) == []
    with kept.engine.begin() as connection:  # the byte that said so was lost by a power cut
        connection.execute(update(instance).where(instance.c.storage_key == second).values(removed_at=kept.clock.now()))
    assert kept.found() == [("GARBAGE", second)]


def test_what_an_alert_points_at_is_no_garbage(kept: Keeping, engine: Engine) -> None:
    key, *_ = stored(kept)
    kept.store(10)
    kept.seal()
    kept.catch_up()
    with engine.begin() as connection:
        connection.execute(instance.delete().where(instance.c.storage_key == key))
    assert kept.found() == [("GARBAGE", key)]
    SqlCatalogue(engine, kept.clock).raise_alert("instance_unreadable", "1.2", {"storage_key": key})
    assert kept.found(repair=True) == []
    assert kept.content(key)


def test_results_are_compared_too(kept: Keeping, engine: Engine) -> None:
    queue = SqlJobQueue(engine, kept.clock)
    job: NewJob = new_job("a")
    job_id = queue.enqueue(job)
    content = b"a finished object"
    kept.results.put(content, "1.2/3.4/5.6.dcm")
    kept.results.put(content, "1.2/3.4/7.8.dcm")
    digest = sha256(content).hexdigest()
    with engine.begin() as connection:
        for uid in ("5.6", "9.9"):
            connection.execute(
                insert(result).values(
                    job_id=job_id,
                    sop_class_uid="1",
                    sop_instance_uid=uid,
                    series_instance_uid="3.4",
                    modality="SR",
                    storage_key=f"1.2/3.4/{uid}.dcm",
                    sha256=digest,
                    size=len(content),
                    created_at=kept.clock.now(),
                )
            )
    for uid in ("5.6", "7.8"):
        kept.results.put(b"heat maps", heat_maps_key(f"1.2/3.4/{uid}.dcm"))
    stray = heat_maps_key("1.2/3.4/7.8.dcm")
    assert sorted(kept.found()) == [
        ("GARBAGE", "1.2/3.4/7.8.dcm"),
        ("GARBAGE", stray),
        ("MISSING", "1.2/3.4/9.9.dcm"),
    ]
    assert len(kept.found(repair=True)) == 3
    assert Path(kept.results.locate(heat_maps_key("1.2/3.4/5.6.dcm")).path).read_bytes() == b"heat maps"
    assert kept.found() == [("MISSING", "1.2/3.4/9.9.dcm")]
    Path(kept.results.locate("1.2/3.4/5.6.dcm").path).write_bytes(b"another content..")
    assert ("DAMAGED", "1.2/3.4/5.6.dcm") in kept.found()


def test_no_false_alarm_while_everything_moves(kept: Keeping) -> None:
    """A receiver writes, rows follow late, three of four instances are removed and freed, survivors are moved."""
    stop = threading.Event()

    def receive() -> None:
        for number in range(150):
            kept.store(number, 48)

    def keep() -> None:
        kept.clock.moved = timedelta(seconds=1000)
        while not stop.is_set():
            kept.catch_up()
            kept.remove(*[key for uid, key in kept.keys().items() if int(uid[-1]) % 4], freed=False)
            kept.reuse().run_once()
            kept.free()

    receiver, keeper = threading.Thread(target=receive), threading.Thread(target=keep)
    receiver.start()
    keeper.start()
    reports = []
    while receiver.is_alive():
        reports.append(kept.verify(repair=True))
    stop.set()
    keeper.join(60)
    assert [one for report in reports for one in report.findings] == []
    assert len(reports) > 1
    assert kept.verify().ok
