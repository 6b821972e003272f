"""What waits for each destination, and since when one takes nothing: read from the deliveries themselves."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from sqlalchemy import Connection, Engine, func, select

from node.config import Config, commits
from node.database.statements import in_state
from node.database.tables import delivery
from node.database.unit_of_work import UnitOfWork
from node.domain.delivery import DeliveryState

Document = dict[str, Any]
# More is told as "more than".
COUNTED = 10_000


class Destinations:
    def __init__(self, engine: Engine, config: Config) -> None:
        self._work = UnitOfWork(engine)
        self._configured: list[Document] = [
            {"name": one.name, "type": one.type, "commitment": commits(one)} for one in config.destinations
        ]

    def all(self) -> Sequence[Document]:
        """In the order of the configuration.

        ``waiting``, ``retrying`` and ``failed`` count objects, ``trouble`` is None while nothing that waits has failed
        before; else its last error, since when objects wait for it, and when the next is tried.
        """
        with self._work.read() as connection:
            return [one | _state(connection, one["name"]) for one in self._configured]


def _state(connection: Connection, name: str) -> Document:
    mine = delivery.c.destination == name
    waiting = select(delivery.c.error_code, delivery.c.error, delivery.c.created_at, delivery.c.run_after)
    waiting = waiting.where(mine, in_state(delivery.c.state, DeliveryState.SCHEDULED)).limit(COUNTED)
    rows = connection.execute(waiting).all()
    failed = select(delivery.c.destination).where(delivery.c.state == DeliveryState.FAILED).limit(COUNTED).subquery()
    counted = select(func.count()).select_from(failed).where(failed.c.destination == name)
    again = [row for row in rows if row.error_code is not None]
    first = min(again, key=lambda row: row.run_after, default=None)
    return {
        "waiting": len(rows),
        "retrying": len(again),
        "failed": connection.execute(counted).scalar_one(),
        "trouble": None
        if first is None
        else {
            "error_code": first.error_code,
            "error": first.error,
            "since": min(row.created_at for row in again),
            "next_try_at": first.run_after,
        },
    }
