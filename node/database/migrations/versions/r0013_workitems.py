"""The job table as a store of Unified Procedure Steps: their UIDs, who claimed them, and who is told what."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

from node.domain.identity import derive_uid

revision = "0013"
down_revision = "0012"
branch_labels = None
depends_on = None

ROW_ID = sa.BigInteger().with_variant(sa.Integer(), "sqlite")
TIME = sa.DateTime(timezone=True)
SOMEBODY_ASKS = "NEW.workitem_uid IS NOT NULL AND EXISTS (SELECT 1 FROM ups_subscription)"
COLUMNS = "workitem_uid, was, was_tries, became, tries, created_at"
MADE = "NEW.workitem_uid, NULL, NULL, NEW.state, NEW.attempt - NEW.workitem_since, NEW.updated_at"
# Under a new UID it is a new workitem, of which nothing was before.
SAME = "CASE WHEN OLD.workitem_uid = NEW.workitem_uid THEN {} END"
CHANGED = (
    f"NEW.workitem_uid, {SAME.format('OLD.state')}, {SAME.format('OLD.attempt - OLD.workitem_since')}, NEW.state, "
    "NEW.attempt - NEW.workitem_since, NEW.updated_at"
)
EVENTS = (("insert", "INSERT", "", MADE), ("update", "UPDATE OF state", "OLD.state <> NEW.state AND ", CHANGED))


def upgrade() -> None:
    op.add_column("job", sa.Column("workitem_uid", sa.Text(), nullable=True))
    op.add_column("job", sa.Column("workitem_since", sa.Integer(), nullable=False, server_default="0"))
    _name_workitems()
    op.create_index("ix_job_workitem", "job", ["workitem_uid"], unique=True)
    _tables()
    for what, event, condition, values in EVENTS:
        _trigger(f"job_ups_{what}", event, condition + SOMEBODY_ASKS, values)


def _name_workitems() -> None:
    """What waits, runs or was finished before is a workitem too."""
    connection = op.get_bind()
    job = sa.table("job", sa.column("id"), sa.column("key"), sa.column("created_at"), sa.column("workitem_uid"))
    named = sa.update(job).where(job.c.id == sa.bindparam("row")).values(workitem_uid=sa.bindparam("uid"))
    last = -1
    while rows := connection.execute(
        sa.select(job.c.id, job.c.key, job.c.created_at).where(job.c.id > last).order_by(job.c.id).limit(1000)
    ).all():
        uids = [{"row": row.id, "uid": derive_uid("workitem", row.key, str(row.created_at))} for row in rows]
        connection.execute(named, uids)
        last = rows[-1].id


def _trigger(name: str, event: str, condition: str, values: str) -> None:
    noted = f"INSERT INTO ups_event ({COLUMNS}) VALUES ({values})"  # noqa: S608  words of ours
    if op.get_bind().dialect.name == "postgresql":
        op.execute(
            f"CREATE FUNCTION {name}() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN "
            f"IF {condition} THEN {noted}; END IF; RETURN NULL; END $$"
        )
        op.execute(f"CREATE TRIGGER {name} AFTER {event} ON job FOR EACH ROW EXECUTE FUNCTION {name}()")
    else:
        op.execute(f"CREATE TRIGGER {name} AFTER {event} ON job WHEN {condition} BEGIN {noted}; END")


def _tables() -> None:
    op.create_table(
        "workitem",
        sa.Column("job_id", ROW_ID, nullable=False),
        sa.Column("attributes", sa.JSON(), nullable=False),
        sa.Column("performer", sa.Text(), nullable=True),
        sa.Column("transaction_digest", sa.Text(), nullable=True),
        sa.Column("transaction_attempt", sa.Integer(), nullable=True),
        sa.ForeignKeyConstraint(["job_id"], ["job.id"], name=op.f("fk_workitem_job_id"), ondelete="CASCADE"),
        sa.PrimaryKeyConstraint("job_id", name=op.f("pk_workitem")),
    )
    op.create_table(
        "ups_subscription",
        sa.Column("receiving_ae", sa.Text(), nullable=False),
        sa.Column("workitem_uid", sa.Text(), nullable=False),
        sa.Column("wanted", sa.Boolean(), nullable=False),
        sa.Column("matching", sa.JSON(), nullable=True),
        sa.Column("suspended_at", TIME, nullable=True),
        sa.Column("created_at", TIME, nullable=False),
        sa.PrimaryKeyConstraint("receiving_ae", "workitem_uid", name=op.f("pk_ups_subscription")),
    )
    op.create_index("ix_ups_subscription_workitem", "ups_subscription", ["workitem_uid"])
    op.create_table(
        "ups_event",
        sa.Column("id", ROW_ID, nullable=False),
        sa.Column("workitem_uid", sa.Text(), nullable=False),
        sa.Column("was", sa.Text(), nullable=True),
        sa.Column("was_tries", sa.Integer(), nullable=True),
        sa.Column("became", sa.Text(), nullable=True),
        sa.Column("tries", sa.Integer(), nullable=True),
        sa.Column("event_type", sa.Integer(), nullable=True),
        sa.Column("information", sa.JSON(), nullable=True),
        sa.Column("created_at", TIME, nullable=False),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_ups_event")),
    )
    op.create_table(
        "ups_report",
        sa.Column("id", ROW_ID, nullable=False),
        sa.Column("receiving_ae", sa.Text(), nullable=False),
        sa.Column("workitem_uid", sa.Text(), nullable=False),
        sa.Column("event_type", sa.Integer(), nullable=False),
        sa.Column("information", sa.JSON(), nullable=False),
        sa.Column("created_at", TIME, nullable=False),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_ups_report")),
    )
    op.create_index("ix_ups_report_receiver", "ups_report", ["receiving_ae", "id"])
