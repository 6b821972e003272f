"""What a self-check asks of both databases: their schema, their clock, and work that stands still."""

from __future__ import annotations

import socket
from collections.abc import Iterable
from datetime import timedelta

from sqlalchemy import Engine, insert

from node.app.doctor.finding import Finding, Status
from node.app.doctor.work import Work
from node.config import Config, DimseDestination
from node.database.outbox import SqlOutbox
from node.database.roles import SqlRoleBoard
from node.database.soundness import SqlSoundness
from node.database.tables import alert
from node.domain.job import Priority
from node.errors import StoreRefused, WorkerLost
from node.jobs.queue import SqlJobQueue
from node.ports import Clock
from tests.contract.rows import completion, new_job
from tests.fakes.outbox import StandingClock

CONFIG = Config(destinations=(DimseDestination(name="pacs", ae_title="A", host="h", port=1),))


def work(engine: Engine, clock: Clock) -> Work:
    return Work(CONFIG, engine, clock)


def statuses(found: Iterable[Finding]) -> dict[str, str]:
    listed = list(found)
    assert all(bool(one.advice) == (one.status is not Status.OK) for one in listed)
    return {one.id: str(one.status) for one in listed}


def test_the_schema_is_at_its_head(engine: Engine) -> None:
    current, head = SqlSoundness(engine).revisions()
    assert current == head


def test_postgresql_has_a_clock_of_its_own(engine: Engine) -> None:
    told = SqlSoundness(engine).now()
    assert (told is None) == (engine.dialect.name == "sqlite")
    assert told is None or told.utcoffset() == timedelta(0)


def test_nothing_serves_then_all_do_then_one_is_silent(engine: Engine, clock: StandingClock) -> None:
    assert statuses(work(engine, clock).roles()) == {"roles": "WARN"}
    board = SqlRoleBoard(engine, clock)
    for role in ("receive", "work", "deliver", "timers", "web"):
        board.beat(role, f"{role}-0", 7, socket.gethostname(), {"port": 104})
    assert set(statuses(work(engine, clock).roles()).values()) == {"OK"}
    assert ("receive", 7, {"port": 104}) in SqlSoundness(engine).beats_on(socket.gethostname(), clock.now())
    assert SqlSoundness(engine).beats_on("elsewhere", clock.now()) == []
    clock.advance(60.0)
    for role in ("receive", "deliver", "timers", "web"):
        board.beat(role, f"{role}-0", 7, socket.gethostname(), {})
    found = statuses(work(engine, clock).roles())
    assert [name for name, status in found.items() if status != "OK"] == ["roles.work"]
    assert found["roles.work"] == "FAIL"
    board.leave("web", "web-0")
    assert statuses(work(engine, clock).roles())["roles.web"] == "WARN"


def test_a_queue_that_moves_and_one_that_stands(engine: Engine, clock: StandingClock) -> None:
    assert statuses(work(engine, clock).queue()) == {"queue": "OK", "queue.leases": "OK"}
    queue = SqlJobQueue(engine, clock)
    queue.enqueue(new_job("1"))
    clock.advance(CONFIG.work.max_wait_s - 1)
    assert statuses(work(engine, clock).queue())["queue"] == "OK"
    clock.advance(2.0)
    assert statuses(work(engine, clock).queue())["queue"] == "FAIL"
    queue.pause()
    assert statuses(work(engine, clock).queue())["queue"] == "WARN"


def test_leases_of_those_who_are_gone(engine: Engine, clock: StandingClock) -> None:
    queue = SqlJobQueue(engine, clock)
    queue.enqueue(new_job("1"))
    assert queue.claim("w", 6.0) is not None
    clock.advance(30.0)
    assert statuses(work(engine, clock).queue())["queue.leases"] == "OK", "rescue has its time"
    clock.advance(60.0)
    assert statuses(work(engine, clock).queue())["queue.leases"] == "FAIL"


def test_jobs_that_end_their_process_are_named(engine: Engine, clock: StandingClock) -> None:
    queue = SqlJobQueue(engine, clock)
    queue.enqueue(new_job("1"))
    job = queue.claim("w", 6.0)
    assert job is not None
    assert queue.fail(job, WorkerLost("gone"), None)
    assert statuses(work(engine, clock).queue())["queue.quarantined"] == "WARN"


def test_deliveries_that_wait_say_why(engine: Engine, clock: StandingClock) -> None:
    assert statuses(work(engine, clock).deliveries()) == {"deliveries.pacs": "OK"}
    queue, outbox = SqlJobQueue(engine, clock), SqlOutbox(engine, clock)
    queue.enqueue(new_job("1", priority=Priority.HIGH))
    job = queue.claim("w", 6.0)
    assert job is not None
    assert queue.complete(job, completion())
    claimed = outbox.claim("pacs", "s", 30.0)
    assert outbox.fail(claimed[0], StoreRefused("answered A700"), 100.0)
    (found,) = work(engine, clock).deliveries()
    assert found.status is Status.WARN
    assert "StoreRefused: answered A700" in found.found
    circuit = {"open": True, "failures": 3, "since": "2030", "error_code": "DestinationUnreachable", "probe_at": None}
    SqlRoleBoard(engine, clock).beat("deliver", "deliver", 7, "h", {"circuits": {"pacs": circuit}})
    (found,) = work(engine, clock).deliveries()
    assert found.status is Status.FAIL
    assert "DestinationUnreachable" in found.found


def test_deliveries_that_failed_for_good(engine: Engine, clock: StandingClock) -> None:
    queue, outbox = SqlJobQueue(engine, clock), SqlOutbox(engine, clock)
    queue.enqueue(new_job("1"))
    job = queue.claim("w", 6.0)
    assert job is not None
    assert queue.complete(job, completion())
    for delivery in outbox.claim("pacs", "s", 30.0):
        assert outbox.fail(delivery, StoreRefused("answered A900"), None)
    assert statuses(work(engine, clock).deliveries()) == {"deliveries.pacs": "WARN"}


def test_alerts_of_the_last_day(engine: Engine, clock: StandingClock) -> None:
    assert statuses(work(engine, clock).alerts()) == {"alerts": "OK"}
    with engine.begin() as connection:
        row = {"kind": "patient", "subject": "1.2.3", "detail": {}, "raised_at": clock.now()}
        connection.execute(insert(alert), [row, row])
    (found,) = work(engine, clock).alerts()
    assert (found.status, found.found) == (Status.WARN, "in the last day: 2 patient")
    clock.advance(2 * 86400.0)
    assert statuses(work(engine, clock).alerts()) == {"alerts": "OK"}
