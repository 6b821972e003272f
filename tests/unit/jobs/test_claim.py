"""The two claim statements differ in one clause."""

from __future__ import annotations

from datetime import UTC, datetime

from sqlalchemy.dialects import postgresql, sqlite

from node.jobs.claim import postgresql_claim, sqlite_claim

NOW = datetime(2026, 1, 2, tzinfo=UTC)


def test_only_postgresql_locks_and_skips() -> None:
    lite = str(sqlite_claim("w", 6.0, None, NOW).compile(dialect=sqlite.dialect()))
    post = str(postgresql_claim("w", 6.0, None, NOW).compile(dialect=postgresql.dialect()))
    assert "FOR UPDATE OF job SKIP LOCKED" in post
    assert "FOR UPDATE" not in lite
    for statement in (lite, post):
        assert "ORDER BY job.priority, job.run_after, job.id" in statement
        assert "RETURNING" in statement
