"""Results on their way and their commitments (``ports.Outbox``)."""

from __future__ import annotations

import copy
from collections.abc import Collection, Sequence
from datetime import datetime, timedelta
from typing import Any

from sqlalchemy import ColumnElement, Connection, Engine, Row, and_, func, select, update

from node.database import audit, commitments
from node.database.delivery_rows import (
    DELIVERIES,
    NOT_THERE,
    RELEASED,
    SEND_ORDER,
    change_held,
    delivery_from_row,
    failed,
    is_due,
    is_due_beside,
)
from node.database.statements import in_state
from node.database.tables import delivery, job, result
from node.database.unit_of_work import UnitOfWork
from node.domain.audit import SYSTEM, Action, Use
from node.domain.delivery import AWAY, CommitmentReport, Delivery, DeliveryState
from node.domain.job import Priority
from node.domain.retry import RetryPolicy
from node.errors import AinodeError, InvalidTransition, NotFound, WorkerLost
from node.ports import Clock

# STORED too: a destination that lost what it had stored is sent it again by an operator.
RETRIED_BY_HAND = frozenset({DeliveryState.FAILED, DeliveryState.CANCELED, DeliveryState.STORED})

RESEND = RetryPolicy()


class SqlOutbox:
    """``resend`` says how soon an object is sent again that was stored but not committed, or whose sender was lost.

    ``actor`` is who asks for a delivery to be made again, for the log of uses. ``reading_back`` names the destinations
    at which what was stored is looked for afterwards.
    """

    def __init__(
        self,
        engine: Engine,
        clock: Clock,
        resend: RetryPolicy = RESEND,
        actor: str = SYSTEM,
        reading_back: Collection[str] = (),
    ) -> None:
        self._work = UnitOfWork(engine)
        self._clock = clock
        self._resend = resend
        self._actor = actor
        self._reading_back = frozenset(reading_back)

    def acting(self, actor: str) -> SqlOutbox:
        """This outbox, used by somebody else."""
        other = copy.copy(self)
        other._actor = actor
        return other

    def claim(self, destination: str, owner: str, lease_s: float, limit: int = 50) -> Sequence[Delivery]:
        now = self._clock.now()
        # Looked at first without the right to write: an idle sender must not hold up the receivers.
        with self._work.read() as connection:
            if connection.execute(select(_most_urgent(destination, now))).scalar() is None:
                return []
        return self._work.write(lambda connection: _claim(connection, destination, owner, lease_s, limit, now))

    def renew(self, deliveries: Sequence[Delivery], lease_s: float) -> bool:
        now = self._clock.now()
        until = {"lease_until": now + timedelta(seconds=lease_s)}
        return self._work.write(
            lambda connection: sum(change_held(connection, one, now, until) for one in deliveries) > 0
        )

    def stored(self, delivery: Delivery) -> bool:
        now = self._clock.now()
        looked_for = now if delivery.destination in self._reading_back else None
        changes = {**RELEASED, **NOT_THERE, "state": DeliveryState.STORED, "error_code": None, "error": None}
        changes |= {"stored_at": now, "read_back_due": looked_for, "read_back_tries": 0}
        return self._work.write(lambda connection: change_held(connection, delivery, now, changes))

    def fail(self, delivery: Delivery, error: AinodeError, retry_after_s: float | None) -> bool:
        now = self._clock.now()
        changes = failed(error, retry_after_s, now)
        return self._work.write(lambda connection: change_held(connection, delivery, now, changes))

    def due_again(self, destination: str) -> int:
        waiting = and_(
            delivery.c.destination == destination,
            in_state(delivery.c.state, DeliveryState.SCHEDULED),
            delivery.c.error_code.in_(AWAY),
        )
        changes = {"run_after": delivery.c.created_at, "updated_at": self._clock.now()}
        return self._work.write(
            lambda connection: connection.execute(update(delivery).where(waiting).values(**changes)).rowcount
        )

    def uncommitted(self, destination: str, limit: int = 500) -> Sequence[Delivery]:
        waiting = and_(
            delivery.c.destination == destination,
            in_state(delivery.c.state, DeliveryState.STORED),
            delivery.c.transaction_uid.is_(None),
        )
        with self._work.read() as connection:
            rows = connection.execute(DELIVERIES.where(waiting).order_by(delivery.c.id).limit(limit))
            return [delivery_from_row(row) for row in rows]

    def request_commitment(self, transaction_uid: str, deliveries: Sequence[Delivery], expires_at: datetime) -> None:
        now = self._clock.now()
        self._work.write(
            lambda connection: commitments.request(connection, transaction_uid, deliveries, expires_at, now)
        )

    def withdraw_commitment(self, transaction_uid: str) -> None:
        self._work.write(lambda connection: commitments.end_requests(connection, [transaction_uid]))

    def apply_report(self, report: CommitmentReport) -> bool:
        now = self._clock.now()
        return self._work.write(lambda connection: commitments.apply(connection, report, self._resend, now))

    def expire_commitments(self) -> int:
        now = self._clock.now()
        with self._work.read() as connection:
            if not commitments.overdue(connection, now):
                return 0
        return self._work.write(
            lambda connection: commitments.end_requests(connection, commitments.overdue(connection, now))
        )

    def rescue(self) -> int:
        now = self._clock.now()
        over = and_(in_state(delivery.c.state, DeliveryState.IN_PROGRESS), delivery.c.lease_until <= now)
        lost = select(delivery.c.id, delivery.c.attempt, delivery.c.max_attempts).where(over)
        with self._work.read() as connection:
            if connection.execute(lost.limit(1)).first() is None:
                return 0
        locked = lost.order_by(delivery.c.id).with_for_update(skip_locked=True)
        return self._work.write(
            lambda connection: sum(self._rescue(connection, row, now) for row in connection.execute(locked).all())
        )

    def _rescue(self, connection: Connection, row: Row[*tuple[Any, ...]], now: datetime) -> int:
        """Later than the others, and not for ever: perhaps this object is what killed the sender."""
        again = self._resend.delay_s(row.attempt, 1.0) if row.attempt < row.max_attempts else None
        changes = failed(WorkerLost("the process that sent it is gone"), again, now)
        rescued = update(delivery).where(delivery.c.id == row.id).values(updated_at=now, **changes)
        return connection.execute(rescued).rowcount

    def get(self, delivery_id: int) -> Delivery:
        with self._work.read() as connection:
            return _get(connection, delivery_id)

    def retry(self, delivery_id: int) -> None:
        """FAILED, CANCELED or STORED -> SCHEDULED with a fresh budget of attempts.

        Raises:
            NotFound, InvalidTransition
        """
        self._work.write(lambda connection: self._retry(connection, delivery_id, self._clock.now()))

    def _retry(self, connection: Connection, delivery_id: int, now: datetime) -> None:
        _retry(connection, delivery_id, now)
        columns = (job.c.study_instance_uid, delivery.c.destination, result.c.sop_instance_uid)
        about = select(*columns).select_from(delivery).join(result, result.c.id == delivery.c.result_id)
        about = about.join(job, job.c.id == delivery.c.job_id).where(delivery.c.id == delivery_id)
        row = connection.execute(about).one()
        detail = {"destination": row.destination, "sop_instance_uid": row.sop_instance_uid}
        use = Use(Action.DELIVERY_RETRIED, f"delivery {delivery_id}", row.study_instance_uid, detail)
        audit.append(connection, self._actor, now, [use])


