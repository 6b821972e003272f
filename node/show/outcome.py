"""What people call the status of a study, computed from its series, jobs and deliveries; never stored."""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from node.domain.admission import Verdict
from node.domain.delivery import DeliveryState
from node.domain.document import ResultKind
from node.domain.job import JobState
from node.domain.result import Outcome
from node.domain.study import SeriesState
from node.errors import OutcomeNotChosen

Row = Mapping[str, Any]

# What one model says of a study of several series: the first of these that occurs. What is missing, because it failed
# or is yet to come, is never hidden behind a result that finds nothing.
IMPORTANCE = (
    Outcome.POSITIVE,
    Outcome.FAILED,
    Outcome.PENDING,
    Outcome.WITHDRAWN,
    Outcome.NOT_EVALUABLE,
    Outcome.NEGATIVE,
    Outcome.NOT_WANTED,
)
UNDER_WAY = frozenset({JobState.SCHEDULED, JobState.IN_PROGRESS})
ON_THE_WAY = frozenset({DeliveryState.SCHEDULED, DeliveryState.IN_PROGRESS})
NOT_DELIVERED = frozenset({DeliveryState.FAILED, DeliveryState.CANCELED})


@dataclass(frozen=True, slots=True)
class Finality:
    """``known``: something of the study was received. ``final``: nothing about it will change by itself.

    ``failed``: a result that was wanted does not exist, or did not reach a destination.
    """

    known: bool
    final: bool
    failed: bool


@dataclass(frozen=True, slots=True)
class StudyRows:
    """The rows about one study. ``admissions`` hold their series' UID and are those of its latest judgement.

    ``committing`` names the destinations whose deliveries are final only when committed; None means all.
    ``reading_back`` names those at which what was stored is looked for.
    """

    series: Sequence[Row]
    admissions: Sequence[Row]
    jobs: Sequence[Row]
    deliveries: Sequence[Row]
    committing: Collection[str] | None = None
    reading_back: Collection[str] = ()


def outcomes(study: StudyRows) -> dict[str, Outcome]:
    """For each model that judged, or ran on, a series of the study, its outcome."""
    found: dict[str, set[Outcome]] = {}
    for model, outcome in _every_outcome(study):
        found.setdefault(model, set()).add(outcome)
    return {model: next(one for one in IMPORTANCE if one in found[model]) for model in sorted(found)}


def finality(study: StudyRows) -> Finality:
    return Finality(
        known=bool(study.series),
        final=bool(study.series) and not (_receiving(study) or _processing(study) or _delivering(study)),
        failed=_failed(study),
    )


def is_evaluated(study: StudyRows) -> bool:
    """Nothing of it is being received or analysed."""
    return bool(study.series) and not (_receiving(study) or _processing(study))


def state(study: StudyRows) -> str:
    """RECEIVING, PROCESSING, DELIVERING, FAILED or COMPLETED: the first that holds."""
    if _receiving(study):
        return "RECEIVING"
    if _processing(study):
        return "PROCESSING"
    if _delivering(study):
        return "DELIVERING"
    return "FAILED" if _failed(study) else "COMPLETED"


def _every_outcome(study: StudyRows) -> Iterator[tuple[str, Outcome]]:
    """Of every model and series by themselves."""
    verdicts: dict[tuple[str, str], str | None] = {}
    revisions = {row["series_instance_uid"]: row["revision"] for row in study.series}
    for job in study.jobs:
        # A model that came later runs when an operator asks for it, without a judgement of its own.
        for series in job["series_instance_uids"]:
            if revisions.get(series) == job["revision"]:
                verdicts[job["model"], series] = None
    for admission in study.admissions:
        verdicts[admission["model"], admission["series_instance_uid"]] = admission["verdict"]
    states = {row["series_instance_uid"]: row["state"] for row in study.series}
    for (model, series), verdict in verdicts.items():
        if states[series] == SeriesState.RECEIVING:
            # Images came after the judgement: it will be made anew.
            yield model, Outcome.PENDING
        else:
            jobs = [job for job in study.jobs if _is_for(job, model, series, revisions[series])]
            yield model, _outcome(verdict, jobs)


def _outcome(verdict: str | None, jobs: Sequence[Row]) -> Outcome:
    job = _decisive(jobs)
    if job is not None:
        return _outcome_of_job(job)
    if verdict == Verdict.NOT_WANTED:
        return Outcome.NOT_WANTED
    return Outcome.NOT_EVALUABLE if verdict == Verdict.NOT_EVALUABLE else Outcome.FAILED


def _is_for(job: Row, model: str, series: str, revision: int) -> bool:
    return job["model"] == model and job["revision"] == revision and series in job["series_instance_uids"]


def _decisive(jobs: Sequence[Row]) -> Row | None:
    """The latest run; one that was canceled counts only where there is no other."""
    ordered = sorted(jobs, key=lambda job: (job["state"] != JobState.CANCELED, job["id"]))
    return ordered[-1] if ordered else None


def _outcome_of_job(job: Row) -> Outcome:
    if job["state"] in UNDER_WAY:
        return Outcome.PENDING
    if job["withdrawn_at"] is not None:
        return Outcome.WITHDRAWN
    if job["state"] == JobState.COMPLETED:
        return Outcome(job["outcome"])
    return Outcome.FAILED


def _receiving(study: StudyRows) -> bool:
    return any(series["state"] == SeriesState.RECEIVING for series in study.series)


def _processing(study: StudyRows) -> bool:
    return any(job["state"] in UNDER_WAY for job in study.jobs)


def _delivering(study: StudyRows) -> bool:
    """Also while a document is still to be written: that a job failed is told to the destinations, too."""
    return any(job["document_due_at"] is not None for job in study.jobs) or any(
        delivery["state"] in ON_THE_WAY
        or (delivery["state"] == DeliveryState.STORED and is_to_commit(study, delivery))
        # What is not found is sent again.
        or delivery.get("read_back_due") is not None
        for delivery in study.deliveries
    )


def is_to_read_back(study: StudyRows, delivery: Row) -> bool:
    return delivery.get("read_back_at") is not None or delivery["destination"] in study.reading_back


def is_to_commit(study: StudyRows, delivery: Row) -> bool:
    return study.committing is None or delivery["destination"] in study.committing


def _failed(study: StudyRows) -> bool:
    """Also where one series failed and another was POSITIVE, or a withdrawal could not be told."""
    jobs = {job["id"]: job for job in study.jobs}
    return (
        any(outcome is Outcome.FAILED for _, outcome in _every_outcome(study))
        or any(job["withdrawn_at"] and job["document_error"] and not job["document_due_at"] for job in study.jobs)
        or any(
            delivery["state"] in NOT_DELIVERED
            and is_chosen(delivery)
            and not out_of_date(delivery, jobs[delivery["job"]])
            for delivery in study.deliveries
        )
    )


def is_chosen(delivery: Row) -> bool:
    """Whether the destination is to be told of this outcome: what is not chosen is neither missing nor on its way."""
    return (delivery["state"], delivery.get("error_code")) != (DeliveryState.CANCELED, OutcomeNotChosen.code)


def out_of_date(delivery: Row, job: Row) -> bool:
    """That an object did not arrive is no loss where another one, or none, is to be read in its place."""
    failure_before_success = delivery["kind"] == ResultKind.FAILED and job["state"] == JobState.COMPLETED
    withdrawn = job["withdrawn_at"] is not None and delivery["kind"] != ResultKind.REJECTION
    return job["superseded_at"] is not None or failure_before_success or withdrawn
