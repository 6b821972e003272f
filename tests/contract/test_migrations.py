"""Migrations over both databases."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest
from alembic.autogenerate import compare_metadata
from alembic.migration import MigrationContext
from sqlalchemy import Engine, Table, inspect

from node.database.engine import make_engine
from node.database.migrations import ADVISORY_LOCK, upgrade
from node.database.tables import metadata
from tests.peers import REPOSITORY
from tests.postgres import PostgresServer
from tests.waiting import wait_for

UPGRADE = (
    "import sys; from node.database.engine import make_engine; from node.database.migrations import upgrade; "
    "upgrade(make_engine(sys.argv[1], sys.stdin.readline() or None))"
)


@pytest.fixture(params=["sqlite", "postgresql"])
def empty(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[tuple[str, str | None]]:
    """URL and password of a database without a schema."""
    if request.param == "sqlite":
        yield f"sqlite:///{tmp_path / 'node.db'}", None
        return
    server = request.getfixturevalue("postgres")
    with server.database() as name:
        yield server.url(name), server.password


def differences(engine: Engine) -> list[object]:
    with engine.connect() as connection:
        context = MigrationContext.configure(connection, opts={"compare_type": True, "compare_server_default": True})
        return list(compare_metadata(context, metadata))


def test_the_migrated_schema_is_that_of_the_tables(engine: Engine) -> None:
    assert differences(engine) == []
    table: Table = metadata.tables["job"]
    with engine.begin() as connection:
        connection.exec_driver_sql("ALTER TABLE job ADD COLUMN forgotten INTEGER")
    assert differences(engine), "the comparison sees a difference"
    assert "forgotten" not in table.c


def test_upgrading_twice_changes_nothing(engine: Engine) -> None:
    upgrade(engine)
    assert differences(engine) == []


def test_several_processes_upgrade_at_once(empty: tuple[str, str | None]) -> None:
    url, password = empty
    processes = [
        subprocess.Popen(
            [sys.executable, "-W", "error", "-c", UPGRADE, url],
            stdin=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
            cwd=REPOSITORY,
        )
        for _ in range(3)
    ]
    errors = [process.communicate(password or "", timeout=60)[1] for process in processes]
    assert [process.returncode for process in processes] == [0, 0, 0], errors
    engine = make_engine(url, password)
    try:
        assert differences(engine) == []
    finally:
        engine.dispose()


def test_an_upgrade_waits_for_one_under_way(postgres: PostgresServer) -> None:
    """PostgreSQL by its advisory lock; SQLite by its single writer (tested with the unit of work)."""
    with postgres.database() as name, postgres.connect(name) as other:
        engine = make_engine(postgres.url(name), postgres.password)
        other.execute("SELECT pg_advisory_lock(%s)", (ADVISORY_LOCK,))
        waiting = "SELECT 1 FROM pg_locks WHERE locktype = 'advisory' AND NOT granted"
        with ThreadPoolExecutor(1) as pool:
            upgrading = pool.submit(upgrade, engine)
            try:
                wait_for(lambda: other.execute(waiting).fetchone(), "the upgrade waits")
            finally:
                other.execute("SELECT pg_advisory_unlock(%s)", (ADVISORY_LOCK,))
            upgrading.result(timeout=30)
        assert differences(engine) == []
        engine.dispose()


def test_a_failed_upgrade_leaves_nothing(empty: tuple[str, str | None]) -> None:
    """One transaction: a schema is never half of anything."""
    engine = make_engine(*empty)
    try:
        with engine.begin() as connection:
            connection.exec_driver_sql("CREATE TABLE study (something_else INTEGER)")
        with pytest.raises(Exception, match="already exists"):
            upgrade(engine)
        assert inspect(engine).get_table_names() == ["study"]
    finally:
        engine.dispose()
