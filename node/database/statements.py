"""What both databases spell the same and SQLAlchemy does not."""

from __future__ import annotations

import enum
from collections.abc import Mapping, Sequence
from functools import lru_cache
from typing import Any

from sqlalchemy import ColumnElement, Connection, Executable, Table, literal_column
from sqlalchemy.dialects import postgresql, sqlite


def insert_new(connection: Connection, table: Table, unique: Sequence[str], values: Mapping[str, Any]) -> bool:
    """Insert unless a row with the same ``unique`` columns exists; whether it was inserted."""
    return connection.execute(_insert_new(connection.dialect.name, table, tuple(unique)), values).first() is not None


# To build a statement costs several times what it takes to run it once more.
@lru_cache(maxsize=64)
def _insert_new(dialect: str, table: Table, unique: tuple[str, ...]) -> Executable:
    insert = postgresql.insert if dialect == "postgresql" else sqlite.insert
    statement = insert(table).on_conflict_do_nothing(index_elements=unique)
    return statement.returning(table.c[unique[0]])


def in_state(column: ColumnElement[str], state: enum.StrEnum) -> ColumnElement[bool]:
    """``column`` is ``state``, as a word of the statement and not as its parameter: so a partial index fits it."""
    return column == literal_column(f"'{state.value}'")


def beside(column: ColumnElement[str]) -> ColumnElement[str]:
    """``column``, of which no index is used: where another condition leaves only a few rows.

    SQLite has no statistics and takes every index for equally good; of one state there may be a million rows.
    """
    return column + ""
