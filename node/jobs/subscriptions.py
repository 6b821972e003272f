"""Who is told of which workitems, and what they are still to be told (``ports.Subscriptions``)."""

from __future__ import annotations

from collections.abc import Sequence

from sqlalchemy import ColumnElement, Connection, Engine, and_, delete, func, insert, or_, select, update

from node.database.alerts import raise_alerts
from node.database.subscription_rows import happened_from_row, subscription_from_row
from node.database.tables import ups_event, ups_report, ups_subscription
from node.database.unit_of_work import UnitOfWork
from node.domain.workitem import FINAL, GLOBAL, Behind, EventType, Happened, Report, Subscription
from node.ports import Clock

SUBSCRIBER_GONE = "ups_subscriber_gone"


class SqlSubscriptions:
    def __init__(self, engine: Engine, clock: Clock) -> None:
        self._work = UnitOfWork(engine)
        self._clock = clock

    def subscribe(self, subscription: Subscription, first: Report | None = None) -> None:
        def step(connection: Connection) -> None:
            _forget(connection, subscription.receiving_ae, subscription.workitem_uid)
            self._insert(connection, subscription)
            if first is not None:
                connection.execute(insert(ups_report).values(**_values(first)))

        self._work.write(step)

    def unsubscribe(self, receiving_ae: str, workitem_uid: str) -> None:
        def step(connection: Connection) -> None:
            _forget(connection, receiving_ae, workitem_uid)
            everything = and_(_of(receiving_ae), ups_subscription.c.workitem_uid == GLOBAL)
            if workitem_uid != GLOBAL and connection.execute(select(ups_subscription).where(everything)).first():
                self._insert(connection, Subscription(receiving_ae, workitem_uid, wanted=False))

        self._work.write(step)

    def suspend(self, receiving_ae: str) -> None:
        active = and_(_of(receiving_ae), ups_subscription.c.suspended_at.is_(None))
        suspended = update(ups_subscription).where(active, ups_subscription.c.workitem_uid == GLOBAL)
        self._work.write(lambda connection: connection.execute(suspended.values(suspended_at=self._clock.now())))

    def of(self, receiving_ae: str) -> Sequence[Subscription]:
        return self._subscriptions(_of(receiving_ae))

    def all(self) -> Sequence[Subscription]:
        exception = ups_subscription.c.wanted.is_(False)
        return self._subscriptions(or_(ups_subscription.c.workitem_uid == GLOBAL, exception))

    def about(self, workitem_uid: str) -> Sequence[Subscription]:
        return self._subscriptions(ups_subscription.c.workitem_uid == workitem_uid)

    def happened(self, limit: int) -> Sequence[Happened]:
        with self._work.read() as connection:
            rows = connection.execute(select(ups_event).order_by(ups_event.c.id).limit(limit))
            return [happened_from_row(row) for row in rows]

    def tell(self, happened: Sequence[Happened], reports: Sequence[Report]) -> None:
        ids = [one.id for one in happened]
        over = [one.workitem_uid for one in happened if one.became in FINAL]

        def step(connection: Connection) -> None:
            still = select(ups_event.c.id).where(ups_event.c.id.in_(ids)).with_for_update()
            if len(connection.execute(still).all()) != len(ids):
                return
            connection.execute(delete(ups_event).where(ups_event.c.id.in_(ids)))
            if reports:
                connection.execute(insert(ups_report), [_values(report) for report in reports])
            connection.execute(delete(ups_subscription).where(ups_subscription.c.workitem_uid.in_(over)))

        if ids:
            self._work.write(step)

    def receivers(self) -> Sequence[str]:
        with self._work.read() as connection:
            return list(connection.execute(select(ups_report.c.receiving_ae).distinct()).scalars())

    def waiting(self, receiving_ae: str, limit: int) -> Sequence[Report]:
        mine = select(ups_report).where(ups_report.c.receiving_ae == receiving_ae).order_by(ups_report.c.id)
        with self._work.read() as connection:
            return [
                Report(
                    receiving_ae=row.receiving_ae,
                    workitem_uid=row.workitem_uid,
                    event_type=EventType(row.event_type),
                    information=row.information,
                    created_at=row.created_at,
                    id=row.id,
                )
                for row in connection.execute(mine.limit(limit))
            ]

    def told(self, reports: Sequence[Report]) -> None:
        done = delete(ups_report).where(ups_report.c.id.in_([report.id for report in reports]))
        self._work.write(lambda connection: connection.execute(done))

    def behind(self, receiving_ae: str) -> Behind:
        mine = ups_report.c.receiving_ae == receiving_ae
        with self._work.read() as connection:
            row = connection.execute(select(func.count(), func.min(ups_report.c.created_at)).where(mine)).one()
        return Behind(row[0], row[1])

    def forget_all(self) -> None:
        """Nobody tells anybody anything any more."""
        with self._work.read() as connection:
            if connection.execute(select(ups_subscription.c.receiving_ae).limit(1)).first() is None:
                return

        def step(connection: Connection) -> None:
            for table in (ups_subscription, ups_event, ups_report):
                connection.execute(delete(table))

        self._work.write(step)

    def drop(self, receiving_ae: str) -> int:
        def step(connection: Connection) -> int:
            lost = connection.execute(delete(ups_report).where(ups_report.c.receiving_ae == receiving_ae)).rowcount
            connection.execute(delete(ups_subscription).where(_of(receiving_ae)))
            raise_alerts(connection, [(SUBSCRIBER_GONE, receiving_ae, {"reports": lost})], self._clock.now())
            return lost

        return self._work.write(step)

    def _subscriptions(self, condition: ColumnElement[bool]) -> list[Subscription]:
        statement = select(ups_subscription).where(condition).order_by(ups_subscription.c.receiving_ae)
        with self._work.read() as connection:
            return [subscription_from_row(row) for row in connection.execute(statement)]

    def _insert(self, connection: Connection, subscription: Subscription) -> None:
        values = {
            "receiving_ae": subscription.receiving_ae,
            "workitem_uid": subscription.workitem_uid,
            "wanted": subscription.wanted,
            "matching": None if subscription.matching is None else dict(subscription.matching),
            "suspended_at": subscription.suspended_at,
            "created_at": self._clock.now(),
        }
        connection.execute(insert(ups_subscription).values(**values))


def _of(receiving_ae: str) -> ColumnElement[bool]:
    return ups_subscription.c.receiving_ae == receiving_ae


def _forget(connection: Connection, receiving_ae: str, workitem_uid: str) -> None:
    """What the AE said of this workitem; of all: with the exceptions, and what it asked for one by one."""
    said = _of(receiving_ae)
    if workitem_uid != GLOBAL:
        said = and_(said, ups_subscription.c.workitem_uid == workitem_uid)
    connection.execute(delete(ups_subscription).where(said))


def _values(report: Report) -> dict[str, object]:
    return {
        "receiving_ae": report.receiving_ae,
        "workitem_uid": report.workitem_uid,
        "event_type": int(report.event_type),
        "information": dict(report.information),
        "created_at": report.created_at,
    }
