"""One engine for each process. Make it after forking: connections are never shared between processes."""

from __future__ import annotations

import functools
import sqlite3
import time
from typing import Any

from sqlalchemy import URL, Connection, Engine, create_engine, event, make_url

# Execution option of a connection whose transaction will write.
WRITES = "ainode_writes"
BUSY_TIMEOUT_S = 30.0
WAL_TRIES = 100


def make_engine(url: str, password: str | None = None, flush_commits: bool = True) -> Engine:
    """An engine for ``sqlite:///...`` (a file on a local disk: WAL needs shared memory) or ``postgresql+psycopg://``.

    Parameters never appear in its messages: they are patient data. Without ``flush_commits`` the last commits may be
    undone by a power cut, in their order: for what can be done again, from where it is durable.
    """
    parsed = make_url(url)
    if password is not None:
        parsed = parsed.set(password=password)
    if parsed.get_backend_name() == "sqlite":
        return _sqlite(parsed, flush_commits)
    return _postgresql(parsed, flush_commits)


def _postgresql(url: URL, flush_commits: bool) -> Engine:
    settings = {} if flush_commits else {"options": "-c synchronous_commit=off"}
    return create_engine(
        url,
        hide_parameters=True,
        pool_size=4,
        max_overflow=12,
        pool_timeout=BUSY_TIMEOUT_S,
        pool_pre_ping=True,
        pool_recycle=1800,
        connect_args={"connect_timeout": 10, "application_name": "ainode", "keepalives_idle": 30} | settings,
    )


def _sqlite(url: URL, flush_commits: bool) -> Engine:
    engine = create_engine(
        url,
        hide_parameters=True,
        pool_size=4,
        max_overflow=60,
        pool_timeout=BUSY_TIMEOUT_S,
        # Python's driver opens no transactions of its own: _begin does, with the right word.
        connect_args={"timeout": BUSY_TIMEOUT_S, "isolation_level": None},
    )
    event.listen(engine, "connect", functools.partial(_set_pragmas, "FULL" if flush_commits else "NORMAL"))
    event.listen(engine, "begin", _begin)
    return engine


def _set_pragmas(synchronous: str, connection: sqlite3.Connection, _: Any) -> None:
    connection.execute(f"PRAGMA busy_timeout = {int(BUSY_TIMEOUT_S * 1000)}")
    _use_wal(connection)
    # With NORMAL the last commits are lost when the power fails, with FULL none that returned.
    connection.execute(f"PRAGMA synchronous = {synchronous}")
    connection.execute("PRAGMA foreign_keys = ON")


def _use_wal(connection: sqlite3.Connection) -> None:
    """Switching to WAL needs the file for itself and does not wait for the busy timeout."""
    for tries_left in range(WAL_TRIES - 1, -1, -1):
        try:
            connection.execute("PRAGMA journal_mode = WAL")
        except sqlite3.OperationalError as error:
            if error.sqlite_errorcode & 0xFF != sqlite3.SQLITE_BUSY or not tries_left:
                raise
            time.sleep(0.02)
        else:
            return


def _begin(connection: Connection) -> None:
    # A transaction that reads first and writes later cannot wait for another writer; IMMEDIATE waits at once.
    writes = connection.get_execution_options().get(WRITES, False)
    connection.exec_driver_sql("BEGIN IMMEDIATE" if writes else "BEGIN")
