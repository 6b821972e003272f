"""Transactions: ``read`` is one consistent look, ``write`` a step that is done wholly, once, and durably."""

from __future__ import annotations

import contextlib
import random
import sqlite3
import time
from collections.abc import Callable, Iterator
from typing import TypeVar

from sqlalchemy import Connection, Engine
from sqlalchemy.exc import DBAPIError
from sqlalchemy.exc import TimeoutError as PoolTimeout

from node.database.engine import WRITES
from node.errors import StoreUnavailable

T = TypeVar("T")
MAX_TRIES = 8
# serialization_failure, deadlock_detected, unique_violation: what a race that was lost looks like in PostgreSQL.
LOST_RACES = frozenset({"40001", "40P01", "23505"})
NO_ANSWER = "the database does not answer"
SQLITE_REASONS = {
    sqlite3.SQLITE_FULL: "the database's disk is full",
    sqlite3.SQLITE_IOERR: "the database's disk failed",
    sqlite3.SQLITE_BUSY: "the database is locked",
}
DISK_FULL = "53100"  # of PostgreSQL
# Classes of PostgreSQL's codes: connection exception, insufficient resources, operator intervention, system error.
UNAVAILABLE_CLASSES = frozenset({"08", "53", "57", "58"})


class UnitOfWork:
    def __init__(self, engine: Engine) -> None:
        self._engine = engine
        self._writer = engine.execution_options(**{WRITES: True})

    @contextlib.contextmanager
    def read(self) -> Iterator[Connection]:
        """
        Raises:
            StoreUnavailable: the database does not answer.
        """
        with _translated(), self._engine.connect() as connection:
            yield connection

    def write(self, step: Callable[[Connection], T]) -> T:
        """Run ``step`` in a transaction and commit; run it again, from the start, where it lost a race.

        Raises:
            StoreUnavailable: the database does not answer, or has no room; nothing was written.
        """
        with _translated():
            for tries_left in range(MAX_TRIES - 1, -1, -1):
                try:
                    with self._writer.begin() as connection:
                        return step(connection)
                except DBAPIError as error:
                    if not tries_left or not _lost_race(error):
                        raise
                time.sleep(random.uniform(0.0, 0.02))  # noqa: S311  spreads those who lost the same race
        raise AssertionError("unreachable: the last try returns or raises")


def _lost_race(error: DBAPIError) -> bool:
    if isinstance(error.orig, sqlite3.Error):
        return _sqlite_code(error.orig) == sqlite3.SQLITE_BUSY
    return getattr(error.orig, "sqlstate", None) in LOST_RACES


@contextlib.contextmanager
def _translated() -> Iterator[None]:
    try:
        yield
    except PoolTimeout as error:
        raise StoreUnavailable("no connection to the database became free") from error
    except DBAPIError as error:
        if _unavailable(error):
            raise StoreUnavailable(_reason(error), cause=type(error.orig).__name__) from error
        raise


def _reason(error: DBAPIError) -> str:
    if isinstance(error.orig, sqlite3.Error):
        return SQLITE_REASONS.get(_sqlite_code(error.orig), NO_ANSWER)
    return "the database's disk is full" if getattr(error.orig, "sqlstate", None) == DISK_FULL else NO_ANSWER


def _unavailable(error: DBAPIError) -> bool:
    if error.connection_invalidated:
        return True
    if isinstance(error.orig, sqlite3.OperationalError):
        # SQLITE_ERROR is a statement that is wrong; every other code is the file, the disk or the lock.
        return _sqlite_code(error.orig) != sqlite3.SQLITE_ERROR
    if type(error.orig).__name__ != "OperationalError":
        state = getattr(error.orig, "sqlstate", None)
        return state is not None and state[:2] in UNAVAILABLE_CLASSES
    return True  # psycopg could not connect


def _sqlite_code(error: sqlite3.Error) -> int:
    """The primary result code (an extended one holds it in its low byte)."""
    return getattr(error, "sqlite_errorcode", sqlite3.SQLITE_ERROR) & 0xFF
