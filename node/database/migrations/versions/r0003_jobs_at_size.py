"""The job table at a million rows: indexes for what is not finished, counts that nobody has to count."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0003"
down_revision = "0002"
branch_labels = None
depends_on = None

ROW_ID = sa.BigInteger().with_variant(sa.Integer(), "sqlite")
SCHEDULED, IN_PROGRESS, REQUESTED = "state = 'SCHEDULED'", "state = 'IN_PROGRESS'", "state = 'REQUESTED'"

# SQLite knows no function for several triggers, PostgreSQL no trigger without one.
SQLITE_TRIGGERS = (
    "CREATE TRIGGER {table}_tally_insert AFTER INSERT ON {table} BEGIN "
    "INSERT INTO tally (kind, state, amount) VALUES ('{table}', NEW.state, 1); END",
    "CREATE TRIGGER {table}_tally_delete AFTER DELETE ON {table} BEGIN "
    "INSERT INTO tally (kind, state, amount) VALUES ('{table}', OLD.state, -1); END",
    "CREATE TRIGGER {table}_tally_update AFTER UPDATE OF state ON {table} WHEN OLD.state <> NEW.state BEGIN "
    "INSERT INTO tally (kind, state, amount) VALUES ('{table}', OLD.state, -1), ('{table}', NEW.state, 1); END",
)
POSTGRESQL_FUNCTION = """
CREATE FUNCTION keep_tally() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    IF TG_OP <> 'INSERT' THEN
        INSERT INTO tally (kind, state, amount) VALUES (TG_TABLE_NAME, OLD.state, -1);
    END IF;
    IF TG_OP <> 'DELETE' THEN
        INSERT INTO tally (kind, state, amount) VALUES (TG_TABLE_NAME, NEW.state, 1);
    END IF;
    RETURN NULL;
END
$$
"""
POSTGRESQL_TRIGGERS = (
    "CREATE TRIGGER {table}_tally AFTER INSERT OR DELETE ON {table} FOR EACH ROW EXECUTE FUNCTION keep_tally()",
    "CREATE TRIGGER {table}_tally_update AFTER UPDATE OF state ON {table} FOR EACH ROW "
    "WHEN (OLD.state <> NEW.state) EXECUTE FUNCTION keep_tally()",
)


def upgrade() -> None:
    _job_indexes()
    _delivery_indexes()
    _tally()


def _job_indexes() -> None:
    for name in ("ix_job_claim", "ix_job_lease"):
        op.drop_index(name, "job")
    _partial("ix_job_claim", "job", ["state", "priority", "run_after", "id"], SCHEDULED)
    _partial("ix_job_due", "job", ["state", "run_after", "id"], SCHEDULED)
    _partial("ix_job_lease", "job", ["state", "lease_until"], IN_PROGRESS)
    op.create_index("ix_job_state", "job", ["state", "id"])


def _delivery_indexes() -> None:
    op.add_column("delivery", sa.Column("priority", sa.Integer(), nullable=False, server_default="1"))
    op.execute("UPDATE delivery SET priority = (SELECT job.priority FROM job WHERE job.id = delivery.job_id)")
    for name in ("ix_delivery_claim", "ix_delivery_lease", "ix_delivery_transaction"):
        op.drop_index(name, "delivery")
    _partial("ix_delivery_claim", "delivery", ["destination", "state", "priority", "run_after", "id"], SCHEDULED)
    _partial("ix_delivery_lease", "delivery", ["state", "lease_until"], IN_PROGRESS)
    uncommitted = "state = 'STORED' AND transaction_uid IS NULL"
    _partial("ix_delivery_uncommitted", "delivery", ["destination", "state", "id"], uncommitted)
    op.create_index("ix_delivery_state", "delivery", ["state", "id"])
    _partial("ix_delivery_transaction", "delivery", ["transaction_uid"], "transaction_uid IS NOT NULL")
    op.drop_index("ix_commitment_expiry", "commitment")
    _partial("ix_commitment_expiry", "commitment", ["state", "expires_at"], REQUESTED)


def _partial(name: str, table: str, columns: list[str], condition: str) -> None:
    op.create_index(name, table, columns, sqlite_where=sa.text(condition), postgresql_where=sa.text(condition))


def _tally() -> None:
    op.create_table(
        "tally",
        sa.Column("id", ROW_ID, nullable=False),
        sa.Column("kind", sa.Text(), nullable=False),
        sa.Column("state", sa.Text(), nullable=False),
        sa.Column("amount", sa.BigInteger(), nullable=False),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_tally")),
    )
    postgresql = op.get_bind().dialect.name == "postgresql"
    if postgresql:
        op.execute(POSTGRESQL_FUNCTION)
    for table in ("job", "delivery"):
        counted = f"SELECT '{table}', state, count(*) FROM {table} GROUP BY state"  # noqa: S608  names of ours
        op.execute(f"INSERT INTO tally (kind, state, amount) {counted}")
        for trigger in POSTGRESQL_TRIGGERS if postgresql else SQLITE_TRIGGERS:
            op.execute(trigger.format(table=table))
