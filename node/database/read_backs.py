"""What is looked for at its destination, as rows (``ports.read_back.ReadBacks``)."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime, timedelta
from typing import Any

from sqlalchemy import ColumnElement, Connection, Engine, Row, and_, select, update

from node.database.alerts import raise_alerts
from node.database.delivery_rows import failed
from node.database.outbox import RESEND
from node.database.statements import beside
from node.database.tables import delivery, job, result
from node.database.unit_of_work import UnitOfWork
from node.domain.delivery import Acknowledged, DeliveryState
from node.domain.retry import RetryPolicy
from node.domain.study import Value
from node.errors import AinodeError, ReadBackFailed
from node.ports import Clock

MISSING, UNANSWERED = "read_back_missing", "read_back_unanswered"
# What is not there is sent once more. Who loses it again is not sent it for ever.
SENT_AGAIN = 1
LOOKED_FOR = (DeliveryState.STORED, DeliveryState.COMMITTED)


class SqlReadBacks:
    """``resend`` says how soon what is not there is sent again."""

    def __init__(self, engine: Engine, clock: Clock, resend: RetryPolicy = RESEND) -> None:
        self._work = UnitOfWork(engine)
        self._clock = clock
        self._resend = resend

    def claim(self, destination: str, lease_s: float, limit: int = 50) -> Sequence[Acknowledged]:
        now = self._clock.now()
        due = _due(destination, now).order_by(delivery.c.read_back_due, delivery.c.id).limit(limit)
        # Looked at first without the right to write: mostly there is nothing.
        with self._work.read() as connection:
            if connection.execute(due.limit(1)).first() is None:
                return []
        return self._work.write(lambda connection: _claim(connection, due, now + timedelta(seconds=lease_s)))

    def found(self, objects: Sequence[Acknowledged]) -> None:
        now = self._clock.now()
        seen = {"read_back_at": now, "read_back_due": None, "read_back_missing": 0, "updated_at": now}
        seen |= {"error_code": None, "error": None}
        self._work.write(lambda connection: [_change(connection, one, seen) for one in objects])

    def ask_again(self, one: Acknowledged, after_s: float, error: AinodeError | None = None) -> None:
        due = {"read_back_due": self._clock.now() + timedelta(seconds=after_s)}
        why = _said(error) if error is not None else {}
        self._work.write(lambda connection: _change(connection, one, due | why))

    def unanswered(self, one: Acknowledged, error: AinodeError) -> None:
        now = self._clock.now()

        def step(connection: Connection) -> None:
            if _change(connection, one, {"read_back_due": None, "updated_at": now, **_said(error)}):
                _alert(connection, UNANSWERED, one, now, error_code=error.code)

        self._work.write(step)

    def missing(self, one: Acknowledged) -> bool:
        now = self._clock.now()
        again = one.missing < SENT_AGAIN and one.attempt < one.max_attempts
        words = "it was acknowledged, and is not there" + (": sent again" if again else ", not even when sent again")
        after_s = self._resend.delay_s(one.attempt, 1.0) if again else None
        changes = failed(ReadBackFailed(words), after_s, now) | {"read_back_missing": one.missing + 1}

        def step(connection: Connection) -> bool:
            if not _change(connection, one, changes | {"updated_at": now}):
                return False
            _alert(connection, MISSING, one, now, sent_again=again)
            return again

        return self._work.write(step)


def _due(destination: str, now: datetime) -> Any:
    columns = (
        delivery.c.id,
        delivery.c.destination,
        delivery.c.stored_at,
        delivery.c.attempt,
        delivery.c.max_attempts,
        delivery.c.read_back_tries,
        delivery.c.read_back_missing,
        result.c.series_instance_uid,
        result.c.sop_class_uid,
        result.c.sop_instance_uid,
        job.c.study_instance_uid,
    )
    return (
        select(*columns)
        .join(result, result.c.id == delivery.c.result_id)
        .join(job, job.c.id == delivery.c.job_id)
        .where(delivery.c.destination == destination, delivery.c.read_back_due <= now)
        .where(delivery.c.read_back_due.is_not(None), beside(delivery.c.state).in_(LOOKED_FOR))
    )


def _claim(connection: Connection, due: Any, until: datetime) -> list[Acknowledged]:
    rows = connection.execute(due.with_for_update(of=delivery, skip_locked=True)).all()
    taken = update(delivery).where(delivery.c.id.in_([row.id for row in rows]))
    connection.execute(taken.values(read_back_due=until, read_back_tries=delivery.c.read_back_tries + 1))
    return [_acknowledged(row) for row in rows]


def _acknowledged(row: Row[*tuple[Any, ...]]) -> Acknowledged:
    return Acknowledged(
        delivery_id=row.id,
        destination=row.destination,
        study_instance_uid=row.study_instance_uid,
        series_instance_uid=row.series_instance_uid,
        sop_class_uid=row.sop_class_uid,
        sop_instance_uid=row.sop_instance_uid,
        stored_at=row.stored_at,
        attempt=row.attempt,
        max_attempts=row.max_attempts,
        tries=row.read_back_tries + 1,
        missing=row.read_back_missing,
    )


def _change(connection: Connection, one: Acknowledged, changes: dict[str, Any]) -> bool:
    """Unless it was sent again meanwhile, or somebody else has the answer."""
    return connection.execute(update(delivery).where(_still(one)).values(**changes)).rowcount == 1


def _still(one: Acknowledged) -> ColumnElement[bool]:
    return and_(
        delivery.c.id == one.delivery_id,
        delivery.c.attempt == one.attempt,
        delivery.c.read_back_due.is_not(None),
        beside(delivery.c.state).in_(LOOKED_FOR),
    )


def _said(error: AinodeError) -> dict[str, str]:
    return {"error_code": error.code, "error": error.message}


def _alert(connection: Connection, kind: str, one: Acknowledged, now: datetime, **more: Value) -> None:
    detail: dict[str, Value] = {
        "study_instance_uid": one.study_instance_uid,
        "destination": one.destination,
        "delivery": one.delivery_id,
        **more,
    }
    raise_alerts(connection, [(kind, one.sop_instance_uid, detail)], now)
