"""The two claim statements differ in one clause."""

from __future__ import annotations

from sqlalchemy.dialects import postgresql, sqlite

from node.jobs.claim import ClaimStatements


def test_only_postgresql_locks_and_skips() -> None:
    lite = str(ClaimStatements("sqlite", None).claim.compile(dialect=sqlite.dialect()))
    post = str(ClaimStatements("postgresql", None).claim.compile(dialect=postgresql.dialect()))
    assert post.count("FOR UPDATE SKIP LOCKED") == 4
    assert "FOR UPDATE" not in lite
    for statement in (lite, post):
        assert statement.count("ORDER BY job.run_after, job.id") == 4
        assert "RETURNING" in statement


def test_looking_locks_nothing() -> None:
    assert "FOR UPDATE" not in str(ClaimStatements("postgresql", None).look.compile(dialect=postgresql.dialect()))
