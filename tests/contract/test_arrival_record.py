"""``ports.ArrivalRecord`` over both databases; what a single instance does is in ``test_catalogue``."""

from __future__ import annotations

import threading
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from datetime import timedelta

import pytest
from sqlalchemy import Engine, func, select, update

from node.database.arrivals import HELD_AT_MOST, SqlArrivalRecord
from node.database.catalogue import SqlCatalogue
from node.database.tables import alert, association, instance, removal
from node.domain.study import CloseReason, Closure, OpenSeries, StoredInstance
from node.ports import AssociationEnded, ReceiverStarted, Recorded, StoredObject, Unrecorded
from tests.contract.arrivals import JOURNAL, OPENED, arrival_of, batch, facts
from tests.contract.rows import SERIES, STUDY, stored
from tests.contract.watching import Watch
from tests.fakes.outbox import StandingClock

CLOSURE = Closure(CloseReason.OPERATOR, {})
MANY = 1200  # more than a database takes as parameters of one statement, as each is an instance


@pytest.fixture
def record(engine: Engine, clock: StandingClock) -> SqlArrivalRecord:
    return SqlArrivalRecord(engine, clock)


@pytest.fixture
def catalogue(engine: Engine, clock: StandingClock) -> SqlCatalogue:
    return SqlCatalogue(engine, clock)


def keyed(given: StoredInstance, key: str) -> StoredInstance:
    return replace(given, storage_key=key)


def only_open(catalogue: SqlCatalogue) -> OpenSeries:
    (found,) = catalogue.open_series()
    return found


def ends(engine: Engine) -> dict[str, str | None]:
    with engine.connect() as connection:
        return {row.id: row.how for row in connection.execute(select(association.c.id, association.c.how))}


def count(engine: Engine) -> int:
    with engine.connect() as connection:
        return connection.execute(select(func.count()).select_from(instance)).scalar_one()


def to_be_freed(engine: Engine) -> list[str]:
    with engine.connect() as connection:
        return sorted(connection.execute(select(removal.c.storage_key)).scalars())


def test_a_batch_has_one_answer_for_each_instance_in_order(
    record: SqlArrivalRecord, catalogue: SqlCatalogue, engine: Engine, clock: StandingClock
) -> None:
    first = keyed(stored("1.9.1", clock.now()), "00000001/000000")
    again = keyed(stored("1.9.1", clock.now()), "00000001/000001")
    other = keyed(stored("1.9.1", clock.now(), content="other"), "00000001/000002")
    third = keyed(stored("1.9.1", clock.now(), content="third"), "00000001/000003")
    next_one = keyed(stored("1.9.2", clock.now()), "00000001/000004")
    answers = record.record_batch(batch(first, again, other, third, other, next_one))
    conflict = Recorded.CONFLICT
    assert answers == [Recorded.NEW, Recorded.DUPLICATE, conflict, conflict, Recorded.DUPLICATE, Recorded.NEW]
    assert catalogue.instances(STUDY, [SERIES]) == [first, next_one]
    assert only_open(catalogue).instances == 2
    with engine.connect() as connection:
        rows = connection.execute(select(alert.c.subject, alert.c.detail).order_by(alert.c.id)).all()
    assert [(row.subject, row.detail["variant"]) for row in rows] == [("1.9.1", 1), ("1.9.1", 2)]
    # Only bytes that no row names are to go: the conflict that came twice has one entry here, and keeps it.
    assert to_be_freed(engine) == ["00000001/000001"]


def test_a_batch_and_its_position_are_recorded_once(
    record: SqlArrivalRecord, engine: Engine, clock: StandingClock
) -> None:
    given = batch(stored("1.9.1", clock.now()), stored("1.9.2", clock.now()))
    assert record.record_batch(given) is not None
    assert record.recorded(JOURNAL) == {1: 2}
    assert record.record_batch(given) is None
    assert record.record_batch(replace(given, after=1, upto=3)) is None
    assert (count(engine), record.recorded(JOURNAL)) == (2, {1: 2})
    assert record.record_batch(batch(stored("1.9.3", clock.now()), after=2)) == [Recorded.NEW]
    assert record.recorded(JOURNAL) == {1: 3}
    assert record.recorded("another journal") == {}


def test_rows_and_position_are_undone_together(
    record: SqlArrivalRecord, engine: Engine, clock: StandingClock, monkeypatch: pytest.MonkeyPatch
) -> None:
    given = batch(stored("1.9.1", clock.now()), others=[AssociationEnded("nobody's", "released", clock.now())])

    def die(*_: object) -> None:
        raise KeyboardInterrupt

    with monkeypatch.context() as patch:
        patch.setattr("node.database.associations.end", die)
        with pytest.raises(KeyboardInterrupt):
            record.record_batch(given)
    assert (count(engine), record.recorded(JOURNAL), ends(engine)) == (0, {}, {})
    assert record.record_batch(given) == [Recorded.NEW]
    assert (count(engine), record.recorded(JOURNAL)) == (1, {1: 2})


