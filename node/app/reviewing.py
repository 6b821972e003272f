"""How a study stands for whoever is to read it: what each model says of it now, from the rows that the pages show."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from node.app.records import Records
from node.config import ReviewSection
from node.database.unit_of_work import UnitOfWork
from node.domain.document import failure_reason
from node.domain.job import JobState, Priority
from node.domain.result import Outcome
from node.domain.review import Said, Standing
from node.show import outcome
from node.show.outcome import StudyRows

Row = Mapping[str, Any]
CANCELED = "The analysis was canceled; the images were not evaluated"
NO_JOB = "There is no run of it; the images were not evaluated"


class Standings:
    def __init__(self, records: Records, section: ReviewSection) -> None:
        self._work = UnitOfWork(records.engine)
        self._worklist = records.worklist
        self._section = section

    def __call__(self, study_instance_uid: str) -> Standing | None:
        with self._work.read() as connection:
            about = self._worklist.about(connection, [study_instance_uid])[study_instance_uid]
        return standing(study_instance_uid, about, self._section.after == "delivery")


def standing(study_instance_uid: str, about: StudyRows, after_delivery: bool) -> Standing | None:
    """``after_delivery``: it may be read when its results are where they are to be, or will not come there."""
    if not about.series:
        return None
    jobs = [job for job in about.jobs if job["superseded_at"] is None]
    # Where every run was canceled, nobody wanted to know.
    wanted = [job for job in jobs if job["state"] != JobState.CANCELED]
    evaluated = outcome.is_evaluated(about)
    return Standing(
        study_instance_uid=study_instance_uid,
        accession_number=jobs[-1]["accession_number"] if jobs else "",
        basis=_basis(jobs),
        evaluated=evaluated,
        ready=outcome.finality(about).final if after_delivery else evaluated,
        said=tuple(_said(about, jobs)) if wanted and evaluated else (),
        series=tuple(dict.fromkeys(uid for job in jobs for uid in job["series_instance_uids"])),
        jobs=tuple(job["id"] for job in jobs),
        urgent=any(job["priority"] == Priority.HIGH for job in jobs),
    )


def _basis(jobs: Sequence[Row]) -> str:
    """Of every run what it was made of and how it ended; one that is run again is another workitem."""
    facts = sorted(
        [job["workitem_uid"] or "", job["state"], job["outcome"] or "", job["withdrawn_at"] is not None] for job in jobs
    )
    return hashlib.sha256(json.dumps(facts).encode()).hexdigest()


def _said(about: StudyRows, jobs: Sequence[Row]) -> Iterator[Said]:
    """What each model says of the study, and what else it says of single series: no series hides another."""
    for model, found in outcome.outcomes(about).items():
        if found is Outcome.NOT_WANTED:
            continue
        by_outcome = {_outcome_of(job): job for job in _runs(jobs, model)}
        yield _of_model(model, found, by_outcome.get(found))
        for other in sorted(by_outcome.keys() - {found}, key=outcome.IMPORTANCE.index):
            yield _of_model(model, other, by_outcome[other])


def _of_model(model: str, found: Outcome, job: Row | None) -> Said:
    return Said(model, "" if job is None else job["model_version"], found, _reason(found, job))


def _runs(jobs: Sequence[Row], model: str) -> Iterator[Row]:
    """For each series the run that counts: the last one; one that was canceled where there is no other."""
    of_model = [job for job in jobs if job["model"] == model]
    ordered = sorted(of_model, key=lambda job: (job["state"] != JobState.CANCELED, job["id"]))
    yield from {tuple(job["series_instance_uids"]): job for job in ordered}.values()


def _outcome_of(job: Row) -> Outcome:
    if job["withdrawn_at"] is not None:
        return Outcome.WITHDRAWN
    return Outcome(job["outcome"]) if job["state"] == JobState.COMPLETED else Outcome.FAILED


def _reason(found: Outcome, job: Row | None) -> str:
    if found in (Outcome.POSITIVE, Outcome.NEGATIVE, Outcome.WITHDRAWN):
        return ""
    if job is None:
        return NO_JOB
    if job["state"] == JobState.CANCELED:
        return CANCELED
    if found is Outcome.FAILED:
        return failure_reason(job["error_code"] or "").text
    return str((job["reason"] or {}).get("text") or "")
