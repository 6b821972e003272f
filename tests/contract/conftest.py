"""The databases that a contract runs over: SQLite in a file, and a real PostgreSQL."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
from sqlalchemy import Engine

from node.database.engine import make_engine
from node.database.migrations import upgrade
from tests.fakes.outbox import StandingClock
from tests.postgres import PostgresServer, running_postgres


@pytest.fixture(scope="session")
def postgres() -> Iterator[PostgresServer]:
    with running_postgres() as server:
        yield server


@pytest.fixture(scope="session")
def migrated(postgres: PostgresServer) -> Iterator[str]:
    """A PostgreSQL database with today's schema, to be copied."""
    with postgres.database() as name:
        engine = make_engine(postgres.url(name), postgres.password)
        upgrade(engine)
        engine.dispose()
        yield name


@pytest.fixture(scope="session")
def empty_database(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A file of SQLite with today's schema, to be copied."""
    path = tmp_path_factory.mktemp("empty") / "ainode.db"
    engine = make_engine(f"sqlite:///{path}")
    upgrade(engine)
    # What is still in the write-ahead log would not be copied.
    with engine.connect() as connection:
        connection.exec_driver_sql("PRAGMA wal_checkpoint(TRUNCATE)")
    engine.dispose()
    return path


@pytest.fixture(params=["sqlite", "postgresql"])
def engine(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Engine]:
    """An empty database with today's schema."""
    if request.param == "sqlite":
        made = make_engine(f"sqlite:///{tmp_path / 'node.db'}")
        upgrade(made)
        yield made
        made.dispose()
        return
    server: PostgresServer = request.getfixturevalue("postgres")
    with server.database(template=request.getfixturevalue("migrated")) as name:
        made = make_engine(server.url(name), server.password)
        yield made
        made.dispose()


@pytest.fixture
def clock() -> StandingClock:
    return StandingClock()
