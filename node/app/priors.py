"""Looks for the earlier studies that jobs wait for: here, and in the archives; fetches them, and lets the job go."""

from __future__ import annotations

import threading
from collections.abc import Callable, Mapping, Sequence
from datetime import date, timedelta
from itertools import groupby

import structlog

from node.domain.model import ModelDescription
from node.domain.prior import Candidate, Priors, PriorSeries, PriorState, PriorsWanted, WantedPriors
from node.domain.retrieval import Purpose, RemoteSeries, RemoteStudy, StudySearch
from node.errors import AinodeError, DeliveryError
from node.ports.priors import PriorRecord
from node.ports.retrieval import Archive, Retrievals

log = structlog.get_logger()

# A look at an index that holds waiting jobs alone.
IDLE_S = 0.25
TROUBLE_S = 5.0
# So long the rows of what was fetched may take, and how often they are looked for.
ROWS_S, ROWS_POLL_S = 30.0, 0.1


class PriorFinder:
    """One thread; ``stop`` ends it between two studies. ``wait`` pauses, and is told to stop by answering True."""

    def __init__(
        self,
        record: PriorRecord,
        retrievals: Retrievals,
        archives: Sequence[Archive],
        models: Mapping[str, ModelDescription],
        wait: Callable[[float], bool],
    ) -> None:
        self._record = record
        self._retrievals = retrievals
        self._archives = archives
        self._models = models
        self._wait = wait

    def run(self, stop: threading.Event) -> None:
        while not stop.is_set():
            try:
                idle_s = 0.0 if self.run_once() else IDLE_S
            except Exception as error:  # noqa: BLE001  the loop's edge: jobs run without priors when their time is over
                log.error("priors.trouble", error=type(error).__name__)
                idle_s = TROUBLE_S
            self._wait(idle_s)

    def run_once(self) -> int:
        """How many jobs got their priors, or know that they have none."""
        waiting = self._record.waiting()
        for one in waiting:
            settled = self._record.settle(one.job_id, self._look(one))
            log.info("priors.settled", job=one.job_id, state=settled.state.value, studies=len(settled.series))
        return len(waiting)

    def _look(self, one: WantedPriors) -> Priors:
        model = self._models.get(one.model)
        wanted = None if model is None else model.priors
        if wanted is None:
            return missing("the model is not installed, or wants none any more")
        dates = dates_of(one.study_date, wanted)
        if not one.patient_id or dates is None:
            return missing("the study states no Patient ID, or no Study Date")
        problems: list[str] = []
        candidates = [*self._record.held(one, wanted, *dates), *self._remote(one, wanted, dates, problems)]
        found: list[PriorSeries] = []
        for study in by_study(candidates):
            if len(found) == wanted.at_most:
                break
            best = min(study, key=lambda each: _rank(each, one.series_description))
            try:
                self._have(best)
            except AinodeError as error:
                problems.append(f"a study did not come: {error.code}")
            else:
                found.append(best.series)
        reason = "; ".join(dict.fromkeys(problems))
        if found:
            return Priors(PriorState.READY, tuple(found), reason)
        return missing(reason or "there is no earlier study of the patient that the model wants")

    def _remote(
        self, one: WantedPriors, wanted: PriorsWanted, dates: tuple[str, str], problems: list[str]
    ) -> list[Candidate]:
        """What the archives have; one that does not answer is told, and no reason to ask no other."""
        found: list[Candidate] = []
        search = StudySearch(patient_id=one.patient_id, first_date=dates[0], last_date=dates[1])
        for archive in self._archives:
            try:
                for study in archive.studies(search):
                    if _is_of(one, study):
                        found += _candidates(study, archive, wanted)
            except DeliveryError as error:
                log.warning("priors.source_failed", source=archive.name, error=error.code)
                problems.append(f"{archive.name} did not answer: {error.code}")
        return found

    def _have(self, best: Candidate) -> None:
        """
        Raises:
            DeliveryError: it did not come.
        """
        if not best.source:
            return
        (archive,) = [one for one in self._archives if one.name == best.source]
        uid = best.series.study_instance_uid
        self._retrievals.request(uid, archive.name, archive.ae_title, Purpose.PRIOR)
        try:
            completed = archive.retrieve(uid, [best.series.series_instance_uid]).completed
        except DeliveryError as error:
            self._retrievals.failed(uid, error.code)
            raise
        self._retrievals.fetched(uid, completed)
        for _ in range(int(ROWS_S / ROWS_POLL_S)):
            if self._record.is_here(best.series.series_instance_uid, max(best.instances, completed, 1)):
                return
            if self._wait(ROWS_POLL_S):
                break
        raise DeliveryError("it came, and its rows did not")


def missing(reason: str) -> Priors:
    return Priors(PriorState.MISSING, reason=reason)


def dates_of(study_date: str, wanted: PriorsWanted) -> tuple[str, str] | None:
    """The first and the last Study Date that a prior may have; None where the study's own is none.

    Earlier means of an earlier day: what came on the same day may be a part of the same examination.
    """
    try:
        day = date.fromisoformat(study_date)
        first = "00010101" if wanted.max_age_days is None else f"{day - timedelta(wanted.max_age_days):%Y%m%d}"
        return first, f"{day - timedelta(1):%Y%m%d}"
    except (ValueError, OverflowError):
        return None


def by_study(candidates: Sequence[Candidate]) -> list[list[Candidate]]:
    """The series of each study, the newest study first; what is here stands for what an archive has of it."""
    ordered = sorted(candidates, key=lambda one: (one.series.study_date, one.series.study_instance_uid), reverse=True)
    found = [list(group) for _, group in groupby(ordered, key=lambda one: one.series.study_instance_uid)]
    return [[one for one in study if not one.source] or study for study in found]


def _rank(one: Candidate, description: str) -> tuple[bool, int, str]:
    """The series that is called like the one of the job, then the largest, then that of the lowest UID."""
    return one.description != description, -one.instances, one.series.series_instance_uid


def _is_of(one: WantedPriors, study: RemoteStudy) -> bool:
    """Whether the archive's study is another one of this patient: the same ID may be somebody else's."""
    same_day = not one.patient_birth_date or not study.patient_birth_date
    same_person = same_day or one.patient_birth_date == study.patient_birth_date
    return (
        study.study_instance_uid != one.study_instance_uid
        and study.patient_id == one.patient_id
        and same_person
        and study.study_date != ""
    )


def _candidates(study: RemoteStudy, archive: Archive, wanted: PriorsWanted) -> list[Candidate]:
    if wanted.modalities and study.modalities and not set(wanted.modalities) & set(study.modalities):
        return []
    return [
        _candidate(study, one, archive)
        for one in archive.series(study.study_instance_uid)
        if wanted.wants(one.modality, one.body_part)
    ]


def _candidate(study: RemoteStudy, one: RemoteSeries, archive: Archive) -> Candidate:
    series = PriorSeries(study.study_instance_uid, one.series_instance_uid, study.study_date)
    return Candidate(series, one.description, one.instances or 0, archive.name)
