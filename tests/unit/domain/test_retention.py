"""When images and rows may go: nothing of a study that is not finished, whatever else is true."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import TypeVar

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from node.domain.delivery import DeliveryState
from node.domain.job import JobState
from node.domain.retention import (
    DeliveryFacts,
    JobFacts,
    RetentionRule,
    SeriesFacts,
    Step,
    StudyFacts,
    WantedRun,
    judge,
)
from node.domain.study import SeriesState

T = TypeVar("T")
NOW = datetime(2030, 1, 10, tzinfo=UTC)
WEEK = timedelta(days=7)
RULE = RetentionRule(images=WEEK, rows=timedelta(days=365), committing=frozenset({"pacs"}))

FINISHED = StudyFacts(
    study_instance_uid="1.2",
    series=(SeriesFacts("1.2.1", 1, SeriesState.CLOSED, 0),),
    wanted=(WantedRun("1.2.1", 1, "lung"),),
    jobs=(JobFacts(1, "lung", ("1.2.1",), 1, JobState.COMPLETED),),
    deliveries=(DeliveryFacts(1, "pacs", DeliveryState.COMMITTED), DeliveryFacts(1, "share", DeliveryState.STORED)),
    images=3,
    last_event_at=NOW - WEEK,
)


def test_images_go_when_everything_is_confirmed_and_old_enough() -> None:
    assert judge(FINISHED, NOW, RULE).step is Step.REMOVE_IMAGES
    early = judge(FINISHED, NOW - timedelta(seconds=5), RULE)
    assert (early.step, early.again_at) == (Step.KEEP, NOW)


def test_rows_go_after_the_images() -> None:
    removed = replace(FINISHED, images=0, removed_at=NOW)
    assert judge(removed, NOW + timedelta(days=364), RULE).step is Step.KEEP
    assert judge(removed, NOW + timedelta(days=365), RULE).step is Step.REMOVE_ROWS


def test_nothing_goes_where_it_is_kept_for_ever() -> None:
    years = timedelta(days=10000)
    assert judge(FINISHED, NOW + years, replace(RULE, images=None)).step is Step.KEEP
    assert judge(replace(FINISHED, images=0, removed_at=NOW), NOW + years, replace(RULE, rows=None)).step is Step.KEEP


def test_a_study_that_nobody_wanted_is_finished() -> None:
    nothing = replace(FINISHED, wanted=(), jobs=(), deliveries=())
    assert judge(nothing, NOW, RULE).step is Step.REMOVE_IMAGES


def test_what_came_but_has_no_row_yet_counts_as_an_event() -> None:
    behind = replace(FINISHED, recorded_until=NOW - timedelta(seconds=1))
    assert judge(behind, NOW, RULE).step is Step.KEEP
    assert judge(behind, NOW + WEEK, RULE).step is Step.KEEP


def with_job(state: str, revision: int = 1, **changes: object) -> StudyFacts:
    return replace(FINISHED, jobs=(JobFacts(1, "lung", ("1.2.1",), revision, state),), **changes)  # type: ignore[arg-type]


@pytest.mark.parametrize(
    "facts",
    [
        replace(FINISHED, series=(SeriesFacts("1.2.1", 1, SeriesState.RECEIVING, 0),)),
        replace(FINISHED, series=(SeriesFacts("1.2.1", 1, SeriesState.CLOSED, 1),)),
        replace(FINISHED, jobs=()),
        with_job(JobState.SCHEDULED),
        with_job(JobState.IN_PROGRESS),
        with_job(JobState.FAILED),
        replace(FINISHED, deliveries=(DeliveryFacts(1, "pacs", DeliveryState.STORED),)),
        replace(FINISHED, deliveries=(DeliveryFacts(1, "share", DeliveryState.SCHEDULED),)),
        replace(FINISHED, deliveries=(DeliveryFacts(1, "share", DeliveryState.STORED, looked_for=True),)),
        replace(FINISHED, deliveries=(DeliveryFacts(1, "share", DeliveryState.IN_PROGRESS),)),
        replace(FINISHED, deliveries=(DeliveryFacts(1, "pacs", DeliveryState.FAILED),)),
    ],
)
def test_an_unfinished_study_is_kept_and_looked_at_again(facts: StudyFacts) -> None:
    for rows in (facts, replace(facts, images=0, removed_at=NOW)):
        verdict = judge(rows, NOW + timedelta(days=10000), RULE)
        assert verdict.step is Step.KEEP
        assert verdict.reason
        assert verdict.again_at == NOW + timedelta(days=10001)


def test_what_an_operator_canceled_is_finished() -> None:
    canceled = with_job(JobState.CANCELED, deliveries=(DeliveryFacts(1, "pacs", DeliveryState.CANCELED),))
    assert judge(canceled, NOW, RULE).step is Step.REMOVE_IMAGES


@pytest.mark.parametrize(
    ("series_revision", "later"),
    [
        (1, JobFacts(2, "lung", ("1.2.1",), 1, JobState.COMPLETED)),
        (2, JobFacts(2, "lung", ("1.2.1",), 2, JobState.COMPLETED)),
    ],
)
def test_an_old_failure_counts_no_more(series_revision: int, later: JobFacts) -> None:
    failed = JobFacts(1, "lung", ("1.2.1",), 1, JobState.FAILED)
    facts = replace(
        FINISHED,
        series=(SeriesFacts("1.2.1", series_revision, SeriesState.CLOSED, 0),),
        wanted=(WantedRun("1.2.1", series_revision, "lung"),),
        jobs=(failed, later),
        deliveries=(DeliveryFacts(1, "pacs", DeliveryState.FAILED), DeliveryFacts(2, "pacs", DeliveryState.COMMITTED)),
    )
    assert judge(facts, NOW, RULE).step is Step.REMOVE_IMAGES
    assert judge(replace(facts, jobs=(failed, replace(later, state=JobState.FAILED))), NOW, RULE).step is Step.KEEP
    assert judge(replace(facts, jobs=(failed, replace(later, model="other"))), NOW, RULE).step is Step.KEEP


SERIES = st.sampled_from(["1.2.1", "1.2.2"])
REVISION = st.sampled_from([1, 1, 1, 2, 3])


def mostly(usual: list[T], every: Iterable[T]) -> st.SearchStrategy[T]:
    """So that a study with a single blemish comes often."""
    return st.sampled_from([*usual * 8, *every])


JOBS = st.lists(
    st.builds(
        JobFacts,
        id=st.integers(1, 9),
        model=st.sampled_from(["lung", "brain"]),
        series_instance_uids=SERIES.map(lambda uid: (uid,)),
        revision=REVISION,
        state=mostly([JobState.COMPLETED], JobState),
        superseded=mostly([False], [True]),
    ),
    max_size=4,
    unique_by=lambda job: job.id,
).map(tuple)
FACTS = st.builds(
    StudyFacts,
    study_instance_uid=st.just("1.2"),
    series=st.tuples(
        *(
            st.builds(SeriesFacts, st.just(uid), REVISION, mostly([SeriesState.CLOSED], SeriesState), mostly([0], [1]))
            for uid in ("1.2.1", "1.2.2")
        )
    ),
    wanted=st.lists(st.builds(WantedRun, SERIES, REVISION, st.sampled_from(["lung", "brain"])), max_size=2).map(tuple),
    jobs=JOBS,
    deliveries=st.lists(
        st.builds(
            DeliveryFacts,
            st.integers(1, 9),
            st.sampled_from(["pacs", "share"]),
            mostly([DeliveryState.COMMITTED], DeliveryState),
        ),
        max_size=3,
    ).map(tuple),
    images=st.integers(0, 3),
    last_event_at=st.just(NOW - timedelta(days=4000)),
    removed_at=st.sampled_from([None, NOW - timedelta(days=3000)]),
    recorded_until=st.sampled_from([None, NOW]),
)


@settings(deadline=None, max_examples=500)
@given(FACTS)
def test_an_unfinished_study_is_never_chosen(facts: StudyFacts) -> None:
    """The same rule, said the other way round: for what goes, every series has its confirmed end."""
    verdict = judge(facts, NOW, RULE)
    assert verdict.again_at > NOW
    if verdict.step is Step.KEEP:
        assert verdict.reason
        return
    assert verdict.step is (Step.REMOVE_IMAGES if facts.images else Step.REMOVE_ROWS)
    for series in facts.series:
        assert (series.state, series.open_associations) == (SeriesState.CLOSED, 0)
        latest = [
            job
            for job in facts.jobs
            if series.series_instance_uid in job.series_instance_uids and job.revision >= series.revision
        ]
        for model in ("lung", "brain"):
            ran = [job for job in latest if job.model == model]
            if WantedRun(series.series_instance_uid, series.revision, model) in facts.wanted:
                assert ran, "a job that is wanted is there"
            failed_last = [job for job in ran if job.state == JobState.FAILED and not job.superseded]
            for job in failed_last:
                assert any((one.revision, one.id) > (job.revision, job.id) for one in ran)
    assert not {JobState.SCHEDULED, JobState.IN_PROGRESS} & {job.state for job in facts.jobs}
    states = {(one.destination, one.state) for one in facts.deliveries}
    assert ("pacs", DeliveryState.STORED) not in states
    assert not {DeliveryState.SCHEDULED, DeliveryState.IN_PROGRESS} & {state for _, state in states}
