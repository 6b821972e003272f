"""Deliveries as rows: how they are made, read and changed while they are still the claimer's."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime, timedelta
from typing import Any

from sqlalchemy import ColumnElement, Connection, Row, and_, case, insert, select, update

from node.database.plain import documents_to_plain
from node.database.statements import beside, in_state
from node.database.tables import delivery, job, result
from node.domain.delivery import Delivery, DeliveryState
from node.domain.document import ResultKind
from node.domain.result import ResultObject
from node.errors import AinodeError

# SR, KOS and their kin (PS3.4 B.5) refer to the other objects, so they go last.
REPORTS = "1.2.840.10008.5.1.4.1.1.88."
KEY_OBJECT_SELECTION = "1.2.840.10008.5.1.4.1.1.88.59"

SEND_ORDER = (case((result.c.sop_class_uid.startswith(REPORTS, autoescape=True), 1), else_=0), delivery.c.id)

DELIVERIES = (
    select(delivery, result.c.sop_class_uid, result.c.sop_instance_uid, result.c.storage_key, job.c.study_instance_uid)
    .join(result, result.c.id == delivery.c.result_id)
    .join(job, job.c.id == delivery.c.job_id)
)


def insert_result(
    connection: Connection,
    job_id: int,
    written: ResultObject,
    now: datetime,
    attempt: int,
    kind: ResultKind = ResultKind.RESULT,
) -> int:
    """``attempt`` is that of the job after which it was written."""
    values = {
        "job_id": job_id,
        "kind": kind,
        "attempt": attempt,
        "sop_class_uid": written.sop_class_uid,
        "sop_instance_uid": written.sop_instance_uid,
        "series_instance_uid": written.series_instance_uid,
        "modality": written.modality,
        "storage_key": written.storage_key,
        "sha256": written.sha256,
        "size": written.size,
        "created_at": now,
        "predecessors": documents_to_plain(written.predecessors),
        "rendition": written.rendition,
    }
    result_id: int = connection.execute(insert(result).values(**values).returning(result.c.id)).scalar_one()
    return result_id


def insert_delivery(
    connection: Connection,
    job_id: int,
    result_id: int,
    destination: str,
    priority: int,
    max_attempts: int,
    now: datetime,
) -> int:
    values = {
        "job_id": job_id,
        "result_id": result_id,
        "destination": destination,
        "state": DeliveryState.SCHEDULED,
        "priority": priority,
        "attempt": 0,
        "max_attempts": max_attempts,
        "budget": max_attempts,
        "run_after": now,
        "created_at": now,
        "updated_at": now,
    }
    delivery_id: int = connection.execute(insert(delivery).values(**values).returning(delivery.c.id)).scalar_one()
    return delivery_id


def left_out(connection: Connection, delivery_id: int, error: AinodeError) -> None:
    """A delivery that was just made is not to be sent, unless an operator says so."""
    changes = {"state": DeliveryState.CANCELED, "error_code": error.code, "error": error.message}
    connection.execute(update(delivery).where(delivery.c.id == delivery_id).values(**changes))


def change_held(connection: Connection, held: Delivery, now: datetime, changes: Mapping[str, Any]) -> bool:
    """Change the row if it is still IN_PROGRESS, at this attempt, in this owner's hands."""
    fence = and_(
        delivery.c.id == held.id,
        delivery.c.state == DeliveryState.IN_PROGRESS,
        delivery.c.owner == held.owner,
        delivery.c.attempt == held.attempt,
    )
    return connection.execute(update(delivery).where(fence).values(updated_at=now, **changes)).rowcount == 1


def failed(error: AinodeError, retry_after_s: float | None, now: datetime) -> dict[str, Any]:
    """What a failed attempt, or a commitment that was refused, makes of a delivery."""
    again = {} if retry_after_s is None else {"run_after": now + timedelta(seconds=retry_after_s)}
    state = DeliveryState.FAILED if retry_after_s is None else DeliveryState.SCHEDULED
    return {**RELEASED, **NOT_THERE, **again, "state": state, "error_code": error.code, "error": error.message}


RELEASED: Mapping[str, Any] = {"owner": None, "lease_until": None, "transaction_uid": None}
# Whatever the destination said of it before.
NOT_THERE: Mapping[str, Any] = {"stored_at": None, "committed_at": None, "read_back_at": None, "read_back_due": None}


def is_due(destination: str, now: datetime) -> ColumnElement[bool]:
    """Among all deliveries: as ``ix_delivery_claim`` has them."""
    return and_(
        delivery.c.destination == destination,
        in_state(delivery.c.state, DeliveryState.SCHEDULED),
        delivery.c.run_after <= now,
    )


def is_due_beside(destination: str, now: datetime) -> ColumnElement[bool]:
    """The same among few: those of a job."""
    return and_(
        beside(delivery.c.destination) == destination,
        beside(delivery.c.state) == DeliveryState.SCHEDULED,
        delivery.c.run_after <= now,
    )


def delivery_from_row(row: Row[*tuple[Any, ...]]) -> Delivery:
    """``row`` as ``DELIVERIES`` selects it."""
    return Delivery(
        id=row.id,
        job_id=row.job_id,
        destination=row.destination,
        state=DeliveryState(row.state),
        study_instance_uid=row.study_instance_uid,
        sop_class_uid=row.sop_class_uid,
        sop_instance_uid=row.sop_instance_uid,
        storage_key=row.storage_key,
        attempt=row.attempt,
        max_attempts=row.max_attempts,
        updated_at=row.updated_at,
        owner=row.owner,
        run_after=row.run_after,
        transaction_uid=row.transaction_uid,
        error_code=row.error_code,
        error=row.error,
        released_at=row.released_at,
    )
