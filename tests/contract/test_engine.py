"""What a commit means: everywhere it is on the disk; the recorder alone may lose its last ones, and does them again."""

from __future__ import annotations

from pathlib import Path

import pytest
from sqlalchemy import text

from node.database.engine import make_engine
from tests.postgres import PostgresServer


@pytest.mark.parametrize(("flush_commits", "level"), [(True, 2), (False, 1)], ids=["FULL", "NORMAL"])
def test_sqlite(tmp_path: Path, flush_commits: bool, level: int) -> None:
    engine = make_engine(f"sqlite:///{tmp_path / 'node.db'}", flush_commits=flush_commits)
    with engine.connect() as connection:
        assert connection.execute(text("PRAGMA synchronous")).scalar() == level
        assert connection.execute(text("PRAGMA journal_mode")).scalar() == "wal"
    engine.dispose()


@pytest.mark.parametrize(("flush_commits", "level"), [(True, "on"), (False, "off")])
def test_postgresql(postgres: PostgresServer, flush_commits: bool, level: str) -> None:
    with postgres.database() as name:
        engine = make_engine(postgres.url(name), postgres.password, flush_commits=flush_commits)
        with engine.connect() as connection:
            assert connection.execute(text("SHOW synchronous_commit")).scalar() == level
        engine.dispose()


def test_what_is_flushed_is_the_default(tmp_path: Path) -> None:
    engine = make_engine(f"sqlite:///{tmp_path / 'node.db'}")
    with engine.connect() as connection:
        assert connection.execute(text("PRAGMA synchronous")).scalar() == 2
    engine.dispose()
