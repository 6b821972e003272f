"""Where the bytes of what the node holds lie (``ports.dicom_web.HeldObjects``)."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from sqlalchemy import Connection, Engine, func, select, union

from node.database.held import GIVEN_OUT, HERE
from node.database.tables import instance, job, result, series
from node.database.unit_of_work import UnitOfWork
from node.ports.dicom_web import HeldObject


class SqlHeldObjects:
    def __init__(self, engine: Engine) -> None:
        self._work = UnitOfWork(engine)

    def of(self, study: str, series: str | None = None, instance: str | None = None) -> Sequence[HeldObject]:
        with self._work.read() as connection:
            found = [*_received(connection, study, series, instance), *_written(connection, study, series, instance)]
        return sorted(found, key=lambda one: one.series_instance_uid)

    def studies_of(self, series_uids: Sequence[str], instance_uids: Sequence[str]) -> Sequence[str]:
        received = select(series.c.study_instance_uid)
        written = select(job.c.study_instance_uid).join(result, result.c.job_id == job.c.id)
        if instance_uids:
            received = received.join(instance, instance.c.series_id == series.c.id)
            received = received.where(instance.c.sop_instance_uid.in_(instance_uids))
            written = written.where(result.c.sop_instance_uid.in_(instance_uids))
        if series_uids:
            received = received.where(series.c.series_instance_uid.in_(series_uids))
            written = written.where(result.c.series_instance_uid.in_(series_uids))
        with self._work.read() as connection:
            return sorted(connection.execute(union(received, written)).scalars())


def _received(
    connection: Connection, study: str, of_series: str | None, sop_instance: str | None
) -> Iterator[HeldObject]:
    wanted = (
        select(
            series.c.series_instance_uid,
            instance.c.sop_class_uid,
            instance.c.sop_instance_uid,
            instance.c.storage_key,
            instance.c.transfer_syntax_uid,
        )
        .join(series, series.c.id == instance.c.series_id)
        .where(series.c.study_instance_uid == study, HERE)
        .order_by(series.c.series_instance_uid, instance.c.instance_number, instance.c.sop_instance_uid)
    )
    if of_series is not None:
        wanted = wanted.where(series.c.series_instance_uid == of_series)
    if sop_instance is not None:
        wanted = wanted.where(instance.c.sop_instance_uid == sop_instance)
    for row in connection.execute(wanted):
        yield HeldObject(
            study,
            row.series_instance_uid,
            row.sop_class_uid,
            row.sop_instance_uid,
            row.storage_key,
            False,
            row.transfer_syntax_uid,
        )


def _written(
    connection: Connection, study: str, of_series: str | None, sop_instance: str | None
) -> Iterator[HeldObject]:
    columns = (result.c.series_instance_uid, result.c.sop_class_uid, result.c.sop_instance_uid)
    wanted = (
        select(*columns, func.min(result.c.storage_key).label("storage_key"))
        .join(job, job.c.id == result.c.job_id)
        .where(job.c.study_instance_uid == study, GIVEN_OUT)
        .group_by(*columns)
        .order_by(*columns)
    )
    if of_series is not None:
        wanted = wanted.where(result.c.series_instance_uid == of_series)
    if sop_instance is not None:
        wanted = wanted.where(result.c.sop_instance_uid == sop_instance)
    for row in connection.execute(wanted):
        yield HeldObject(
            study, row.series_instance_uid, row.sop_class_uid, row.sop_instance_uid, row.storage_key, True, ""
        )
