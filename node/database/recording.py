"""What instances that came do to the tables: one at a time, or many in one transaction."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from datetime import datetime

import structlog
from sqlalchemy import Connection, bindparam, select

from node.database import instance_rows, series_rows
from node.database.alerts import raise_alerts
from node.database.instance_rows import Known
from node.database.removals import restore, to_be_freed
from node.database.series_rows import Arrived, Place, place_of
from node.database.statements import insert_new
from node.database.tables import association, series_association
from node.domain.study import StoredInstance, Value
from node.ports import Recorded
from node.ports.retention import Kept

log = structlog.get_logger()

_RECORDED = select(association.c.id).where(association.c.id.in_(bindparam("ids", expanding=True)))

# Whether the bytes under a storage key are there: a row alone is no reason to let go of others.
Holds = Callable[[str], bool]


def trusted(_: str) -> bool:
    """For who has no store to ask."""
    return True


def record_instances(
    connection: Connection, arrived: Sequence[StoredInstance], now: datetime, holds: Holds
) -> list[Recorded]:
    """Their rows, series, studies and alerts, as if they had come one after the other; an answer for each.

    Two who record the same UID at once: one of them loses the race for (SOP Instance UID, variant) and looks again.
    """
    known = instance_rows.known(connection, {stored.instance.sop_instance_uid for stored in arrived})
    answers: list[Recorded] = []
    fresh: list[tuple[StoredInstance, int]] = []
    superfluous: list[str] = []
    for stored in arrived:
        before = known[stored.instance.sop_instance_uid]
        same = next((each for each in before if each.sha256 == stored.sha256), None)
        if same is None:
            answers.append(Recorded.CONFLICT if before else Recorded.NEW)
            variant = max((each.variant for each in before), default=-1) + 1
            before.append(Known(variant, stored.sha256, stored.storage_key, removed=False))
            fresh.append((stored, variant))
        else:
            answers.append(Recorded.DUPLICATE)
            superfluous += _second_copy(connection, same, stored, holds)
    _insert(connection, fresh, now)
    to_be_freed(connection, Kept.INSTANCES, superfluous, now)
    return answers


def _second_copy(connection: Connection, same: Known, stored: StoredInstance, holds: Holds) -> list[str]:
    """The key of bytes that nobody needs. The very same object may come twice, where its entry is read again."""
    if same.removed and restore(connection, stored):
        same.storage_key, same.removed = stored.storage_key, False
    elif same.storage_key != stored.storage_key and not same.removed and not holds(same.storage_key):
        log.warning("receive.restored", sop_instance_uid=stored.instance.sop_instance_uid, storage_key=same.storage_key)
        instance_rows.name_bytes(connection, same.storage_key, stored)
        same.storage_key = stored.storage_key
    return [] if same.storage_key == stored.storage_key else [stored.storage_key]


def _insert(connection: Connection, fresh: Sequence[tuple[StoredInstance, int]], now: datetime) -> None:
    if not fresh:
        return
    places = series_rows.move_on(connection, [Arrived(stored, counts=variant == 0) for stored, variant in fresh])
    instance_rows.insert_instances(
        connection, ((places[place_of(stored)], stored, variant) for stored, variant in fresh)
    )
    _link(connection, places, [stored for stored, _ in fresh])
    conflicts = [(stored, variant) for stored, variant in fresh if variant]
    raise_alerts(
        connection,
        [
            ("instance_conflict", stored.instance.sop_instance_uid, _conflict(stored, variant))
            for stored, variant in conflicts
        ],
        now,
    )


def _link(connection: Connection, places: Mapping[Place, int], fresh: Sequence[StoredInstance]) -> None:
    """An association that was never recorded is no reason to refuse its images."""
    pairs = {(places[place_of(each)], each.association_id) for each in fresh if each.association_id is not None}
    wanted = {association_id for _, association_id in pairs}
    if not wanted:
        return
    there = frozenset(connection.execute(_RECORDED, {"ids": list(wanted)}).scalars())
    for series_id, association_id in sorted(pairs):
        if association_id in there:
            values = {"series_id": series_id, "association_id": association_id}
            insert_new(connection, series_association, ("series_id", "association_id"), values)


def _conflict(stored: StoredInstance, variant: int) -> dict[str, Value]:
    return {
        "study_instance_uid": stored.instance.study_instance_uid,
        "series_instance_uid": stored.instance.series_instance_uid,
        "variant": variant,
        "calling_ae": stored.calling_ae,
        "storage_key": stored.storage_key,
    }
