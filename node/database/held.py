"""Rows of what the node holds, as facts by DICOM keyword: received instances whose bytes are here, and results."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any

from sqlalchemy import ColumnElement, Connection, Row, Select, and_, exists, func, or_, select

from node.database.tables import instance, job, result, series, study
from node.domain.document import ResultKind
from node.domain.holdings import IMAGE_KEYWORDS, SERIES_KEYWORDS
from node.domain.query import OneOf, Query
from node.domain.study import Value

Entity = dict[str, Value]
Header = Callable[[str], Mapping[str, Value]]

STUDY_COLUMNS: Mapping[str, ColumnElement[Any]] = {
    "PatientID": study.c.patient_id,
    "PatientName": study.c.patient_name,
    "PatientBirthDate": study.c.patient_birth_date,
    "PatientSex": study.c.patient_sex,
    "StudyInstanceUID": study.c.study_instance_uid,
    "StudyDate": study.c.study_date,
    "StudyTime": study.c.study_time,
    "AccessionNumber": study.c.accession_number,
    "StudyDescription": study.c.study_description,
}
STUDIES = select(*(column.label(keyword) for keyword, column in STUDY_COLUMNS.items()))
# Of a received instance: its bytes are here. Of a result: others may have it.
HERE = and_(instance.c.variant == 0, instance.c.removed_at.is_(None))
_SOME_HERE = exists().where(instance.c.series_id == series.c.id, HERE)
# What came back from an archive is a received instance already. A rejected object is not given out (IHE IOCM), the note
# that rejects it is.
_CAME_BACK = exists().where(instance.c.sop_instance_uid == result.c.sop_instance_uid, HERE)
GIVEN_OUT = and_(or_(job.c.withdrawn_at.is_(None), result.c.kind == ResultKind.REJECTION), ~_CAME_BACK)
_INSTANCES = func.count(result.c.sop_instance_uid.distinct())


def study_facts(row: Row[*tuple[Any, ...]]) -> Entity:
    return {keyword: row._mapping[keyword] for keyword in STUDY_COLUMNS}


def patient(studies: Sequence[Entity]) -> Entity:
    """The patient of these studies, as the last of them names him."""
    return studies[-1] | {
        "NumberOfPatientRelatedStudies": len(studies),
        "NumberOfPatientRelatedSeries": _sum(studies, "NumberOfStudyRelatedSeries"),
        "NumberOfPatientRelatedInstances": _sum(studies, "NumberOfStudyRelatedInstances"),
    }


def studies(connection: Connection, known: Sequence[Entity], query: Query) -> list[Entity]:
    """Those of which something is here, with what is counted over their series."""
    named = [str(each["StudyInstanceUID"]) for each in known]
    parts: dict[str, list[tuple[str, int]]] = {}
    for uid, modality, instances in (*_received_parts(connection, named), *_result_parts(connection, named)):
        parts.setdefault(uid, []).append((modality, instances))
    found = [
        each | _counted(parts[str(each["StudyInstanceUID"])]) for each in known if each["StudyInstanceUID"] in parts
    ]
    if query.asks_for("SOPClassesInStudy"):
        classes = _sop_classes(connection, list(parts))
        found = [each | {"SOPClassesInStudy": classes[str(each["StudyInstanceUID"])]} for each in found]
    return with_study_ids(connection, found, query)


def _counted(parts: Sequence[tuple[str, int]]) -> Entity:
    return {
        "ModalitiesInStudy": _values({modality for modality, _ in parts if modality}),
        "NumberOfStudyRelatedSeries": len(parts),
        "NumberOfStudyRelatedInstances": sum(instances for _, instances in parts),
    }


def _received_parts(connection: Connection, study_uids: Sequence[str]) -> list[tuple[str, str, int]]:
    """Retention takes a study's images all at once: a series of which one is here has them all."""
    columns = (series.c.study_instance_uid, series.c.modality, series.c.instances)
    wanted = select(*columns).where(series.c.study_instance_uid.in_(study_uids), _SOME_HERE)
    return [(row[0], row[1], row[2]) for row in connection.execute(wanted)]


def _result_parts(connection: Connection, study_uids: Sequence[str]) -> list[tuple[str, str, int]]:
    columns = (job.c.study_instance_uid, func.min(result.c.modality), _INSTANCES)
    wanted = select(*columns).join(job, job.c.id == result.c.job_id)
    wanted = wanted.where(job.c.study_instance_uid.in_(study_uids), GIVEN_OUT)
    rows = connection.execute(wanted.group_by(job.c.study_instance_uid, result.c.series_instance_uid))
    return [(row[0], row[1], row[2]) for row in rows]


def _sop_classes(connection: Connection, study_uids: Sequence[str]) -> dict[str, list[Value]]:
    received = select(series.c.study_instance_uid, instance.c.sop_class_uid).join(
        instance, instance.c.series_id == series.c.id
    )
    written = select(job.c.study_instance_uid, result.c.sop_class_uid).join(job, job.c.id == result.c.job_id)
    found: dict[str, set[str]] = {uid: set() for uid in study_uids}
    for statement in (
        received.where(series.c.study_instance_uid.in_(study_uids), HERE),
        written.where(job.c.study_instance_uid.in_(study_uids), GIVEN_OUT),
    ):
        for uid, sop_class in connection.execute(statement.distinct()):
            found[uid].add(sop_class)
    return {uid: _values(classes) for uid, classes in found.items()}


