"""The one statement that both databases spell the same and SQLAlchemy does not."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from sqlalchemy import Connection, Table
from sqlalchemy.dialects import postgresql, sqlite


def insert_new(connection: Connection, table: Table, unique: Sequence[str], values: Mapping[str, Any]) -> bool:
    """Insert unless a row with the same ``unique`` columns exists; whether it was inserted."""
    insert = postgresql.insert if connection.dialect.name == "postgresql" else sqlite.insert
    statement = insert(table).values(**values).on_conflict_do_nothing(index_elements=unique)
    return connection.execute(statement.returning(table.c[unique[0]])).first() is not None
