"""Taking away what is over, in short transactions (``ports.RetentionRecord``).

Every transaction reads the facts again and asks for the judgement again; rows of the study's series are locked for it.
What a crash leaves is found by the same queries: rows go in an order in which the rest is as finished as the whole.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from datetime import datetime
from typing import Any

from sqlalchemy import ColumnElement, Connection, Engine, Table, and_, delete, exists, or_, select, update

from node.database.removals import to_be_freed
from node.database.retention_facts import facts_of
from node.database.tables import (
    admission,
    alert,
    assessment,
    association,
    commitment,
    commitment_delivery,
    delivery,
    instance,
    job,
    result,
    review,
    series,
    series_association,
    study,
)
from node.database.unit_of_work import UnitOfWork
from node.domain.assessment import AssessmentState
from node.domain.result import report_key_of
from node.domain.retention import Step, StudyFacts, Verdict
from node.ports import Clock
from node.ports.retention import Kept

Judge = Callable[[StudyFacts], Verdict]


class SqlRetentionRecord:
    def __init__(self, engine: Engine, clock: Clock) -> None:
        self._work = UnitOfWork(engine)
        self._clock = clock

    def due(self, received_before: datetime, now: datetime, limit: int) -> Sequence[StudyFacts]:
        come = select(study.c.study_instance_uid).where(study.c.retain_at <= now).order_by(study.c.retain_at)
        never = and_(study.c.retain_at.is_(None), study.c.received_at <= received_before)
        new = select(study.c.study_instance_uid).where(never).order_by(study.c.received_at)
        with self._work.read() as connection:
            uids = list(connection.execute(come.limit(limit)).scalars())
            uids += connection.execute(new.limit(limit - len(uids))).scalars()
            return facts_of(connection, uids, now)

    def look_again(self, at: Mapping[str, datetime]) -> None:
        def step(connection: Connection) -> None:
            for uid, when in at.items():
                connection.execute(update(study).where(study.c.study_instance_uid == uid).values(retain_at=when))

        if at:
            self._work.write(step)

    def remove_images(self, study_instance_uid: str, judge: Judge, limit: int) -> int:
        def step(connection: Connection) -> int:
            if not self._judged(connection, study_instance_uid, judge, Step.REMOVE_IMAGES):
                return 0
            return _remove_images(connection, study_instance_uid, limit, self._clock.now())

        return self._work.write(step)

    def remove_rows(self, study_instance_uid: str, judge: Judge, limit: int) -> int:
        def step(connection: Connection) -> int:
            if not self._judged(connection, study_instance_uid, judge, Step.REMOVE_ROWS):
                return 0
            return _remove_rows(connection, study_instance_uid, limit, self._clock.now())

        return self._work.write(step)

    def remove_associations(self, ended_before: datetime, limit: int) -> int:
        named = exists().where(series_association.c.association_id == association.c.id)
        over = and_(association.c.ended_at <= ended_before, ~named)
        chosen = select(association.c.id).where(over).order_by(association.c.ended_at).limit(limit)
        with self._work.read() as connection:
            ids = list(connection.execute(chosen).scalars())
        if not ids:
            return 0
        gone = delete(association).where(association.c.id.in_(ids), ~named)
        return self._work.write(lambda connection: connection.execute(gone).rowcount)

    def _judged(self, connection: Connection, study_uid: str, judge: Judge, wanted: Step) -> bool:
        """Whether the study, as it is now and stays until the commit, is still to be treated so."""
        known = select(study.c.study_instance_uid).where(study.c.study_instance_uid == study_uid).with_for_update()
        if connection.execute(known).first() is None:
            return False
        connection.execute(select(series.c.id).where(series.c.study_instance_uid == study_uid).with_for_update()).all()
        (facts,) = facts_of(connection, [study_uid], self._clock.now())
        return judge(facts).step is wanted


def _remove_images(connection: Connection, study_uid: str, limit: int, now: datetime) -> int:
    of_study = select(series.c.id).where(series.c.study_instance_uid == study_uid)
    there = and_(instance.c.series_id.in_(of_study), instance.c.removed_at.is_(None))
    rows = connection.execute(select(instance.c.id, instance.c.storage_key).where(there).limit(limit)).all()
    ids = [row.id for row in rows]
    connection.execute(update(instance).where(instance.c.id.in_(ids)).values(removed_at=now))
    to_be_freed(connection, Kept.INSTANCES, [row.storage_key for row in rows], now)
    return len(rows)


def _remove_rows(connection: Connection, study_uid: str, limit: int, now: datetime) -> int:
    """Judgements go before jobs, jobs before series: what is left never looks unfinished."""
    series_ids = select(series.c.id).where(series.c.study_instance_uid == study_uid)
    series_uids = select(series.c.series_instance_uid).where(series.c.study_instance_uid == study_uid)
    job_ids = select(job.c.id).where(job.c.study_instance_uid == study_uid)
    about = or_(alert.c.study_instance_uid == study_uid, alert.c.subject == study_uid, alert.c.subject.in_(series_uids))
    steps: tuple[Callable[[], int], ...] = (
        lambda: _delete_some(connection, admission, admission.c.series_id.in_(series_ids), limit),
        lambda: _remove_deliveries(connection, job_ids, limit),
        lambda: _remove_results(connection, job_ids, limit, now),
        lambda: _forget_assessments(connection, job_ids, limit),
        lambda: _delete_some(connection, job, job.c.study_instance_uid == study_uid, limit),
        lambda: _delete_some(connection, review, review.c.study_instance_uid == study_uid, limit),
        lambda: _delete_some(connection, alert, about, limit),
        lambda: _delete_some(connection, instance, instance.c.series_id.in_(series_ids), limit),
        lambda: _delete_links(connection, series_ids),
        lambda: _delete_some(connection, series, series.c.study_instance_uid == study_uid, limit),
        lambda: connection.execute(delete(study).where(study.c.study_instance_uid == study_uid)).rowcount,
    )
    gone = 0
    for step in steps:
        gone += step()
        if gone >= limit:
            return gone
    return gone


def _delete_some(connection: Connection, table: Table, wanted: ColumnElement[bool], limit: int) -> int:
    ids = list(connection.execute(select(table.c.id).where(wanted).limit(limit)).scalars())
    return connection.execute(delete(table).where(table.c.id.in_(ids))).rowcount if ids else 0


def _forget_assessments(connection: Connection, job_ids: Any, limit: int) -> int:
    """How often a model was confirmed stays known; of whom, by whom and in which words does not."""
    # The oldest first: what was said later of a job decides whether it counts.
    of_jobs = select(assessment.c.id).where(assessment.c.job_id.in_(job_ids)).order_by(assessment.c.id)
    ids = list(connection.execute(of_jobs.limit(limit)).scalars())
    if not ids:
        return 0
    chosen, later = assessment.c.id.in_(ids), assessment.alias()
    counts = assessment.c.state != AssessmentState.UNDONE
    said_later = exists().where(
        later.c.job_id == assessment.c.job_id, later.c.id > assessment.c.id, later.c.state != AssessmentState.UNDONE
    )
    gone = connection.execute(delete(assessment).where(chosen, or_(~counts, said_later))).rowcount
    nobody: dict[str, Any] = {"job_id": None, "study_instance_uid": None, "said_by": "", "reason": "", "corrected": []}
    return gone + connection.execute(update(assessment).where(chosen).values(**nobody)).rowcount


def _delete_links(connection: Connection, series_ids: Any) -> int:
    return connection.execute(delete(series_association).where(series_association.c.series_id.in_(series_ids))).rowcount


def _remove_deliveries(connection: Connection, job_ids: Any, limit: int) -> int:
    """With the commitments that were asked for nothing else."""
    ids = list(connection.execute(select(delivery.c.id).where(delivery.c.job_id.in_(job_ids)).limit(limit)).scalars())
    if not ids:
        return 0
    asked = commitment_delivery.c.delivery_id.in_(ids)
    transactions = set(connection.execute(select(commitment_delivery.c.transaction_uid).where(asked)).scalars())
    connection.execute(delete(commitment_delivery).where(asked))
    for_others = exists().where(commitment_delivery.c.transaction_uid == commitment.c.transaction_uid)
    connection.execute(delete(commitment).where(commitment.c.transaction_uid.in_(transactions), ~for_others))
    return connection.execute(delete(delivery).where(delivery.c.id.in_(ids))).rowcount


def _remove_results(connection: Connection, job_ids: Any, limit: int, now: datetime) -> int:
    """A second run wrote the very same objects: their bytes go with the last row that names them.

    Heat maps have no row of their own; they go with the report that they are kept beside.
    """
    heat_maps = job.c.provenance["heat_maps"]["storage_key"].as_string().label("heat_maps")
    of_jobs = select(result.c.id, result.c.storage_key, heat_maps).join(job, job.c.id == result.c.job_id)
    wanted = of_jobs.where(result.c.job_id.in_(job_ids)).limit(limit)
    rows = connection.execute(wanted).all()
    if not rows:
        return 0
    connection.execute(delete(result).where(result.c.id.in_([row.id for row in rows])))
    keys = {row.storage_key for row in rows}
    still = set(connection.execute(select(result.c.storage_key).where(result.c.storage_key.in_(keys))).scalars())
    gone = keys - still
    beside = {row.heat_maps for row in rows if row.heat_maps and report_key_of(row.heat_maps) in gone}
    to_be_freed(connection, Kept.RESULTS, sorted(gone | beside), now)
    return len(rows)
