"""Migrations over both databases."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest
from alembic import command
from alembic.autogenerate import compare_metadata
from alembic.migration import MigrationContext
from sqlalchemy import Engine, Table, inspect, select

from node.database import tallies
from node.database.audit import SqlAudit
from node.database.engine import make_engine
from node.database.migrations import ADVISORY_LOCK, configuration, upgrade
from node.database.tables import delivery, metadata
from node.jobs.queue import SqlJobQueue
from tests.fakes.outbox import StandingClock
from tests.peers import REPOSITORY
from tests.postgres import PostgresServer
from tests.waiting import wait_for

UPGRADE = (
    "import sys; from node.database.engine import make_engine; from node.database.migrations import upgrade; "
    "upgrade(make_engine(sys.argv[1], sys.stdin.readline() or None))"
)


# Two jobs, one of them LOW with a result that was stored, as the first schema has them.
OLD_ROWS = (
    *(
        "INSERT INTO job (id, key, state, model, model_version, study_instance_uid, series_instance_uids, revision, "
        "accession_number, destinations, priority, attempt, max_attempts, budget, run_after, cancel_requested, "
        f"created_at, updated_at) VALUES ({number}, 'key-{number}', '{state}', 'm', '1', '1.2', '[]', 1, '', '[]', "
        "2, 0, 3, 3, '2030-01-01 00:00:00', FALSE, '2030-01-01 00:00:00', '2030-01-01 00:00:00')"
        for number, state in ((1, "COMPLETED"), (2, "SCHEDULED"))
    ),
    "INSERT INTO result (id, job_id, sop_class_uid, sop_instance_uid, series_instance_uid, modality, storage_key, "
    "sha256, size, created_at) VALUES (1, 1, '1', '1.2.3', '1.2', 'SR', 'k', 'ab', 7, '2030-01-01 00:00:00')",
    "INSERT INTO delivery (id, job_id, result_id, destination, state, attempt, max_attempts, budget, run_after, "
    "created_at, updated_at) VALUES (1, 1, 1, 'pacs', 'STORED', 1, 3, 3, '2030-01-01 00:00:00', "
    "'2030-01-01 00:00:00', '2030-01-01 00:00:00')",
)


def indexes(engine: Engine) -> set[tuple[str, str]]:
    """Name and definition of every index that has a name of ours."""
    catalogue = (
        "SELECT indexname, indexdef FROM pg_indexes WHERE indexname LIKE 'ix_%%'"
        if engine.dialect.name == "postgresql"
        else "SELECT name, sql FROM sqlite_master WHERE type = 'index' AND name LIKE 'ix_%'"
    )
    with engine.connect() as connection:
        return {(name, " ".join(definition.split())) for name, definition in connection.exec_driver_sql(catalogue)}


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


def test_the_migrated_indexes_are_those_of_the_tables(engine: Engine) -> None:
    """With their conditions, which the comparison above does not see."""
    migrated = indexes(engine)
    assert any("WHERE" in definition for _, definition in migrated)
    metadata.drop_all(engine)
    metadata.create_all(engine)
    assert indexes(engine) == migrated


def test_jobs_from_before_the_counts_are_counted(empty: tuple[str, str | None]) -> None:
    engine = make_engine(*empty)
    try:
        with engine.begin() as connection:
            command.upgrade(configuration(connection), "0002")
            for statement in OLD_ROWS:
                connection.exec_driver_sql(statement)
        upgrade(engine)
        with engine.connect() as connection:
            counted = tallies.counts(connection)
            priority = connection.execute(select(delivery.c.priority)).scalar_one()
        assert counted == {("job", "COMPLETED"): 1, ("job", "SCHEDULED"): 1, ("delivery", "STORED"): 1}
        assert priority == 2
    finally:
        engine.dispose()


def test_a_log_of_uses_begins_over_what_was_there(empty: tuple[str, str | None]) -> None:
    engine = make_engine(*empty)
    try:
        with engine.begin() as connection:
            command.upgrade(configuration(connection), "0002")
            for statement in OLD_ROWS:
                connection.exec_driver_sql(statement)
            command.upgrade(configuration(connection), "0009")
        upgrade(engine)
        audit, queue = SqlAudit(engine, StandingClock(), "cli:ada"), SqlJobQueue(engine, StandingClock())
        assert audit.verify().entries == 0, "what was done before is not told"
        queue.cancel(2)
        assert [one.subject for one in audit.newest(9)] == ["job 2"]
        assert audit.verify().broken is None
    finally:
        engine.dispose()


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
