"""How long images and rows are kept: the decision, from the facts about one study. Pure."""

from __future__ import annotations

import enum
from collections.abc import Collection, Iterator
from dataclasses import dataclass
from datetime import datetime, timedelta

from node.domain.delivery import DeliveryState
from node.domain.job import JobState
from node.domain.study import SeriesState

UNDER_WAY = frozenset({JobState.SCHEDULED, JobState.IN_PROGRESS})
ON_THE_WAY = frozenset({DeliveryState.SCHEDULED, DeliveryState.IN_PROGRESS})
# At the latest then a study is looked at again, so that a changed configuration takes effect.
UNFINISHED_AGAIN = timedelta(days=1)
KEPT_AGAIN = timedelta(days=30)
AT_LEAST = timedelta(seconds=1)


@dataclass(frozen=True, slots=True)
class SeriesFacts:
    """``open_associations`` counts those that brought images of the series and have not ended."""

    series_instance_uid: str
    revision: int
    state: str
    open_associations: int


@dataclass(frozen=True, slots=True)
class WantedRun:
    """A judgement that asks for a job: ADMITTED or NOT EVALUABLE."""

    series_instance_uid: str
    revision: int
    model: str


@dataclass(frozen=True, slots=True)
class JobFacts:
    """``superseded``: a newer job, or a newer judgement, stands for it. ``document_due``: one is to be written."""

    id: int
    model: str
    series_instance_uids: tuple[str, ...]
    revision: int
    state: str
    superseded: bool = False
    document_due: bool = False


@dataclass(frozen=True, slots=True)
class DeliveryFacts:
    """``looked_for``: it is not read back yet."""

    job_id: int
    destination: str
    state: str
    looked_for: bool = False


@dataclass(frozen=True, slots=True)
class StudyFacts:
    """``images`` counts the instances whose bytes are kept; ``removed_at`` is when bytes were last removed.

    ``last_event_at`` is the newest time in any row about the study. ``recorded_until``: what came later than that may
    not have its rows yet; None where every row is written.
    """

    study_instance_uid: str
    series: tuple[SeriesFacts, ...]
    wanted: tuple[WantedRun, ...]
    jobs: tuple[JobFacts, ...]
    deliveries: tuple[DeliveryFacts, ...]
    images: int
    last_event_at: datetime
    removed_at: datetime | None = None
    recorded_until: datetime | None = None


@dataclass(frozen=True, slots=True)
class RetentionRule:
    """``committing`` names the destinations whose deliveries are confirmed by COMMITTED; STORED confirms the others.

    A time of None keeps for ever.
    """

    images: timedelta | None
    rows: timedelta | None
    committing: Collection[str]


class Step(enum.StrEnum):
    KEEP = "KEEP"
    REMOVE_IMAGES = "REMOVE_IMAGES"
    REMOVE_ROWS = "REMOVE_ROWS"


@dataclass(frozen=True, slots=True)
class Verdict:
    """``again_at`` is when the study is looked at next; ``reason`` says in words why it is kept."""

    step: Step
    again_at: datetime
    reason: str = ""


def judge(facts: StudyFacts, now: datetime, rule: RetentionRule) -> Verdict:
    """Images first, rows later, and nothing of a study that is not finished."""
    reason = next(unfinished(facts, rule.committing), None)
    if reason is not None:
        return Verdict(Step.KEEP, now + _soon(rule), reason)
    if facts.images:
        return _aged(facts.last_event_at, rule.images, _known(facts, now), now, Step.REMOVE_IMAGES)
    since = max(facts.last_event_at, facts.removed_at or facts.last_event_at)
    return _aged(since, rule.rows, _known(facts, now), now, Step.REMOVE_ROWS)


def unfinished(facts: StudyFacts, committing: Collection[str]) -> Iterator[str]:
    """Everything that a finished study has not, in words.

    A failure of an older run counts no more once its series was judged anew or the model ran again; what an operator
    canceled is finished by that.
    """
    outdated = frozenset(job.id for job in facts.jobs if _is_outdated(facts, job))
    yield from _receiving(facts)
    yield from _processing(facts, outdated)
    yield from _delivering(facts, outdated, committing)


def _receiving(facts: StudyFacts) -> Iterator[str]:
    for series in facts.series:
        if series.state != SeriesState.CLOSED:
            yield "a series is still open"
        if series.open_associations:
            yield "an association that brought images of it is open"


def _processing(facts: StudyFacts, outdated: Collection[int]) -> Iterator[str]:
    for wanted in facts.wanted:
        if _is_current(facts, wanted.series_instance_uid, wanted.revision) and not _has_job(facts, wanted):
            yield "a job that is wanted does not exist"
    for job in facts.jobs:
        if job.state in UNDER_WAY:
            yield "a job is under way"
        elif job.document_due:
            yield "a document about a job is to be written"
        elif job.state == JobState.FAILED and job.id not in outdated:
            yield "a job failed"


def _delivering(facts: StudyFacts, outdated: Collection[int], committing: Collection[str]) -> Iterator[str]:
    for delivery in facts.deliveries:
        if delivery.state in ON_THE_WAY:
            yield "a delivery is under way"
        elif delivery.state == DeliveryState.STORED and delivery.destination in committing:
            yield "a delivery is not committed yet"
        elif delivery.looked_for:
            yield "a delivery is not read back yet"
        elif delivery.state == DeliveryState.FAILED and delivery.job_id not in outdated:
            yield "a delivery failed"


def _known(facts: StudyFacts, now: datetime) -> datetime:
    return now if facts.recorded_until is None else min(now, facts.recorded_until)


def _aged(since: datetime, kept: timedelta | None, known: datetime, now: datetime, step: Step) -> Verdict:
    """``step`` when nothing happened for as long as it is kept."""
    if kept is None:
        return Verdict(Step.KEEP, now + KEPT_AGAIN, "it is kept for ever")
    due_at = since + kept
    if known >= due_at:
        return Verdict(step, now + KEPT_AGAIN)
    return Verdict(Step.KEEP, min(max(due_at, now + AT_LEAST), now + KEPT_AGAIN), "it is not old enough")


def _soon(rule: RetentionRule) -> timedelta:
    return UNFINISHED_AGAIN if rule.images is None else max(AT_LEAST, min(rule.images, UNFINISHED_AGAIN))


def _is_current(facts: StudyFacts, series_instance_uid: str, revision: int) -> bool:
    return any(
        series.series_instance_uid == series_instance_uid and series.revision == revision for series in facts.series
    )


def _has_job(facts: StudyFacts, wanted: WantedRun) -> bool:
    return any(
        job.model == wanted.model
        and job.revision == wanted.revision
        and wanted.series_instance_uid in job.series_instance_uids
        for job in facts.jobs
    )


def _is_outdated(facts: StudyFacts, job: JobFacts) -> bool:
    """The same model ran later on the same series, or one of its series was judged anew."""
    later = any(
        other.model == job.model
        and set(other.series_instance_uids) == set(job.series_instance_uids)
        and (other.revision, other.id) > (job.revision, job.id)
        and other.state != JobState.CANCELED
        for other in facts.jobs
    )
    judged_anew = any(
        series.series_instance_uid in job.series_instance_uids and series.revision > job.revision
        for series in facts.series
    )
    return job.superseded or later or judged_anew
