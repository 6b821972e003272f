"""Associations as rows, by which instances came."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime
from functools import lru_cache
from typing import Any

from sqlalchemy import Connection, Executable, and_, update
from sqlalchemy.dialects import postgresql, sqlite

from node.database.statements import insert_new
from node.database.tables import association
from node.domain.study import AssociationFacts

# Of an association whose end was recorded before any instance of it: its facts come with one.
UNKNOWN = ""


def open_all(connection: Connection, facts: Mapping[str, AssociationFacts]) -> None:
    """Those that are not known yet."""
    if not facts:
        return
    connection.execute(_open_all(connection.dialect.name), [_values(facts[name]) for name in sorted(facts)])


@lru_cache(maxsize=2)
def _open_all(dialect: str) -> Executable:
    insert = postgresql.insert if dialect == "postgresql" else sqlite.insert
    statement = insert(association)
    known = ("calling_ae", "called_ae", "peer_host", "receiver", "opened_at")
    return statement.on_conflict_do_update(
        index_elements=("id",),
        set_={column: statement.excluded[column] for column in known},
        where=association.c.receiver == UNKNOWN,
    )


def end(connection: Connection, association_id: str, how: str, at: datetime) -> None:
    """Nothing happens where it has ended."""
    still_open = and_(association.c.id == association_id, association.c.ended_at.is_(None))
    ended = update(association).where(still_open).values(ended_at=at, how=how)
    if not connection.execute(ended).rowcount:
        facts = AssociationFacts(association_id, UNKNOWN, UNKNOWN, UNKNOWN, UNKNOWN, opened_at=at)
        insert_new(connection, association, ("id",), _values(facts) | {"ended_at": at, "how": how})


def end_all_of(connection: Connection, receiver: str, started_at: datetime) -> int:
    """What a receiver of that name left open when it died, before it started again."""
    left = and_(
        association.c.receiver == receiver, association.c.ended_at.is_(None), association.c.opened_at < started_at
    )
    return connection.execute(update(association).where(left).values(ended_at=started_at, how="lost")).rowcount


def _values(facts: AssociationFacts) -> dict[str, Any]:
    return {
        "id": facts.id,
        "calling_ae": facts.calling_ae,
        "called_ae": facts.called_ae,
        "peer_host": facts.peer_host,
        "receiver": facts.receiver,
        "opened_at": facts.opened_at,
    }