def test_many_in_one_batch(
    record: SqlArrivalRecord, catalogue: SqlCatalogue, engine: Engine, clock: StandingClock
) -> None:
    given = [
        stored(f"1.9.{number}", clock.now() + timedelta(seconds=number % 7), series=f"5.{number % 3}")
        for number in range(MANY)
    ]
    assert record.record_batch(batch(*given)) == [Recorded.NEW] * MANY
    found = catalogue.open_series()
    assert [one.instances for one in found] == [MANY // 3] * 3
    assert {one.last_instance_at for one in found} == {clock.now() + timedelta(seconds=6)}
    assert record.record_batch(batch(*given, segment=2)) == [Recorded.DUPLICATE] * MANY


def test_several_late_instances_reopen_a_series_once(
    record: SqlArrivalRecord, catalogue: SqlCatalogue, clock: StandingClock
) -> None:
    record.record_batch(batch(stored("1.9.1", clock.now())))
    found = only_open(catalogue)
    assert catalogue.close_series(found.series_id, found.revision, CLOSURE, [], [])
    clock.advance(60)
    record.record_batch(batch(stored("1.9.2", clock.now()), stored("1.9.3", clock.now()), after=1))
    reopened = only_open(catalogue)
    assert (reopened.revision, reopened.instances, reopened.last_instance_at) == (2, 3, clock.now())


def test_two_recorders_of_two_journals_at_once(
    record: SqlArrivalRecord, catalogue: SqlCatalogue, engine: Engine, clock: StandingClock
) -> None:
    """Half of their instances are the same, in other orders, with the same and with other bytes."""
    together = threading.Barrier(2)

    def follow(journal: str) -> list[Sequence[Recorded] | None]:
        order = range(40) if journal == "a" else range(39, -1, -1)
        contents = {"a": "pixels", "b": "other"}
        given = [
            keyed(
                stored(f"1.9.{number}", clock.now(), content="pixels" if number % 2 else contents[journal]),
                f"{journal}/{number}",
            )
            for number in order
        ]
        together.wait(60)
        return [record.record_batch(batch(*given[at : at + 8], after=at, journal=journal)) for at in range(0, 40, 8)]

    with ThreadPoolExecutor(2) as pool:
        answers = [answer for each in pool.map(follow, "ab") for some in each for answer in some or ()]
    kinds = {kind: answers.count(kind) for kind in Recorded}
    assert kinds == {Recorded.NEW: 40, Recorded.DUPLICATE: 20, Recorded.CONFLICT: 20}
    assert only_open(catalogue).instances == 40
    assert (record.recorded("a"), record.recorded("b")) == ({1: 40}, {1: 40})
    assert len(to_be_freed(engine)) == 20
    assert record.named(to_be_freed(engine)) == frozenset()


def test_two_followers_of_one_journal_record_it_once(
    record: SqlArrivalRecord, catalogue: SqlCatalogue, clock: StandingClock
) -> None:
    given = [batch(stored(f"1.9.{number}", clock.now()), after=number) for number in range(20)]
    together = threading.Barrier(2)

    def follow(_: int) -> int:
        together.wait(60)
        return sum(record.record_batch(each) is not None for each in given)

    with ThreadPoolExecutor(2) as pool:
        assert sum(pool.map(follow, range(2))) == 20
    assert only_open(catalogue).instances == 20
    assert record.recorded(JOURNAL) == {1: 20}


def test_the_same_object_read_twice_is_not_freed(
    record: SqlArrivalRecord, engine: Engine, clock: StandingClock
) -> None:
    """Its position was lost (an older copy of the table came back), its row was not."""
    given = keyed(stored("1.9.1", clock.now()), "00000001/000000")
    record.record_batch(batch(given))
    record.forget_segment(JOURNAL, 1)
    assert record.recorded(JOURNAL) == {}
    assert record.record_batch(batch(given)) == [Recorded.DUPLICATE]
    assert to_be_freed(engine) == []


def test_bytes_that_retention_removed_come_again(
    record: SqlArrivalRecord, catalogue: SqlCatalogue, engine: Engine, clock: StandingClock
) -> None:
    record.record_batch(batch(keyed(stored("1.9.1", clock.now()), "00000001/000000")))
    with engine.begin() as connection:
        connection.execute(update(instance).values(removed_at=clock.now()))
    again = [keyed(stored("1.9.1", clock.now()), f"00000002/00000{number}") for number in range(2)]
    assert record.record_batch(batch(*again, segment=2)) == [Recorded.DUPLICATE] * 2
    assert [one.storage_key for one in catalogue.instances(STUDY, [SERIES])] == ["00000002/000000"]
    assert to_be_freed(engine) == ["00000002/000001"]


def test_bytes_that_are_gone_come_again(engine: Engine, catalogue: SqlCatalogue, clock: StandingClock) -> None:
    """A row alone is no reason to let go of what was just acknowledged: the row names the new bytes, which stay."""
    there = {"00000001/000000"}
    record = SqlArrivalRecord(engine, clock, there.__contains__)
    first = keyed(stored("1.9.1", clock.now()), "00000001/000000")
    again = keyed(first, "00000002/000000")
    third = keyed(first, "00000003/000000")
    record.record_batch(batch(first))
    there.clear()
    there.update({again.storage_key, third.storage_key})
    assert record.record_batch(batch(again, third, segment=2)) == [Recorded.DUPLICATE, Recorded.DUPLICATE]
    assert catalogue.instances(STUDY, [SERIES]) == [again]
    assert to_be_freed(engine) == ["00000003/000000"]
    there.clear()
    kept = SqlCatalogue(engine, clock, holds=there.__contains__)
    assert kept.record(keyed(first, "one-by-one")) is Recorded.DUPLICATE
    assert [one.storage_key for one in catalogue.instances(STUDY, [SERIES])] == ["one-by-one"]


def test_an_association_is_opened_by_its_first_instance_and_ended_by_its_end(
    record: SqlArrivalRecord, catalogue: SqlCatalogue, engine: Engine, clock: StandingClock
) -> None:
    given = [stored(f"1.9.{number}", clock.now(), association_id="one") for number in range(3)]
    record.record_batch(batch(*given[:2]))
    assert only_open(catalogue).open_associations == 1
    clock.advance(9)
    record.record_batch(batch(given[2], after=2, others=[AssociationEnded("one", "released", clock.now())]))
    found = only_open(catalogue)
    assert (found.open_associations, found.last_association_ended_at) == (0, clock.now())
    with engine.connect() as connection:
        row = connection.execute(select(association)).one()
    assert row._mapping["opened_at"] == OPENED
    assert (row.calling_ae, row.called_ae, row.peer_host, row.receiver) == (
        "CT1", "AINODE", "10.0.0.7", "host/receive-0",
    )  # fmt: skip


def test_an_end_that_is_recorded_before_the_instances(
    record: SqlArrivalRecord, catalogue: SqlCatalogue, engine: Engine, clock: StandingClock
) -> None:
    """A large object has a segment of its own, which may come later."""
    record.record_batch(batch(others=[AssociationEnded("one", "released", clock.now())]))
    record.record_batch(batch(others=[AssociationEnded("one", "aborted", clock.now())], after=1))
    record.record_batch(batch(stored("1.9.1", clock.now(), association_id="one"), segment=2))
    found = only_open(catalogue)
    assert (found.open_associations, found.last_association_ended_at) == (0, clock.now())
    with engine.connect() as connection:
        row = connection.execute(select(association)).one()
    assert (row.calling_ae, row.receiver, row.how) == ("CT1", "host/receive-0", "released")


def test_a_receivers_start_ends_what_it_left_open(
    record: SqlArrivalRecord, engine: Engine, clock: StandingClock
) -> None:
    started = OPENED + timedelta(seconds=10)
    cases = {
        "left": facts("left"),
        "of another": facts("of another", receiver="host/receive-1"),
        "later": facts("later", opened_at=started + timedelta(seconds=1)),
    }
    for number, (name, known) in enumerate(cases.items()):
        given = stored(f"1.9.{number}", clock.now(), association_id=name)
        record.record_batch(batch(given, segment=number, association=known))
    record.record_batch(batch(segment=9, others=[ReceiverStarted("host/receive-0", started)]))
    assert ends(engine) == {"left": "lost", "of another": None, "later": None}


def test_an_instance_that_gets_no_row_gets_an_alert(
    record: SqlArrivalRecord, engine: Engine, clock: StandingClock
) -> None:
    bad = stored("1.9.1", clock.now(), association_id="one")
    unrecorded = Unrecorded("instance_unreadable", StoredObject("00000001/000000", 7), arrival_of(bad), {"error": "x"})
    answers = record.record_batch(batch(stored("1.9.2", clock.now()), unrecorded=[unrecorded]))
    assert (answers, record.recorded(JOURNAL), count(engine)) == ([Recorded.NEW], {1: 2}, 1)
    with engine.connect() as connection:
        row = connection.execute(select(alert)).one()
    assert (row.kind, row.subject, row.study_instance_uid) == ("instance_unreadable", "1.9.1", STUDY)
    assert (row.detail["storage_key"], row.detail["error"]) == ("00000001/000000", "x")
    assert set(ends(engine)) == {"one", "nobody's"}


def test_recorded_until(record: SqlArrivalRecord, catalogue: SqlCatalogue, clock: StandingClock) -> None:
    assert catalogue.recorded_until() is None
    record.hold(JOURNAL, clock.now())
    held = catalogue.recorded_until()
    assert held == clock.now()
    clock.advance(5)
    record.hold("another journal", clock.now())
    assert catalogue.recorded_until() == held
    record.hold("another journal")
    known = catalogue.recorded_until()
    assert known is not None
    assert known < held
    record.release("another journal")
    assert catalogue.recorded_until() == held
    record.record_batch(batch(stored("1.9.1", clock.now())))
    assert (catalogue.recorded_until(), record.recorded(JOURNAL)) == (held, {1: 1})
    record.release(JOURNAL)
    assert (catalogue.recorded_until(), record.recorded(JOURNAL)) == (None, {1: 1})


def test_a_host_that_is_gone_holds_nobody_up(
    record: SqlArrivalRecord, catalogue: SqlCatalogue, clock: StandingClock
) -> None:
    record.hold(JOURNAL)
    clock.advance(HELD_AT_MOST.total_seconds() - 1)
    assert catalogue.recorded_until() is not None
    clock.advance(2)
    assert catalogue.recorded_until() is None


def test_keys_of_a_segment(record: SqlArrivalRecord, engine: Engine, clock: StandingClock) -> None:
    keys = ["00000001/000000", "00000001/00000a", "00000010/000000", "1.2.3/4.5/6.dcm"]
    for number, key in enumerate(keys):
        record.record_batch(batch(keyed(stored(f"1.9.{number}", clock.now()), key), segment=number))
    assert sorted(record.keys_of_segment(1)) == keys[:2]
    with engine.begin() as connection:
        connection.execute(update(instance).where(instance.c.storage_key == keys[0]).values(removed_at=clock.now()))
    assert record.keys_of_segment(1) == [keys[1]]
    assert record.named([*keys, "00000001/000001"]) == frozenset(keys)


def test_alerts_that_stand_for_a_row(record: SqlArrivalRecord, clock: StandingClock) -> None:
    bad = stored("1.9.1", clock.now())
    unrecorded = Unrecorded("instance_not_recorded", StoredObject("00000001/000000", 7), arrival_of(bad), {})
    record.record_batch(batch(unrecorded=[unrecorded]))
    assert record.unrecorded(["00000001/000000", "00000001/000001"]) == {"00000001/000000"}
    assert record.unrecorded([]) == frozenset()


def test_a_missing_instance_is_told_once(record: SqlArrivalRecord, engine: Engine, clock: StandingClock) -> None:
    keys = [f"00000001/{number:06x}" for number in range(3)]
    given = [keyed(stored(f"1.9.{number}", clock.now()), key) for number, key in enumerate(keys)]
    record.record_batch(batch(*given))
    record.miss(keys[:1])
    record.miss([*keys[:2], "00000009/000000"])
    with engine.connect() as connection:
        rows = connection.execute(select(alert).order_by(alert.c.id)).all()
    assert [(row.kind, row.subject, row.study_instance_uid, row.detail["storage_key"]) for row in rows] == [
        ("instance_missing", "1.9.0", STUDY, keys[0]),
        ("instance_missing", "1.9.1", STUDY, keys[1]),
    ]


def test_only_what_nobody_needs_is_freed_and_once(
    record: SqlArrivalRecord, engine: Engine, clock: StandingClock
) -> None:
    keys = [f"00000001/{number:06x}" for number in range(MANY)]
    record.record_batch(batch(keyed(stored("1.9.1", clock.now()), keys[0])))
    assert record.free(keys[:2]) == 1
    assert record.free(keys) == MANY - 2
    assert to_be_freed(engine) == keys[1:]


def test_nothing_looks_through_a_large_table(record: SqlArrivalRecord, engine: Engine, clock: StandingClock) -> None:
    given = [keyed(stored(f"1.9.{number}", clock.now()), f"{number:08x}/000000") for number in range(MANY * 3)]
    record.record_batch(batch(*given))
    late = keyed(stored("1.9.7", clock.now()), "0000ffff/000000")
    new = keyed(stored("2.9.7", clock.now()), "0000ffff/000001")
    with engine.begin() as connection:
        connection.exec_driver_sql("ANALYZE")
    with Watch(engine).watching() as seen:
        record.keys_of_segment(7)
        record.named([given[7].storage_key])
        record.miss([given[7].storage_key])
        record.free([given[7].storage_key, "0000ffff/000002"])
        record.record_batch(batch(late, new, segment=2, others=[AssociationEnded("one", "released", clock.now())]))
    assert not [statement for table, statement in seen.scans if table == "instance"]
    assert any("storage_key" in statement for statement in seen.statements)
