"""Instances as rows, and what a new one does to its series and study."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from sqlalchemy import ColumnElement, Connection, Row, insert, select, update

from node.database.statements import insert_new
from node.database.tables import instance, series, study
from node.domain.study import Instance, SeriesState, StoredInstance, Value
from node.ports import Recorded

# What the catalogue keeps of a series as a whole, as its first instance states it.
SERIES_KEYWORDS = (
    "Modality",
    "SeriesDescription",
    "ProtocolName",
    "BodyPartExamined",
    "SeriesNumber",
    "StationName",
    "Manufacturer",
    "ManufacturerModelName",
    "FrameOfReferenceUID",
)
# IS is a signed integer of 32 bits (PS3.5 Table 6.2-1); what is outside is no number.
MAX_IS = 2**31 - 1


def variants(connection: Connection, sop_instance_uid: str) -> dict[int, str]:
    """SHA-256 of what was received under this UID, by variant."""
    known = select(instance.c.variant, instance.c.sha256).where(instance.c.sop_instance_uid == sop_instance_uid)
    return {row.variant: row.sha256 for row in connection.execute(known)}


def classify(known: Mapping[int, str], sha256: str) -> Recorded:
    if not known:
        return Recorded.NEW
    return Recorded.DUPLICATE if sha256 in known.values() else Recorded.CONFLICT


def count_in_series(connection: Connection, stored: StoredInstance, counts: bool) -> int:
    """The id of the instance's series, made if it is new, locked, and moved on by what came.

    ``counts`` is False for other bytes under a UID that is taken: they make and reopen no series. A series that holds
    nothing else is CLOSED from the start: there is nothing in it to wait for.
    """
    row = _locked(connection, stored.instance)
    if row is None:
        _insert_series(connection, stored)
        row = _locked(connection, stored.instance)
        assert row is not None
    changes: dict[str, Any] = {}
    receiving = row.state == SeriesState.RECEIVING
    if counts or receiving:
        changes["last_instance_at"] = max(row.last_instance_at, stored.received_at)
    if counts:
        changes["instances"] = row.instances + 1
    if counts and not receiving:
        changes |= {"state": SeriesState.RECEIVING, "closed_at": None, "close_reason": None, "close_evidence": None}
        # Nothing was judged in a series without images: its first image is no late one.
        changes["revision"] = row.revision + (1 if row.instances else 0)
        touched = update(study).where(study.c.study_instance_uid == stored.instance.study_instance_uid)
        connection.execute(touched.values(updated_at=stored.received_at))
    if changes:
        connection.execute(update(series).where(series.c.id == row.id).values(**changes))
    series_id: int = row.id
    return series_id


def insert_instance(connection: Connection, series_id: int, stored: StoredInstance, variant: int) -> None:
    received = stored.instance
    connection.execute(
        insert(instance).values(
            series_id=series_id,
            sop_instance_uid=received.sop_instance_uid,
            variant=variant,
            sop_class_uid=received.sop_class_uid,
            transfer_syntax_uid=received.transfer_syntax_uid,
            storage_key=stored.storage_key,
            size=stored.size,
            sha256=stored.sha256,
            calling_ae=stored.calling_ae,
            association_id=stored.association_id,
            received_at=stored.received_at,
            instance_number=_integer(received.attributes.get("InstanceNumber")),
            attributes=dict(received.attributes),
        )
    )


def instances_of(connection: Connection, wanted: ColumnElement[bool]) -> list[StoredInstance]:
    """Variant 0 of every instance of the series that ``wanted`` chooses, in the order of Instance Number."""
    columns = (*instance.c, series.c.study_instance_uid, series.c.series_instance_uid)
    order = (series.c.id, instance.c.instance_number.is_(None), instance.c.instance_number, instance.c.sop_instance_uid)
    statement = select(*columns).join(series).where(wanted, instance.c.variant == 0).order_by(*order)
    return [_stored_instance(row) for row in connection.execute(statement)]


def _locked(connection: Connection, received: Instance) -> Row[*tuple[Any, ...]] | None:
    return connection.execute(
        select(series.c.id, series.c.state, series.c.revision, series.c.instances, series.c.last_instance_at)
        .where(
            series.c.study_instance_uid == received.study_instance_uid,
            series.c.series_instance_uid == received.series_instance_uid,
        )
        .with_for_update()
    ).first()


def _insert_series(connection: Connection, stored: StoredInstance) -> None:
    received = stored.instance
    insert_new(connection, study, ("study_instance_uid",), _study_values(stored))
    insert_new(
        connection,
        series,
        ("study_instance_uid", "series_instance_uid"),
        {
            "study_instance_uid": received.study_instance_uid,
            "series_instance_uid": received.series_instance_uid,
            "state": SeriesState.CLOSED,
            "revision": 1,
            "modality": received.text("Modality"),
            "series_description": received.text("SeriesDescription"),
            "body_part": received.text("BodyPartExamined"),
            "calling_ae": stored.calling_ae,
            "instances": 0,
            "first_instance_at": stored.received_at,
            "last_instance_at": stored.received_at,
            "attributes": {key: received.attributes[key] for key in SERIES_KEYWORDS if key in received.attributes},
        },
    )


def _study_values(stored: StoredInstance) -> dict[str, Any]:
    received = stored.instance
    return {
        "study_instance_uid": received.study_instance_uid,
        "patient_id": received.text("PatientID"),
        "patient_name": received.text("PatientName"),
        "patient_birth_date": received.text("PatientBirthDate"),
        "patient_sex": received.text("PatientSex"),
        "accession_number": received.text("AccessionNumber"),
        "study_date": received.text("StudyDate"),
        "study_time": received.text("StudyTime"),
        "study_description": received.text("StudyDescription"),
        "received_at": stored.received_at,
        "updated_at": stored.received_at,
    }


def _integer(value: Value) -> int | None:
    """Instance Number where it is one: the value is an outsider's."""
    if not isinstance(value, int | float | str):
        return None
    try:
        number = int(value)
    except (ValueError, OverflowError):
        return None
    return number if abs(number) <= MAX_IS else None


def _stored_instance(row: Row[*tuple[Any, ...]]) -> StoredInstance:
    return StoredInstance(
        instance=Instance(
            study_instance_uid=row.study_instance_uid,
            series_instance_uid=row.series_instance_uid,
            sop_class_uid=row.sop_class_uid,
            sop_instance_uid=row.sop_instance_uid,
            transfer_syntax_uid=row.transfer_syntax_uid,
            attributes=row.attributes,
        ),
        storage_key=row.storage_key,
        size=row.size,
        sha256=row.sha256,
        calling_ae=row.calling_ae,
        received_at=row.received_at,
        association_id=row.association_id,
        variant=row.variant,
    )
