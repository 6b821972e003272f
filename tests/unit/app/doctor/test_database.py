"""A database that is away, older, or no database; a clock that is another one."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from sqlalchemy import text

from node.app.doctor.database import Database, _clock
from node.app.doctor.finding import Finding
from node.config import Config, DatabaseSection
from node.database.engine import make_engine
from node.database.migrations import upgrade
from tests.peers import free_port

NOW = datetime(2030, 1, 1, tzinfo=UTC)


def looked_at(url: str) -> tuple[Database, list[Finding]]:
    looked = Database(Config(database=DatabaseSection(url=url)))
    return looked, list(looked.look())


def test_none_yet_is_no_failure_and_none_is_made(tmp_path: Path) -> None:
    looked, found = looked_at(f"sqlite:///{tmp_path}/ainode.db")
    assert [(one.id, str(one.status)) for one in found] == [("database", "OK")]
    assert (looked.memory.engine, looked.memory.made) == (None, False)
    assert list(tmp_path.iterdir()) == []


def test_no_tables_yet_and_tables_of_another_version(tmp_path: Path) -> None:
    url = f"sqlite:///{tmp_path}/ainode.db"
    engine = make_engine(url)
    with engine.connect() as connection:
        connection.execute(text("SELECT 1"))
    looked, found = looked_at(url)
    assert {one.id: str(one.status) for one in found} == {"database": "OK", "migrations": "OK", "clock": "OK"}
    assert (looked.memory.engine, looked.memory.made) == (None, False)
    upgrade(engine)
    looked, found = looked_at(url)
    assert {one.id: str(one.status) for one in found} == {"database": "OK", "migrations": "OK", "clock": "OK"}
    assert looked.memory.engine is not None
    looked.memory.engine.dispose()
    with engine.begin() as connection:
        connection.execute(text("UPDATE alembic_version SET version_num = '0001'"))
    engine.dispose()
    looked, found = looked_at(url)
    assert {one.id: str(one.status) for one in found} == {"database": "OK", "migrations": "FAIL", "clock": "OK"}
    assert (looked.memory.engine, looked.memory.made) == (None, True)


def test_a_file_that_is_no_database(tmp_path: Path) -> None:
    (tmp_path / "ainode.db").write_bytes(b"not at all a database" * 100)
    looked, found = looked_at(f"sqlite:///{tmp_path}/ainode.db")
    assert [(one.id, str(one.status)) for one in found] == [("database", "FAIL")]
    assert looked.memory.made


def test_a_server_that_is_away() -> None:
    _, (found,) = looked_at(f"postgresql+psycopg://somebody@127.0.0.1:{free_port()}/node")
    assert (found.id, str(found.status)) == ("database", "FAIL")
    assert "somebody" not in found.found


@pytest.mark.parametrize(("apart_s", "status"), [(0.2, "OK"), (-1.5, "WARN"), (1.5, "WARN"), (-4.0, "FAIL")])
def test_clocks_that_are_apart(apart_s: float, status: str) -> None:
    assert str(_clock(NOW, NOW + timedelta(seconds=apart_s)).status) == status
    assert str(_clock(NOW, None).status) == "OK"