def with_study_ids(connection: Connection, known: Sequence[Entity], query: Query) -> list[Entity]:
    """Study ID stands in no row of a study: it is asked of one of its images, where somebody wants it."""
    if not query.asks_for("StudyID"):
        return list(known)
    of_series = select(instance.c.id).where(instance.c.series_id == series.c.id, HERE).limit(1)
    wanted = select(series.c.study_instance_uid, instance.c.attributes).join(
        instance, instance.c.id == of_series.correlate(series).scalar_subquery()
    )
    named = [str(each["StudyInstanceUID"]) for each in known]
    rows = connection.execute(wanted.where(series.c.study_instance_uid.in_(named)))
    found = {row.study_instance_uid: row.attributes.get("StudyID") for row in rows}
    return [each | {"StudyID": found.get(str(each["StudyInstanceUID"]))} for each in known]


def series_of(connection: Connection, study_uid: str, query: Query, header: Header) -> list[Entity]:
    """Received series and those of results, in the order of their UIDs."""
    found = [*_received_series(connection, study_uid, query), *_result_series(connection, study_uid, query, header)]
    return sorted(found, key=lambda each: str(each["SeriesInstanceUID"]))


def _received_series(connection: Connection, study_uid: str, query: Query) -> Iterator[Entity]:
    wanted = select(series).where(series.c.study_instance_uid == study_uid, _SOME_HERE)
    if named := uids(query, "SeriesInstanceUID"):
        wanted = wanted.where(series.c.series_instance_uid.in_(named))
    for row in connection.execute(wanted):
        yield {
            **{keyword: row.attributes.get(keyword) for keyword in SERIES_KEYWORDS},
            "SeriesInstanceUID": row.series_instance_uid,
            "NumberOfSeriesRelatedInstances": row.instances,
        }


def _result_series(connection: Connection, study_uid: str, query: Query, header: Header) -> Iterator[Entity]:
    columns = (
        result.c.series_instance_uid,
        func.min(result.c.modality).label("modality"),
        func.min(result.c.storage_key).label("storage_key"),
        _INSTANCES.label("instances"),
    )
    wanted = _results(columns, study_uid)
    if named := uids(query, "SeriesInstanceUID"):
        wanted = wanted.where(result.c.series_instance_uid.in_(named))
    for row in connection.execute(wanted.group_by(result.c.series_instance_uid)).all():
        facts = header(row.storage_key)
        yield {
            **{keyword: facts.get(keyword) for keyword in SERIES_KEYWORDS},
            "SeriesInstanceUID": row.series_instance_uid,
            "Modality": row.modality,
            "NumberOfSeriesRelatedInstances": row.instances,
        }


def received_images(study_uid: str, series_uid: str, query: Query) -> Select[*tuple[Any, ...]]:
    columns = (instance.c.sop_instance_uid, instance.c.sop_class_uid, instance.c.attributes)
    place = (series.c.study_instance_uid == study_uid, series.c.series_instance_uid == series_uid)
    wanted = select(*columns).join(series, series.c.id == instance.c.series_id).where(HERE, *place)
    named = uids(query, "SOPInstanceUID")
    return wanted.where(instance.c.sop_instance_uid.in_(named)) if named else wanted


def result_images(study_uid: str, series_uid: str, query: Query) -> Select[*tuple[Any, ...]]:
    columns = (result.c.sop_instance_uid, result.c.sop_class_uid)
    wanted = _results((*columns, func.min(result.c.storage_key).label("storage_key")), study_uid)
    wanted = wanted.where(result.c.series_instance_uid == series_uid).group_by(*columns).order_by(*columns)
    named = uids(query, "SOPInstanceUID")
    return wanted.where(result.c.sop_instance_uid.in_(named)) if named else wanted


def image(row: Row[*tuple[Any, ...]]) -> Entity:
    return result_image(row, row.attributes)


def result_image(row: Row[*tuple[Any, ...]], facts: Mapping[str, Value]) -> Entity:
    identity: Entity = {"SOPInstanceUID": row.sop_instance_uid, "SOPClassUID": row.sop_class_uid}
    return {keyword: facts.get(keyword) for keyword in IMAGE_KEYWORDS} | identity


def uids(query: Query, keyword: str) -> list[str]:
    """What the query names, none where it names nothing."""
    key = query.keys.get(keyword)
    return sorted(key.texts) if isinstance(key, OneOf) else []


def _results(columns: Sequence[ColumnElement[Any]], study_uid: str) -> Select[*tuple[Any, ...]]:
    wanted = select(*columns).join(job, job.c.id == result.c.job_id)
    return wanted.where(job.c.study_instance_uid == study_uid, GIVEN_OUT)


def _values(texts: set[str]) -> list[Value]:
    return [*sorted(texts)]


def _sum(entities: Sequence[Entity], keyword: str) -> int:
    return sum(number for each in entities if isinstance(number := each[keyword], int))
