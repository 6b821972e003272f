"""What is known of destinations: what waits for them, whether they answer, and what they take."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Any

from sqlalchemy import Connection, Engine, and_, func, select, update

from node.database.roles import STALE_AFTER
from node.database.statements import in_state, insert_new
from node.database.tables import delivery, role, setting
from node.database.unit_of_work import UnitOfWork
from node.domain.delivery import DeliveryState
from node.ports import Clock

_NAMED = "destination."


class SqlDestinations:
    def __init__(self, engine: Engine, clock: Clock) -> None:
        self._work = UnitOfWork(engine)
        self._clock = clock

    def waiting(self, names: Sequence[str]) -> dict[str, int]:
        """How many deliveries are SCHEDULED to each of them."""
        statement = (
            select(delivery.c.destination, func.count().label("amount"))
            .where(in_state(delivery.c.state, DeliveryState.SCHEDULED), delivery.c.destination.in_(names))
            .group_by(delivery.c.destination)
        )
        with self._work.read() as connection:
            found = {row.destination: row.amount for row in connection.execute(statement)}
        return {name: found.get(name, 0) for name in names}

    def circuits(self, now: datetime | None = None) -> dict[str, dict[str, Any]]:
        """What living senders say of their circuits, by destination; an open one where hosts do not agree."""
        alive = and_(role.c.role == "deliver", role.c.heartbeat_at >= (now or self._clock.now()) - STALE_AFTER)
        found: dict[str, dict[str, Any]] = {}
        with self._work.read() as connection:
            rows = connection.execute(select(role.c.detail).where(alive).order_by(role.c.host, role.c.instance))
            for row in rows:
                for name, circuit in (row.detail.get("circuits") or {}).items():
                    if name not in found or circuit["open"]:
                        found[name] = circuit
        return found

    def keep_takes(self, name: str, takes: Mapping[str, Any]) -> None:
        """What a destination takes, as it said itself; it stays known while it does not answer."""
        facts = {"value": dict(takes), "set_at": self._clock.now()}

        def step(connection: Connection) -> None:
            if not insert_new(connection, setting, ("name",), {"name": _NAMED + name, **facts}):
                connection.execute(update(setting).where(setting.c.name == _NAMED + name).values(**facts))

        self._work.write(step)

    def takes(self) -> dict[str, dict[str, Any]]:
        with self._work.read() as connection:
            rows = connection.execute(select(setting.c.name, setting.c.value).where(setting.c.name.startswith(_NAMED)))
            return {row.name.removeprefix(_NAMED): row.value for row in rows}
