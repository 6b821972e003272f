"""What the node holds, as objects to be given out (``ports.holdings.Retrievable``): what queries are answered with."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any

from sqlalchemy import ColumnElement, Engine, Row, Select, func, literal, null, select, union_all

from node.database.held import GIVEN_OUT, HERE, uids
from node.database.tables import instance, job, result, series, study
from node.database.unit_of_work import UnitOfWork
from node.domain.holdings import RetrievableObject
from node.domain.query import Query


class SqlRetrievable:
    def __init__(self, engine: Engine) -> None:
        self._work = UnitOfWork(engine)

    def objects(self, query: Query, most: int) -> Sequence[RetrievableObject]:
        wanted = union_all(_received(query), _written(query)).subquery()
        order = (wanted.c.study, wanted.c.series, wanted.c.number, wanted.c.sop_instance_uid)
        with self._work.read() as connection:
            rows = connection.execute(select(wanted).order_by(*order).limit(most + 1)).all()
        return [_object(row) for row in rows]


def _received(query: Query) -> Select[*tuple[Any, ...]]:
    columns = (
        study.c.study_instance_uid.label("study"),
        series.c.series_instance_uid.label("series"),
        func.coalesce(instance.c.instance_number, 0).label("number"),
        instance.c.sop_instance_uid.label("sop_instance_uid"),
        instance.c.sop_class_uid.label("sop_class_uid"),
        instance.c.transfer_syntax_uid.label("transfer_syntax_uid"),
        instance.c.storage_key.label("storage_key"),
        instance.c.sha256.label("sha256"),
        literal(0).label("is_result"),
    )
    wanted = select(*columns).join(series, series.c.id == instance.c.series_id)
    wanted = wanted.join(study, study.c.study_instance_uid == series.c.study_instance_uid)
    return wanted.where(HERE, *_named(query, series.c.series_instance_uid, instance.c.sop_instance_uid))


def _written(query: Query) -> Select[*tuple[Any, ...]]:
    """Two jobs may have written the same object: it is the same in both rows."""
    columns = (
        study.c.study_instance_uid.label("study"),
        result.c.series_instance_uid.label("series"),
        literal(0).label("number"),
        result.c.sop_instance_uid.label("sop_instance_uid"),
        func.min(result.c.sop_class_uid).label("sop_class_uid"),
        null().label("transfer_syntax_uid"),
        func.min(result.c.storage_key).label("storage_key"),
        func.min(result.c.sha256).label("sha256"),
        literal(1).label("is_result"),
    )
    wanted = select(*columns).select_from(result).join(job, job.c.id == result.c.job_id)
    wanted = wanted.join(study, study.c.study_instance_uid == job.c.study_instance_uid)
    wanted = wanted.where(GIVEN_OUT, *_named(query, result.c.series_instance_uid, result.c.sop_instance_uid))
    return wanted.group_by(study.c.study_instance_uid, result.c.series_instance_uid, result.c.sop_instance_uid)


def _named(
    query: Query, series_uid: ColumnElement[str], sop_instance_uid: ColumnElement[str]
) -> Iterator[ColumnElement[bool]]:
    columns = {
        "PatientID": study.c.patient_id,
        "StudyInstanceUID": study.c.study_instance_uid,
        "SeriesInstanceUID": series_uid,
        "SOPInstanceUID": sop_instance_uid,
    }
    for keyword, column in columns.items():
        if named := uids(query, keyword):
            yield column.in_(named)


def _object(row: Row[*tuple[Any, ...]]) -> RetrievableObject:
    return RetrievableObject(
        study_instance_uid=row.study,
        sop_class_uid=row.sop_class_uid,
        sop_instance_uid=row.sop_instance_uid,
        transfer_syntax_uid=row.transfer_syntax_uid or "",
        storage_key=row.storage_key,
        sha256=row.sha256,
        is_result=bool(row.is_result),
    )
