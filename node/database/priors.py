"""Jobs that wait for priors (``ports.PriorRecord``)."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from sqlalchemy import Connection, Engine, and_, case, func, literal, select, update

from node.database.statements import in_state
from node.database.tables import instance, job, series, study
from node.database.types import UtcDateTime
from node.database.unit_of_work import UnitOfWork
from node.domain.job import JobState
from node.domain.prior import Candidate, Priors, PriorSeries, PriorState, PriorsWanted, WantedPriors
from node.ports import Clock

_HERE = and_(instance.c.variant == 0, instance.c.removed_at.is_(None))


class SqlPriors:
    def __init__(self, engine: Engine, clock: Clock) -> None:
        self._work = UnitOfWork(engine)
        self._clock = clock

    def waiting(self, limit: int = 20) -> Sequence[WantedPriors]:
        columns = (job.c.id, job.c.model, job.c.study_instance_uid, job.c.series_instance_uids)
        facts = (study.c.patient_id, study.c.patient_birth_date, study.c.study_date)
        wanted = select(*columns, *facts).join(study, study.c.study_instance_uid == job.c.study_instance_uid)
        wanted = wanted.where(in_state(job.c.priors_state, PriorState.WANTED), job.c.state == JobState.SCHEDULED)
        with self._work.read() as connection:
            rows = connection.execute(wanted.order_by(job.c.id).limit(limit)).all()
            return [
                WantedPriors(
                    job_id=row.id,
                    model=row.model,
                    study_instance_uid=row.study_instance_uid,
                    patient_id=row.patient_id,
                    patient_birth_date=row.patient_birth_date,
                    study_date=row.study_date,
                    series_description=_description(connection, row.study_instance_uid, row.series_instance_uids),
                )
                for row in rows
            ]

    def held(self, of: WantedPriors, wanted: PriorsWanted, first_date: str, last_date: str) -> Sequence[Candidate]:
        here = select(func.count()).where(instance.c.series_id == series.c.id, _HERE).scalar_subquery()
        columns = (study.c.study_instance_uid, study.c.study_date, study.c.patient_birth_date)
        more = (series.c.series_instance_uid, series.c.modality, series.c.body_part, series.c.series_description)
        statement = select(*columns, *more, here.label("instances")).join(
            series, series.c.study_instance_uid == study.c.study_instance_uid
        )
        of_patient = and_(study.c.patient_id == of.patient_id, study.c.study_instance_uid != of.study_instance_uid)
        in_time = and_(study.c.study_date >= first_date, study.c.study_date <= last_date)
        with self._work.read() as connection:
            rows = connection.execute(statement.where(of_patient, in_time)).all()
        return [
            Candidate(
                PriorSeries(row.study_instance_uid, row.series_instance_uid, row.study_date),
                row.series_description,
                row.instances,
            )
            for row in rows
            if row.instances
            and wanted.wants(row.modality, row.body_part)
            and is_same_person(of.patient_birth_date, row.patient_birth_date)
        ]

    def is_here(self, series_instance_uid: str, instances: int) -> bool:
        wanted = select(func.count()).select_from(instance).join(series, series.c.id == instance.c.series_id)
        with self._work.read() as connection:
            found = connection.execute(wanted.where(series.c.series_instance_uid == series_instance_uid, _HERE))
            return bool(found.scalar_one() >= instances)

    def settle(self, job_id: int, priors: Priors) -> Priors:
        now = self._clock.now()
        waits = and_(job.c.id == job_id, job.c.priors_state == PriorState.WANTED)
        due = case((job.c.state == JobState.SCHEDULED, literal(now, UtcDateTime)), else_=job.c.run_after)
        settled = {"priors_state": priors.state, "priors": priors_to_plain(priors), "run_after": due, "updated_at": now}

        def step(connection: Connection) -> Priors:
            connection.execute(update(job).where(waits).values(**settled))
            row = connection.execute(select(job.c.priors_state, job.c.priors).where(job.c.id == job_id)).one()
            holds = priors_from_plain(row.priors_state, row.priors)
            assert holds is not None
            return holds

        return self._work.write(step)


def is_same_person(one: str, other: str) -> bool:
    """By the birth dates beside the same Patient ID: the same ID may be another patient's, of another issuer."""
    return not one or not other or one == other


def priors_to_plain(priors: Priors) -> dict[str, Any]:
    return {
        "series": [
            {
                "study_instance_uid": one.study_instance_uid,
                "series_instance_uid": one.series_instance_uid,
                "study_date": one.study_date,
            }
            for one in priors.series
        ],
        "reason": priors.reason,
    }


def priors_from_plain(state: str | None, plain: Mapping[str, Any] | None) -> Priors | None:
    """None for a job that wants none."""
    if state is None:
        return None
    told = plain or {}
    return Priors(
        PriorState(state), tuple(PriorSeries(**one) for one in told.get("series", ())), told.get("reason", "")
    )


def _description(connection: Connection, study_uid: str, series_uids: Sequence[str]) -> str:
    wanted = select(series.c.series_description).where(
        series.c.study_instance_uid == study_uid, series.c.series_instance_uid.in_(series_uids)
    )
    found: str | None = connection.execute(wanted.limit(1)).scalar()
    return found or ""
