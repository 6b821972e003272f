"""Which processes serve which role, by their heartbeats (``ports.RoleBoard``)."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import timedelta
from typing import Any

from sqlalchemy import ColumnElement, Connection, Engine, and_, delete, insert, update

from node.database.tables import role as roles
from node.database.unit_of_work import UnitOfWork
from node.ports import Clock

# A process that has not beaten for so long is not taken for alive.
STALE_AFTER = timedelta(seconds=10)
# A process that was killed leaves its row; a day later nobody asks for it any more.
FORGET_AFTER = timedelta(days=1)


class SqlRoleBoard:
    def __init__(self, engine: Engine, clock: Clock) -> None:
        self._work = UnitOfWork(engine)
        self._clock = clock
        self._hosts: dict[tuple[str, str], str] = {}

    def beat(self, role: str, instance: str, pid: int, host: str, detail: Mapping[str, Any]) -> None:
        self._hosts[role, instance] = host
        place = {"role": role, "host": host, "instance": instance}
        self._work.write(lambda connection: self._beat(connection, place, pid, detail))

    def leave(self, role: str, instance: str) -> None:
        """Only what this board announced: another host may serve an instance of the same name."""
        host = self._hosts.pop((role, instance), None)
        if host is not None:
            place = {"role": role, "host": host, "instance": instance}
            self._work.write(lambda connection: connection.execute(delete(roles).where(_at(place))))

    def _beat(self, connection: Connection, place: Mapping[str, str], pid: int, detail: Mapping[str, Any]) -> None:
        now = self._clock.now()
        known = update(roles).where(_at(place), roles.c.pid == pid).values(heartbeat_at=now, detail=dict(detail))
        if connection.execute(known).rowcount:
            return
        forgotten = roles.c.heartbeat_at < now - FORGET_AFTER
        connection.execute(delete(roles).where(_at(place) | forgotten))
        connection.execute(
            insert(roles).values(**place, pid=pid, started_at=now, heartbeat_at=now, detail=dict(detail))
        )


def _at(place: Mapping[str, str]) -> ColumnElement[bool]:
    return and_(*(roles.c[column] == value for column, value in place.items()))
