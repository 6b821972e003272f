"""Series and studies as rows, and what instances that come do to them."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from sqlalchemy import Connection, Row, bindparam, select, update

from node.database.statements import insert_new
from node.database.tables import series, study
from node.domain.study import SeriesState, StoredInstance

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

# Built once: reception runs them again and again.
_UPDATE = update(series).where(series.c.id == bindparam("series_id"))
_TOUCH = update(study).where(study.c.study_instance_uid == bindparam("study"))
_LOCK = (
    select(
        series.c.id,
        series.c.study_instance_uid,
        series.c.series_instance_uid,
        series.c.state,
        series.c.revision,
        series.c.instances,
        series.c.last_instance_at,
    )
    .where(
        series.c.study_instance_uid.in_(bindparam("studies", expanding=True)),
        series.c.series_instance_uid.in_(bindparam("series", expanding=True)),
    )
    .order_by(series.c.id)
    .with_for_update()
)

# Study Instance UID and Series Instance UID.
Place = tuple[str, str]


@dataclass(frozen=True, slots=True)
class Arrived:
    """``counts`` is False for other bytes under a UID that is taken: they make and reopen no series."""

    stored: StoredInstance
    counts: bool


def place_of(stored: StoredInstance) -> Place:
    return stored.instance.study_instance_uid, stored.instance.series_instance_uid


def move_on(connection: Connection, arrived: Sequence[Arrived]) -> Mapping[Place, int]:
    """The ids of the instances' series, made where they are new, locked, and moved on by what came.

    A series that holds nothing that counts is CLOSED from the start: there is nothing in it to wait for.
    """
    first: dict[Place, StoredInstance] = {}
    for each in arrived:
        first.setdefault(place_of(each.stored), each.stored)
    rows = _locked(connection, first.keys())
    missing = sorted(first.keys() - rows.keys())
    if missing:
        # Always in the same order, so that two who do this at once do not wait for each other.
        for place in missing:
            insert_new(connection, study, ("study_instance_uid",), _study_values(first[place]))
        for place in missing:
            insert_new(connection, series, ("study_instance_uid", "series_instance_uid"), _series_values(first[place]))
        rows |= _locked(connection, missing)
    changes = {
        place: _Change(row.state, row.revision, row.instances, row.last_instance_at) for place, row in rows.items()
    }
    for each in arrived:
        changes[place_of(each.stored)].take(each)
    _write(connection, rows, changes)
    return {place: row.id for place, row in rows.items()}


@dataclass(slots=True)
class _Change:
    """A series as its instances move it on, one after the other."""

    state: str
    revision: int
    instances: int
    last_instance_at: datetime
    changed: bool = False
    reopened_at: datetime | None = None

    def take(self, arrived: Arrived) -> None:
        at = arrived.stored.received_at
        receiving = self.state == SeriesState.RECEIVING
        if not arrived.counts and not receiving:
            return
        self.changed = True
        self.last_instance_at = max(self.last_instance_at, at)
        if not arrived.counts:
            return
        if not receiving:
            self.state, self.reopened_at = SeriesState.RECEIVING, at
            # Nothing was judged in a series without images: its first image is no late one.
            self.revision += 1 if self.instances else 0
        self.instances += 1


def _write(
    connection: Connection, rows: Mapping[Place, Row[*tuple[Any, ...]]], changes: Mapping[Place, _Change]
) -> None:
    touched: dict[str, datetime] = {}
    for place, change in sorted(changes.items()):
        if not change.changed:
            continue
        values: dict[str, Any] = {"last_instance_at": change.last_instance_at, "instances": change.instances}
        if change.reopened_at is not None:
            values |= {"state": change.state, "revision": change.revision}
            values |= {"closed_at": None, "close_reason": None, "close_evidence": None}
            touched[place[0]] = max(touched.get(place[0], change.reopened_at), change.reopened_at)
        connection.execute(_UPDATE, values | {"series_id": rows[place].id})
    for uid, at in touched.items():
        connection.execute(_TOUCH, {"study": uid, "updated_at": at})


def _locked(connection: Connection, places: Collection[Place]) -> dict[Place, Row[*tuple[Any, ...]]]:
    uids = {"studies": list({study for study, _ in places}), "series": list({series for _, series in places})}
    found = {(row.study_instance_uid, row.series_instance_uid): row for row in connection.execute(_LOCK, uids)}
    return {place: row for place, row in found.items() if place in places}


def _series_values(stored: StoredInstance) -> dict[str, Any]:
    received = stored.instance
    return {
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
    }


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
