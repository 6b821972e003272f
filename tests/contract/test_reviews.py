"""``ports.reviews.Reviews`` over both databases."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace

import pytest
from sqlalchemy import Engine, func, select

from node.database.catalogue import SqlCatalogue
from node.database.retention import SqlRetentionRecord
from node.database.tables import review, review_change
from node.domain.job import Priority
from node.domain.result import Outcome
from node.domain.retention import Step, Verdict
from node.domain.review import Review, Said, Standing, StudyChanged
from node.domain.study import CloseReason, Closure
from node.domain.workitem import (
    GLOBAL,
    Change,
    Claim,
    EventType,
    StepState,
    Subscription,
    WorkitemQuery,
    digest_of,
    require_claimable,
)
from node.errors import ClaimLost, NoSuchWorkitem, WorkitemError
from node.jobs.queue import SqlJobQueue
from node.jobs.reviews import SqlReviews
from node.jobs.subscriptions import SqlSubscriptions
from tests.contract.rows import SERIES, STUDY, completion, new_job, stored
from tests.fakes.outbox import StandingClock

LEASE_S = 60.0
MINE = digest_of("1.2.3")


@pytest.fixture
def reviews(engine: Engine, clock: StandingClock) -> SqlReviews:
    made = SqlReviews(engine, clock, LEASE_S, code="110005", ae_title="NODE")
    made.follow(True)
    return made


def standing(basis: str = "b", outcome: Outcome = Outcome.POSITIVE, **changes: object) -> Standing:
    made = Standing(STUDY, "A1", basis, True, True, (Said("m", "1", outcome),), (SERIES,), (1,))
    return replace(made, **changes)  # type: ignore[arg-type]


def settled(reviews: SqlReviews, how: Standing | None) -> list[Review]:
    reviews.settle(StudyChanged(STUDY, 1 << 40), how)
    return list(reviews.find(WorkitemQuery(), -1, 100))


def claim(reviews: SqlReviews, uid: str) -> Review:
    def decide(one: Review) -> Change:
        require_claimable(one)
        return Change(claim=Claim("DESK", MINE))

    return reviews.change(uid, "ups:DESK", decide)


def test_what_changes_of_a_study_is_written_down_while_there_are_reviews(
    engine: Engine, clock: StandingClock, reviews: SqlReviews
) -> None:
    catalogue, queue = SqlCatalogue(engine, clock), SqlJobQueue(engine, clock)
    catalogue.record(stored("1.9.1", clock.now()))
    [change] = reviews.changed(10)
    assert change.study_instance_uid == STUDY
    assert not reviews.settle(change, None)
    assert reviews.changed(10) == []
    [series] = catalogue.open_series()
    assert catalogue.close_series(series.series_id, series.revision, Closure(CloseReason.OPERATOR, {}), [], [])
    [before] = reviews.changed(10)
    queue.enqueue(new_job("a"))
    reviews.settle(before, None)
    [later] = reviews.changed(10)
    assert later.number > before.number
    reviews.follow(False)
    assert reviews.changed(10) == []
    queue.enqueue(new_job("b"))
    assert reviews.changed(10) == []


def test_one_review_for_what_there_is_to_be_read(reviews: SqlReviews) -> None:
    [one] = settled(reviews, standing())
    assert (one.state, one.priority, one.summary) == (StepState.SCHEDULED, Priority.HIGH, "POSITIVE")
    assert settled(reviews, standing()) == [one]
    assert reviews.get(one.uid) == one
    with pytest.raises(NoSuchWorkitem):
        reviews.get("9.9")
    first, second = settled(reviews, standing("c", Outcome.NEGATIVE))
    assert (first.state, first.superseded) == (StepState.CANCELED, True)
    assert (second.state, second.priority, second.replaces) == (StepState.SCHEDULED, Priority.LOW, one.uid)
    found = reviews.find(WorkitemQuery(states=(StepState.SCHEDULED,), models=("110005",)), -1, 10)
    assert found == [second]
    assert reviews.find(WorkitemQuery(models=("hippocampus",)), -1, 10) == []


def test_whoever_makes_it_it_is_the_same(engine: Engine, reviews: SqlReviews) -> None:
    with ThreadPoolExecutor(8) as pool:
        made = list(pool.map(lambda _: reviews.settle(StudyChanged(STUDY, 1), standing()), range(8)))
    assert sum(made) == 1
    with engine.connect() as connection:
        assert connection.execute(select(func.count()).select_from(review)).scalar() == 1


def test_it_is_taken_back_while_the_study_changes(reviews: SqlReviews) -> None:
    settled(reviews, standing())
    [one] = settled(reviews, standing("x", evaluated=False, ready=False, said=()))
    assert (one.state, one.superseded) == (StepState.CANCELED, True)
    _, again = settled(reviews, standing())
    assert (again.state, again.replaces) == (StepState.SCHEDULED, one.uid)


def test_of_many_persons_one_has_it(reviews: SqlReviews) -> None:
    [one] = settled(reviews, standing())

    def ask(_: int) -> str:
        try:
            claim(reviews, one.uid)
        except WorkitemError as error:
            return f"{error.dimse_status:04X}"
        return "won"

    with ThreadPoolExecutor(8) as pool:
        answers = sorted(pool.map(ask, range(8)))
    assert answers == ["C302"] * 7 + ["won"]
    held = reviews.get(one.uid)
    assert (held.state, held.performer, held.transaction) == (StepState.IN_PROGRESS, "DESK", MINE)
    ended = reviews.change(one.uid, "ups:DESK", lambda _: Change(becomes=StepState.COMPLETED))
    assert ended.state is StepState.COMPLETED
    assert settled(reviews, standing()) == [ended]


def test_whoever_reads_it_is_asked_to_stop_when_the_study_changes(
    engine: Engine, clock: StandingClock, reviews: SqlReviews
) -> None:
    subscriptions = SqlSubscriptions(engine, clock)
    [one] = settled(reviews, standing())
    claim(reviews, one.uid)
    subscriptions.subscribe(Subscription("DESK", GLOBAL))
    held, other = settled(reviews, standing("c"))
    assert (held.state, held.superseded, other.replaces) == (StepState.IN_PROGRESS, True, one.uid)
    asked, made = subscriptions.happened(10)
    assert (asked.workitem_uid, asked.event_type) == (one.uid, EventType.CANCEL_REQUESTED)
    assert asked.information["00741236"]["Value"] == ["NODE"]
    assert (made.workitem_uid, made.was, made.became) == (other.uid, None, StepState.SCHEDULED)
    assert len(settled(reviews, standing("c"))) == 2
    reviews.change(one.uid, "ups:DESK", lambda _: Change(becomes=StepState.COMPLETED))
    [_, _, ended] = subscriptions.happened(10)
    assert (ended.was, ended.became) == (StepState.IN_PROGRESS, StepState.COMPLETED)


def test_who_is_silent_for_too_long_loses_it(engine: Engine, clock: StandingClock, reviews: SqlReviews) -> None:
    [one] = settled(reviews, standing())
    claim(reviews, one.uid)
    clock.advance(LEASE_S - 1)
    assert reviews.expire() == 0
    reviews.change(one.uid, "ups:DESK", lambda _: Change(attributes={"x": {}}))
    clock.advance(LEASE_S - 1)
    assert reviews.expire() == 0
    clock.advance(1)
    assert reviews.expire() == 1
    gone, again = settled(reviews, standing())
    assert (gone.state, again.state) == (StepState.CANCELED, StepState.SCHEDULED)
    with engine.connect() as connection:
        assert connection.execute(select(func.count()).select_from(review_change)).scalar() == 0


def test_what_a_person_canceled_stays_so(reviews: SqlReviews) -> None:
    [one] = settled(reviews, standing())
    ended = reviews.change(one.uid, "ups:DESK", lambda _: Change(cancel=True))
    assert (ended.state, ended.superseded) == (StepState.CANCELED, False)
    assert settled(reviews, standing()) == [ended]
    with pytest.raises(WorkitemError):
        claim(reviews, one.uid)


def test_no_worker_takes_a_review(engine: Engine, clock: StandingClock, reviews: SqlReviews) -> None:
    settled(reviews, standing())
    assert SqlJobQueue(engine, clock).claim("host/work-0", 60.0) is None


def test_what_is_to_be_read(engine: Engine, clock: StandingClock, reviews: SqlReviews) -> None:
    SqlCatalogue(engine, clock).record(stored("1.9.1", clock.now()))
    queue = SqlJobQueue(engine, clock)
    job_id = queue.enqueue(new_job("a"))
    job = queue.claim("host/work-0", 60.0)
    assert job is not None
    assert queue.complete(job, completion())
    [one] = settled(reviews, standing(jobs=(job_id,)))
    images, results = reviews.inputs(one)
    assert [ref.sop_instance_uid for ref in images.instances] == ["1.9.1"]
    assert sorted(ref.sop_instance_uid for ref in results.instances) == ["9.1.1", "9.1.2"]
    assert (images.destinations, results.destinations) == ((), ())  # not sent yet
    assert reviews.outputs(one) == ()
    assert one.about.patient_id == "P1"


def test_where_there_are_to_be_none_what_waits_is_taken_back(reviews: SqlReviews) -> None:
    [one] = settled(reviews, standing())
    reviews.follow(False)
    assert reviews.get(one.uid).state is StepState.CANCELED
    with pytest.raises(WorkitemError) as caught:
        claim(reviews, one.uid)
    assert not isinstance(caught.value, ClaimLost)


def test_it_goes_with_the_rows_of_its_study(engine: Engine, clock: StandingClock, reviews: SqlReviews) -> None:
    SqlCatalogue(engine, clock).record(stored("1.9.1", clock.now()))
    [one] = settled(reviews, standing())
    gone = SqlRetentionRecord(engine, clock).remove_rows(STUDY, lambda _: Verdict(Step.REMOVE_ROWS, clock.now()), 1000)
    assert gone > 0
    with pytest.raises(NoSuchWorkitem):
        reviews.get(one.uid)
