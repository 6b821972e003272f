"""Storage commitments as rows (PS3.4 Annex J): requested, answered, expired; what an answer does to deliveries."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from typing import Any

from sqlalchemy import Connection, Row, and_, insert, select, update

from node.database.delivery_rows import failed
from node.database.statements import beside, in_state
from node.database.tables import commitment, commitment_delivery, delivery, result
from node.domain.delivery import CommitmentReport, CommitmentState, Delivery, DeliveryState
from node.domain.retry import RetryPolicy
from node.errors import CommitmentFailed

# A report that comes after its request has expired is as true as one in time.
UNANSWERED = (CommitmentState.REQUESTED, CommitmentState.EXPIRED)


def request(
    connection: Connection, transaction_uid: str, deliveries: Sequence[Delivery], expires_at: datetime, now: datetime
) -> None:
    if not deliveries:
        return
    values = {
        "transaction_uid": transaction_uid,
        "destination": deliveries[0].destination,
        "state": CommitmentState.REQUESTED,
        "requested_at": now,
        "expires_at": expires_at,
    }
    connection.execute(insert(commitment).values(**values))
    ids = [one.id for one in deliveries]
    links = [{"transaction_uid": transaction_uid, "delivery_id": one} for one in ids]
    connection.execute(insert(commitment_delivery), links)
    stored = and_(delivery.c.id.in_(ids), beside(delivery.c.state) == DeliveryState.STORED)
    connection.execute(update(delivery).where(stored).values(transaction_uid=transaction_uid))


def end_requests(connection: Connection, transaction_uids: Sequence[str]) -> int:
    """EXPIRED, and their deliveries uncommitted again; how many were still REQUESTED."""
    requested = beside(commitment.c.state) == CommitmentState.REQUESTED
    waiting = and_(commitment.c.transaction_uid.in_(transaction_uids), requested)
    ended = connection.execute(update(commitment).where(waiting).values(state=CommitmentState.EXPIRED)).rowcount
    _release(connection, transaction_uids)
    return ended


def overdue(connection: Connection, now: datetime) -> Sequence[str]:
    """Transaction UIDs of requests whose time is over, locked."""
    late = and_(in_state(commitment.c.state, CommitmentState.REQUESTED), commitment.c.expires_at <= now)
    statement = select(commitment.c.transaction_uid).where(late).order_by(commitment.c.transaction_uid)
    return connection.execute(statement.with_for_update(skip_locked=True)).scalars().all()


def apply(connection: Connection, report: CommitmentReport, resend: RetryPolicy, now: datetime) -> bool:
    """Whether the Transaction UID is known; an answer that was applied already changes nothing."""
    statement = select(commitment.c.state).where(commitment.c.transaction_uid == report.transaction_uid)
    state = connection.execute(statement.with_for_update()).scalar()
    if state is None:
        return False
    if state not in UNANSWERED:
        return True
    committed = frozenset(report.committed)
    for row in _asked_for(connection, report.transaction_uid):
        if row.sop_instance_uid in report.failed:
            _refuse(connection, row, report, resend, now)
        elif row.sop_instance_uid in committed:
            changes = {"state": DeliveryState.COMMITTED, "committed_at": now, "updated_at": now}
            changes |= {"error_code": None, "error": None}
            connection.execute(update(delivery).where(delivery.c.id == row.id).values(**changes))
    _release(connection, [report.transaction_uid])
    answer = CommitmentState.FAILED if report.failed else CommitmentState.COMMITTED
    answered = update(commitment).where(commitment.c.transaction_uid == report.transaction_uid)
    connection.execute(answered.values(state=answer, answered_at=now))
    return True


def _asked_for(connection: Connection, transaction_uid: str) -> Sequence[Row[*tuple[Any, ...]]]:
    """The deliveries of this request that are still STORED, locked."""
    columns = (delivery.c.id, delivery.c.attempt, delivery.c.max_attempts, delivery.c.transaction_uid)
    return connection.execute(
        select(*columns, result.c.sop_instance_uid)
        .join(commitment_delivery, commitment_delivery.c.delivery_id == delivery.c.id)
        .join(result, result.c.id == delivery.c.result_id)
        .where(
            commitment_delivery.c.transaction_uid == transaction_uid,
            beside(delivery.c.state) == DeliveryState.STORED,
        )
        .order_by(delivery.c.id)
        .with_for_update(of=delivery)
    ).all()


def _refuse(
    connection: Connection, row: Row[*tuple[Any, ...]], report: CommitmentReport, resend: RetryPolicy, now: datetime
) -> None:
    """Send it again after a growing delay, as long as there are attempts left."""
    if row.transaction_uid not in (None, report.transaction_uid):
        return  # asked for anew meanwhile: the newer answer decides
    reason = f"the destination did not commit it, Failure Reason {report.failed[row.sop_instance_uid]:04X}H"
    again = resend.delay_s(row.attempt, 1.0) if row.attempt < row.max_attempts else None
    changes = failed(CommitmentFailed(reason), again, now)
    connection.execute(update(delivery).where(delivery.c.id == row.id).values(updated_at=now, **changes))


def _release(connection: Connection, transaction_uids: Sequence[str]) -> None:
    stored = beside(delivery.c.state) == DeliveryState.STORED
    under_way = and_(delivery.c.transaction_uid.in_(transaction_uids), stored)
    connection.execute(update(delivery).where(under_way).values(transaction_uid=None))
