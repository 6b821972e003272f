"""The record of associations, studies, series and instances (``ports.Catalogue``)."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Any

from sqlalchemy import Connection, Engine, and_, case, func, insert, select, update

from node.database import arrivals, audit, instance_rows, supersession
from node.database.alerts import raise_alerts
from node.database.job_rows import insert_job
from node.database.plain import condition_to_plain
from node.database.recording import Holds, record_instances, trusted
from node.database.tables import admission, association, instance, series, series_association, series_closing, study
from node.database.unit_of_work import UnitOfWork
from node.domain.admission import Admission
from node.domain.audit import SYSTEM, Action, Use
from node.domain.job import NewJob
from node.domain.study import CloseReason, Closure, OpenSeries, Series, SeriesState, StoredInstance, Value
from node.errors import NotFound, ObjectMissing
from node.ports import Clock, Recorded


class SqlCatalogue:
    """``max_attempts`` is the budget of the jobs that closing a series makes; ``holds`` as in ``SqlArrivalRecord``.

    ``actor`` is whose word closes a series, for the log of uses.
    """

    def __init__(
        self, engine: Engine, clock: Clock, max_attempts: int = 3, holds: Holds = trusted, actor: str = SYSTEM
    ) -> None:
        self._work = UnitOfWork(engine)
        self._holds = holds
        self._clock = clock
        self._max_attempts = max_attempts
        self._actor = actor

    def open_association(
        self, association_id: str, calling_ae: str, called_ae: str, peer_host: str, receiver: str
    ) -> None:
        values = {
            "id": association_id,
            "calling_ae": calling_ae,
            "called_ae": called_ae,
            "peer_host": peer_host,
            "receiver": receiver,
            "opened_at": self._clock.now(),
        }
        self._work.write(lambda connection: connection.execute(insert(association).values(**values)))

    def end_association(self, association_id: str, how: str) -> None:
        still_open = and_(association.c.id == association_id, association.c.ended_at.is_(None))
        ended = update(association).where(still_open).values(ended_at=self._clock.now(), how=how)
        self._work.write(lambda connection: connection.execute(ended))

    def end_associations_of(self, receiver: str) -> int:
        still_open = and_(association.c.receiver == receiver, association.c.ended_at.is_(None))
        ended = update(association).where(still_open).values(ended_at=self._clock.now(), how="lost")
        return self._work.write(lambda connection: connection.execute(ended).rowcount)

    def record(self, stored: StoredInstance) -> Recorded:
        now = self._clock.now()
        return self._work.write(lambda connection: record_instances(connection, [stored], now, self._holds)[0])

    def open_series(self) -> Sequence[OpenSeries]:
        with self._work.read() as connection:
            return [OpenSeries(**row._mapping) for row in connection.execute(OPEN_SERIES)]

    def recorded_until(self) -> datetime | None:
        with self._work.read() as connection:
            return arrivals.recorded_until(connection, self._clock.now())

    def series(self, series_id: int) -> Series:
        columns = (series.c.study_instance_uid, series.c.series_instance_uid, series.c.revision, series.c.calling_ae)
        statement = select(*columns, study.c.accession_number).join(study).where(series.c.id == series_id)
        with self._work.read() as connection:
            row = connection.execute(statement).first()
            if row is None:
                raise NotFound(f"no series {series_id}")
            instances = instance_rows.instances_of(connection, series.c.id == series_id)
        return Series(series_id=series_id, instances=tuple(instances), **row._mapping)

    def instances(self, study_instance_uid: str, series_instance_uids: Sequence[str]) -> Sequence[StoredInstance]:
        wanted = and_(
            series.c.study_instance_uid == study_instance_uid,
            series.c.series_instance_uid.in_(series_instance_uids),
        )
        with self._work.read() as connection:
            if connection.execute(select(instance.c.id).join(series).where(wanted, REMOVED).limit(1)).first():
                raise ObjectMissing("images of it were removed by retention: send the study again, then retry the job")
            return instance_rows.instances_of(connection, wanted)

    def close_series(
        self, series_id: int, revision: int, closure: Closure, admissions: Sequence[Admission], jobs: Sequence[NewJob]
    ) -> bool:
        """As in the port; where the evidence counts ``instances``, an instance that came later moves the series on."""
        return self._work.write(
            lambda connection: self._close(connection, series_id, revision, closure, admissions, jobs)
        )

    def _close(
        self,
        connection: Connection,
        series_id: int,
        revision: int,
        closure: Closure,
        admissions: Sequence[Admission],
        jobs: Sequence[NewJob],
    ) -> bool:
        now = self._clock.now()
        as_judged = [series.c.id == series_id, series.c.revision == revision, series.c.state == SeriesState.RECEIVING]
        if "instances" in closure.evidence:
            as_judged.append(series.c.instances == closure.evidence["instances"])
        closed = update(series).where(*as_judged)
        closed = closed.values(
            state=SeriesState.CLOSED, closed_at=now, close_reason=closure.reason, close_evidence=dict(closure.evidence)
        )
        place = connection.execute(closed.returning(series.c.study_instance_uid, series.c.series_instance_uid)).first()
        if place is None:
            return False
        study_uid, series_uid = place
        how = {"reason": closure.reason, "evidence": dict(closure.evidence), "closed_at": now}
        connection.execute(insert(series_closing).values(series_id=series_id, revision=revision, **how))
        connection.execute(update(study).where(study.c.study_instance_uid == study_uid).values(updated_at=now))
        rows = [_admission_values(each) for each in admissions]
        if rows:
            of_series = {"series_id": series_id, "revision": revision, "decided_at": now}
            connection.execute(insert(admission), [of_series | row for row in rows])
        for new in jobs:
            insert_job(connection, new, now, self._max_attempts)
        supersession.close_revision(connection, study_uid, series_uid, revision, now)
        if closure.reason is CloseReason.OPERATOR:
            use = Use(Action.SERIES_COMPLETED, f"series {series_uid}", study_uid, {"revision": revision})
            audit.append(connection, self._actor, now, [use])
        return True

    def raise_alert(self, kind: str, subject: str, detail: Mapping[str, Value]) -> None:
        """``detail['study_instance_uid']``, where given, ties the alert to its study."""
        self._work.write(lambda connection: raise_alerts(connection, [(kind, subject, detail)], self._clock.now()))


REMOVED = and_(instance.c.variant == 0, instance.c.removed_at.is_not(None))
OPEN_SERIES = (
    select(
        series.c.id.label("series_id"),
        series.c.study_instance_uid,
        series.c.series_instance_uid,
        series.c.revision,
        series.c.instances,
        series.c.last_instance_at,
        (func.count(association.c.id) - func.count(association.c.ended_at)).label("open_associations"),
        func.max(association.c.ended_at).label("last_association_ended_at"),
        series.c.calling_ae,
        series.c.modality,
        func.count(association.c.id).label("associations"),
        func.max(case((association.c.how == "released", association.c.ended_at))).label("last_release_at"),
    )
    .outerjoin(series_association, series_association.c.series_id == series.c.id)
    .outerjoin(association, association.c.id == series_association.c.association_id)
    .where(series.c.state == SeriesState.RECEIVING)
    .group_by(series.c.id)
    .order_by(series.c.id)
)


def _admission_values(each: Admission) -> dict[str, Any]:
    return {
        "model": each.model,
        "model_version": each.model_version,
        "verdict": each.verdict,
        "conditions": [condition_to_plain(condition) for condition in each.conditions],
        "route": each.route,
        "priority": each.priority,
        "destinations": list(each.destinations),
    }
