"""Instances as rows."""

from __future__ import annotations

from collections.abc import Collection, Iterable
from dataclasses import dataclass
from typing import Any

from sqlalchemy import ColumnElement, Connection, Row, bindparam, insert, select, update

from node.database.tables import instance, series
from node.domain.study import Instance, StoredInstance, Value

# IS is a signed integer of 32 bits (PS3.5 Table 6.2-1); what is outside is no number.
MAX_IS = 2**31 - 1

# Built once: reception runs them again and again.
_INSERT = insert(instance)
_KNOWN = select(
    instance.c.sop_instance_uid,
    instance.c.variant,
    instance.c.sha256,
    instance.c.storage_key,
    instance.c.removed_at,
).where(instance.c.sop_instance_uid.in_(bindparam("uids", expanding=True)))


@dataclass(slots=True)
class Known:
    """One of the bytes that were received under a UID; ``removed`` by retention."""

    variant: int
    sha256: str
    storage_key: str
    removed: bool


def known(connection: Connection, sop_instance_uids: Collection[str]) -> dict[str, list[Known]]:
    """What was received before under each UID."""
    found: dict[str, list[Known]] = {uid: [] for uid in sop_instance_uids}
    for row in connection.execute(_KNOWN, {"uids": list(found)}):
        found[row.sop_instance_uid].append(Known(row.variant, row.sha256, row.storage_key, row.removed_at is not None))
    return found


def insert_instances(connection: Connection, rows: Iterable[tuple[int, StoredInstance, int]]) -> None:
    """Each of ``rows`` is the id of a series, an instance and its variant."""
    values = [_values(series_id, stored, variant) for series_id, stored, variant in rows]
    if values:
        connection.execute(_INSERT, values)


def name_bytes(connection: Connection, lost_key: str, stored: StoredInstance) -> None:
    """The row that named bytes which are gone names these, which are the same."""
    there = (instance.c.sop_instance_uid == stored.instance.sop_instance_uid, instance.c.storage_key == lost_key)
    connection.execute(update(instance).where(*there).values(storage_key=stored.storage_key, size=stored.size))


def _values(series_id: int, stored: StoredInstance, variant: int) -> dict[str, Any]:
    received = stored.instance
    return {
        "series_id": series_id,
        "sop_instance_uid": received.sop_instance_uid,
        "variant": variant,
        "sop_class_uid": received.sop_class_uid,
        "transfer_syntax_uid": received.transfer_syntax_uid,
        "storage_key": stored.storage_key,
        "size": stored.size,
        "sha256": stored.sha256,
        "calling_ae": stored.calling_ae,
        "association_id": stored.association_id,
        "received_at": stored.received_at,
        "instance_number": _integer(received.attributes.get("InstanceNumber")),
        "attributes": dict(received.attributes),
    }


def instances_of(connection: Connection, wanted: ColumnElement[bool]) -> list[StoredInstance]:
    """Variant 0 of every instance of the series that ``wanted`` chooses, in the order of Instance Number."""
    columns = (*instance.c, series.c.study_instance_uid, series.c.series_instance_uid)
    order = (series.c.id, instance.c.instance_number.is_(None), instance.c.instance_number, instance.c.sop_instance_uid)
    statement = select(*columns).join(series).where(wanted, instance.c.variant == 0).order_by(*order)
    return [_stored_instance(row) for row in connection.execute(statement)]


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
