"""The log of uses: a chain of entries that are only ever added to, and its head."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0010"
down_revision = "0009"
branch_labels = None
depends_on = None

NOTHING = "0" * 64
# Against mistakes, not against who owns the database: the digests are for that.
SQLITE_TRIGGER = (
    "CREATE TRIGGER audit_entry_{what} BEFORE {what} ON audit_entry BEGIN "
    "SELECT RAISE(ABORT, 'entries of the audit log stay as they are'); END"
)
POSTGRESQL_FUNCTION = """
CREATE FUNCTION keep_audit_entry() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    RAISE EXCEPTION 'entries of the audit log stay as they are';
END
$$
"""
POSTGRESQL_TRIGGER = (
    "CREATE TRIGGER audit_entry_{what} BEFORE {what} ON audit_entry FOR EACH STATEMENT "
    "EXECUTE FUNCTION keep_audit_entry()"
)


def upgrade() -> None:
    op.create_table(
        "audit_entry",
        sa.Column("number", sa.BigInteger(), autoincrement=False, nullable=False),
        sa.Column("at", sa.Text(), nullable=False),
        sa.Column("actor", sa.Text(), nullable=False),
        sa.Column("action", sa.Text(), nullable=False),
        sa.Column("subject", sa.Text(), nullable=False),
        sa.Column("study_instance_uid", sa.Text(), nullable=True),
        sa.Column("detail", sa.Text(), nullable=False),
        sa.Column("previous", sa.Text(), nullable=False),
        sa.Column("digest", sa.Text(), nullable=False),
        sa.PrimaryKeyConstraint("number", name=op.f("pk_audit_entry")),
    )
    head = op.create_table(
        "audit_head",
        sa.Column("id", sa.Integer(), autoincrement=False, nullable=False),
        sa.Column("number", sa.BigInteger(), nullable=False),
        sa.Column("digest", sa.Text(), nullable=False),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_audit_head")),
    )
    op.bulk_insert(head, [{"id": 1, "number": 0, "digest": NOTHING}])
    postgresql = op.get_bind().dialect.name == "postgresql"
    if postgresql:
        op.execute(POSTGRESQL_FUNCTION)
    for what in ("UPDATE", "DELETE", "TRUNCATE") if postgresql else ("UPDATE", "DELETE"):
        op.execute((POSTGRESQL_TRIGGER if postgresql else SQLITE_TRIGGER).format(what=what))