def _most_urgent(destination: str, now: datetime, locked: bool = False) -> ColumnElement[int | None]:
    """The id of the job whose deliveries to this destination are next; null where nothing is due.

    By priority, then by how long they have been due; each priority is a look at the head of ``ix_delivery_claim``.
    Nothing ages here: after an outage everything is old, and the urgent results are to go first. With one locked job,
    two senders never share one.
    """
    due = (
        select(job.c.id)
        .join(delivery, delivery.c.job_id == job.c.id)
        .where(is_due(destination, now))
        .order_by(delivery.c.run_after, delivery.c.id)
        .limit(1)
    )
    if locked:
        due = due.with_for_update(of=job, skip_locked=True)
    return func.coalesce(*(due.where(delivery.c.priority == int(one)).scalar_subquery() for one in Priority))


def _claim(
    connection: Connection, destination: str, owner: str, lease_s: float, limit: int, now: datetime
) -> list[Delivery]:
    job_id = connection.execute(select(_most_urgent(destination, now, locked=True))).scalar()
    if job_id is None:
        return []
    due = and_(delivery.c.job_id == job_id, is_due_beside(destination, now))
    chosen = select(delivery.c.id).join(result).where(due).order_by(*SEND_ORDER).limit(limit)
    ids = connection.execute(chosen.with_for_update(of=delivery)).scalars().all()
    claimed = update(delivery).where(delivery.c.id.in_(ids), is_due_beside(destination, now))
    connection.execute(
        claimed.values(
            state=DeliveryState.IN_PROGRESS,
            attempt=delivery.c.attempt + 1,
            owner=owner,
            lease_until=now + timedelta(seconds=lease_s),
            updated_at=now,
        )
    )
    rows = connection.execute(DELIVERIES.where(delivery.c.id.in_(ids)).order_by(*SEND_ORDER))
    return [delivery_from_row(row) for row in rows]


def _get(connection: Connection, delivery_id: int) -> Delivery:
    row = connection.execute(DELIVERIES.where(delivery.c.id == delivery_id)).first()
    if row is None:
        raise NotFound(f"no delivery {delivery_id}")
    return delivery_from_row(row)


def _retry(connection: Connection, delivery_id: int, now: datetime) -> None:
    found = connection.execute(select(delivery.c.state).where(delivery.c.id == delivery_id).with_for_update()).scalar()
    if found is None:
        raise NotFound(f"no delivery {delivery_id}")
    if found not in RETRIED_BY_HAND:
        raise InvalidTransition(f"delivery {delivery_id} is {found}; only a failed or stored one is sent again")
    changes = {
        **RELEASED,
        **NOT_THERE,
        "read_back_missing": 0,
        "state": DeliveryState.SCHEDULED,
        "max_attempts": delivery.c.attempt + delivery.c.budget,
        "run_after": now,
        "updated_at": now,
    }
    connection.execute(update(delivery).where(delivery.c.id == delivery_id).values(**changes))
