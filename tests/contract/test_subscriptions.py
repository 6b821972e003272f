"""``ports.Subscriptions`` over both databases."""

from __future__ import annotations

import pytest
from sqlalchemy import Engine, delete, func, select

from node.database.tables import job, workitem
from node.database.unit_of_work import UnitOfWork
from node.domain.workitem import GLOBAL, Behind, Change, EventType, Report, Subscription, WorkitemQuery
from node.jobs.queue import SqlJobQueue
from node.jobs.subscriptions import SUBSCRIBER_GONE, SqlSubscriptions
from node.jobs.workitems import SqlWorkitems
from node.show.worklist import Worklist
from tests.contract.rows import new_job
from tests.fakes.outbox import StandingClock


@pytest.fixture
def subscriptions(engine: Engine, clock: StandingClock) -> SqlSubscriptions:
    return SqlSubscriptions(engine, clock)


@pytest.fixture
def queue(engine: Engine, clock: StandingClock) -> SqlJobQueue:
    return SqlJobQueue(engine, clock)


def report(clock: StandingClock, receiver: str = "A", uid: str = "1.9") -> Report:
    return Report(receiver, uid, EventType.STATE, {"00741000": {"vr": "CS", "Value": ["SCHEDULED"]}}, clock.now())


def test_subscribing_and_unsubscribing(subscriptions: SqlSubscriptions, clock: StandingClock) -> None:
    subscriptions.subscribe(Subscription("A", "1.9"), report(clock))
    assert [one.workitem_uid for one in subscriptions.waiting("A", 10)] == ["1.9"]
    assert (subscriptions.behind("A"), subscriptions.behind("B")) == (Behind(1, clock.now()), Behind(0, None))
    assert subscriptions.about("1.9") == [Subscription("A", "1.9")]
    subscriptions.unsubscribe("A", "1.9")
    assert list(subscriptions.of("A")) == []
    keys = {"00741200": {"vr": "CS", "Value": ["HIGH"]}}
    subscriptions.subscribe(Subscription("A", GLOBAL, matching=keys))
    subscriptions.unsubscribe("A", "1.9")
    assert subscriptions.all() == [
        Subscription("A", GLOBAL, matching=keys),
        Subscription("A", "1.9", wanted=False),
    ]
    subscriptions.subscribe(Subscription("B", "1.9"))
    subscriptions.subscribe(Subscription("A", GLOBAL))
    assert (subscriptions.all(), subscriptions.about("1.9")) == (
        [Subscription("A", GLOBAL)],
        [Subscription("B", "1.9")],
    )
    subscriptions.suspend("A")
    assert [one.suspended_at for one in subscriptions.all()] == [clock.now()]
    suspended_at = clock.now()
    clock.advance(5)
    subscriptions.suspend("A")
    assert [one.suspended_at for one in subscriptions.all()] == [suspended_at]
    subscriptions.unsubscribe("A", GLOBAL)
    assert list(subscriptions.all()) == []


def test_what_happened_is_told_once(
    subscriptions: SqlSubscriptions, queue: SqlJobQueue, engine: Engine, clock: StandingClock
) -> None:
    subscriptions.subscribe(Subscription("A", GLOBAL))
    queue.enqueue(new_job("a"))
    [made] = subscriptions.happened(10)
    told = report(clock, uid=made.workitem_uid)
    subscriptions.tell([made], [told])
    # Another process, that looked at the same moment.
    subscriptions.tell([made], [told])
    assert list(subscriptions.happened(10)) == []
    [waiting] = subscriptions.waiting("A", 10)
    assert (waiting.workitem_uid, waiting.event_type, waiting.information) == (
        made.workitem_uid,
        EventType.STATE,
        told.information,
    )
    subscriptions.told([waiting])
    assert list(subscriptions.receivers()) == []
    subscriptions.subscribe(Subscription("B", made.workitem_uid))
    store = SqlWorkitems(engine, clock, 60.0)
    store.change(made.workitem_uid, "DESK", lambda _: Change(cancel=True))
    happened = subscriptions.happened(10)
    subscriptions.tell(happened, [])
    # It is over: nothing more can be told of it.
    assert list(subscriptions.about(made.workitem_uid)) == []
    assert [one.workitem_uid for one in subscriptions.all()] == [GLOBAL]


def test_who_is_gone_is_dropped_with_an_alert(
    subscriptions: SqlSubscriptions, engine: Engine, clock: StandingClock
) -> None:
    for receiver in ("A", "B"):
        subscriptions.subscribe(Subscription(receiver, GLOBAL))
        subscriptions.subscribe(Subscription(receiver, "1.9"), report(clock, receiver))
    assert subscriptions.drop("A") == 1
    assert (list(subscriptions.of("A")), list(subscriptions.receivers())) == ([], ["B"])
    subscriptions.forget_all()
    assert (list(subscriptions.all()), list(subscriptions.receivers())) == ([], [])
    [alert] = Worklist(engine, clock).alerts()
    assert (alert["kind"], alert["subject"], alert["detail"]) == (SUBSCRIBER_GONE, "A", {"reports": 1})


def test_a_study_that_goes_takes_what_was_said_of_its_jobs(
    queue: SqlJobQueue, engine: Engine, clock: StandingClock
) -> None:
    queue.enqueue(new_job("a"))
    store = SqlWorkitems(engine, clock, 60.0)
    [made] = store.find(WorkitemQuery(), -1, 10)
    store.change(made.uid, "DESK", lambda _: Change(attributes={"x": {}}))
    work = UnitOfWork(engine)
    with work.read() as connection:
        assert connection.execute(select(func.count()).select_from(workitem)).scalar_one() == 1
    work.write(lambda connection: connection.execute(delete(job)))
    with work.read() as connection:
        assert connection.execute(select(func.count()).select_from(workitem)).scalar_one() == 0
