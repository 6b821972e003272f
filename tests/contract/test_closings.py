"""``ports.Closings`` over both databases, and what the catalogue keeps of closings."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace

import pytest
from sqlalchemy import Engine, delete, event, select

from node.database.catalogue import OPEN_SERIES, SqlCatalogue
from node.database.closings import SqlClosings
from node.database.tables import instance, series, series_association, series_closing
from node.domain.completeness import Habit, Sender
from node.domain.study import CloseReason, Closure
from node.ports import Closings
from node.show.worklist import Worklist
from tests.contract.rows import STUDY, stored
from tests.fakes.closings import FakeClosings
from tests.fakes.outbox import StandingClock

CT = Sender("CT1", "CT")


@pytest.fixture(params=["fake", "sql"])
def closings(request: pytest.FixtureRequest, engine: Engine, clock: StandingClock) -> Closings:
    return FakeClosings() if request.param == "fake" else SqlClosings(engine, clock)


@pytest.fixture
def catalogue(engine: Engine, clock: StandingClock) -> SqlCatalogue:
    return SqlCatalogue(engine, clock)


def close(catalogue: SqlCatalogue, reason: CloseReason) -> int:
    (found,) = catalogue.open_series()
    closure = Closure(reason, {"instances": found.instances, "numbers": "1 to 2"})
    assert catalogue.close_series(found.series_id, found.revision, closure, [], [])
    return found.series_id


def test_a_habit_is_replaced_by_what_is_made_of_it(closings: Closings) -> None:
    assert closings.habits() == {}
    first = closings.learn(CT, lambda before: replace(before, silences_s=(*before.silences_s, 0.25)))
    assert first == Habit((0.25,))
    other = Sender("CT1", "")
    closings.learn(other, lambda before: before)
    closings.learn(CT, lambda before: Habit((*before.silences_s, 1.5), {"a reason": 3}))
    assert closings.habits() == {CT: Habit((0.25, 1.5), {"a reason": 3}), other: Habit()}


def test_a_change_that_fails_changes_nothing(closings: Closings) -> None:
    closings.learn(CT, lambda _: Habit((1.0,)))

    def fails(_: Habit) -> Habit:
        raise ValueError("no habit")

    with pytest.raises(ValueError, match="no habit"):
        closings.learn(CT, fails)
    assert closings.habits() == {CT: Habit((1.0,))}


def test_an_unknown_series_was_never_closed(closings: Closings) -> None:
    assert closings.earlier(7, 1) is None
    assert closings.instances_of_study("1.2.3.9") == 0


def test_several_closers_learn_at_once(engine: Engine, clock: StandingClock) -> None:
    closings = SqlClosings(engine, clock)

    def learn(number: int) -> Habit:
        return closings.learn(CT, lambda before: replace(before, silences_s=(*before.silences_s, float(number))))

    with ThreadPoolExecutor(4) as pool:
        list(pool.map(learn, range(12)))
    assert sorted(closings.habits()[CT].silences_s) == [float(number) for number in range(12)]


def test_each_revision_keeps_how_it_was_closed(catalogue: SqlCatalogue, engine: Engine, clock: StandingClock) -> None:
    closings = SqlClosings(engine, clock)
    catalogue.record(stored("1.9.1", clock.now()))
    first_at = clock.now()
    series_id = close(catalogue, CloseReason.GAPLESS)
    clock.advance(10)
    catalogue.record(stored("1.9.2", clock.now()))
    assert closings.earlier(series_id, 2) is None
    close(catalogue, CloseReason.SOURCE_COUNT)
    found = [closings.earlier(series_id, revision) for revision in (1, 2)]
    assert [(one.reason, one.closed_at) for one in found if one] == [
        (CloseReason.GAPLESS.value, first_at),
        (CloseReason.SOURCE_COUNT.value, clock.now()),
    ]
    (shown,) = Worklist(engine, clock).why(STUDY)["studies"][0]["series"]
    assert shown["completeness"]["reason"] == CloseReason.SOURCE_COUNT.value
    (earlier,) = shown["completeness"]["earlier"]
    assert (earlier["revision"], earlier["reason"], earlier["closed_at"]) == (1, CloseReason.GAPLESS.value, first_at)
    assert earlier["evidence"] == {"instances": 1, "numbers": "1 to 2"}


def test_a_study_counts_its_images_of_every_series(
    catalogue: SqlCatalogue, engine: Engine, clock: StandingClock
) -> None:
    catalogue.record(stored("1.9.1", clock.now()))
    catalogue.record(stored("1.9.1", clock.now(), content="other bytes"))
    catalogue.record(stored("1.9.2", clock.now(), series="1.2.3.5"))
    catalogue.record(stored("1.9.3", clock.now(), study="5.5", series="5.5.5"))
    assert SqlClosings(engine, clock).instances_of_study(STUDY) == 2


def test_a_series_that_goes_takes_its_closings_along(
    catalogue: SqlCatalogue, engine: Engine, clock: StandingClock
) -> None:
    catalogue.record(stored("1.9.1", clock.now()))
    close(catalogue, CloseReason.GAPLESS)
    with engine.begin() as connection:
        for table in (series_association, instance, series):
            connection.execute(delete(table))
        assert connection.execute(select(series_closing)).all() == []


def test_how_associations_ended_is_part_of_the_evidence(catalogue: SqlCatalogue, clock: StandingClock) -> None:
    for name in ("a", "b"):
        catalogue.open_association(name, "CT1", "AINODE", "127.0.0.1", "receive-0")
        catalogue.record(stored(f"1.9.{name == 'a':d}", clock.now(), association_id=name))
    clock.advance(1)
    released_at = clock.now()
    catalogue.end_association("a", "released")
    (found,) = catalogue.open_series()
    assert (found.associations, found.open_associations, found.last_release_at) == (2, 1, released_at)
    clock.advance(1)
    catalogue.end_association("b", "aborted")
    (found,) = catalogue.open_series()
    assert (found.open_associations, found.last_release_at) == (0, released_at)
    assert found.last_association_ended_at == clock.now()


@pytest.mark.parametrize("engine", ["sqlite"], indirect=True)
def test_looking_for_open_series_scans_no_table(engine: Engine, catalogue: SqlCatalogue, clock: StandingClock) -> None:
    """It is done twenty times a second. The plan of a table this small says nothing in PostgreSQL."""
    catalogue.record(stored("1.9.1", clock.now()))
    statements: list[tuple[str, tuple[object, ...]]] = []
    event.listen(engine, "before_cursor_execute", lambda *call: statements.append((call[2], call[3])))
    with engine.connect() as connection:
        connection.execute(OPEN_SERIES)
        statement, parameters = statements[-1]
        plan = connection.exec_driver_sql(f"EXPLAIN QUERY PLAN {statement}", parameters).all()
    assert [row[3] for row in plan if row[3].startswith("SCAN")] == []
    assert any("ix_series_state" in row[3] for row in plan)
