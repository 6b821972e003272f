"""Reviews: workitems for persons, of studies that are analysed."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0015"
down_revision = "0014"
branch_labels = None
depends_on = None

ROW_ID = sa.BigInteger().with_variant(sa.Integer(), "sqlite")
TIME = sa.DateTime(timezone=True)
SOMEBODY_ASKS = "EXISTS (SELECT 1 FROM ups_subscription)"
TOLD = "INSERT INTO ups_event (workitem_uid, was, was_tries, became, tries, created_at) VALUES (NEW.workitem_uid, "
# Name, table, event, condition, what is written down.
TRIGGERS = (
    ("review_ups_insert", "review", "INSERT", SOMEBODY_ASKS, f"{TOLD}NULL, NULL, NEW.state, 0, NEW.updated_at)"),
    (
        "review_ups_update",
        "review",
        "UPDATE OF state",
        f"OLD.state <> NEW.state AND {SOMEBODY_ASKS}",
        f"{TOLD}OLD.state, 0, NEW.state, 0, NEW.updated_at)",
    ),
    (
        "study_change_review",
        "study_change",
        "INSERT",
        "EXISTS (SELECT 1 FROM setting WHERE name = 'ups.review')",
        "INSERT INTO review_change (study_instance_uid) VALUES (NEW.study_instance_uid)",
    ),
)


def upgrade() -> None:
    op.create_table(
        "review",
        sa.Column("id", ROW_ID, nullable=False),
        *(
            sa.Column(name, sa.Text(), nullable=False)
            for name in ("workitem_uid", "study_instance_uid", "accession_number", "basis", "state")
        ),
        sa.Column("priority", sa.Integer(), nullable=False),
        *(sa.Column(name, sa.Text(), nullable=False) for name in ("summary", "comment")),
        *(sa.Column(name, sa.JSON(), nullable=False) for name in ("series_instance_uids", "job_ids")),
        sa.Column("replaces", sa.Text(), nullable=True),
        sa.Column("attributes", sa.JSON(), nullable=False),
        *(sa.Column(name, sa.Text(), nullable=True) for name in ("performer", "transaction_digest")),
        sa.Column("lease_until", TIME, nullable=True),
        *(sa.Column(name, TIME, nullable=False) for name in ("created_at", "updated_at")),
        *(sa.Column(name, TIME, nullable=True) for name in ("finished_at", "superseded_at")),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_review")),
    )
    op.create_index("ix_review_workitem", "review", ["workitem_uid"], unique=True)
    op.create_index("ix_review_study", "review", ["study_instance_uid", "id"])
    op.create_index("ix_review_state", "review", ["state", "id"])
    op.create_table(
        "review_change",
        sa.Column("id", ROW_ID, nullable=False),
        sa.Column("study_instance_uid", sa.Text(), nullable=False),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_review_change")),
    )
    for trigger in TRIGGERS:
        _trigger(*trigger)


def _trigger(name: str, table: str, event: str, condition: str, noted: str) -> None:
    if op.get_bind().dialect.name == "postgresql":
        op.execute(
            f"CREATE FUNCTION {name}() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN "
            f"IF {condition} THEN {noted}; END IF; RETURN NULL; END $$"
        )
        op.execute(f"CREATE TRIGGER {name} AFTER {event} ON {table} FOR EACH ROW EXECUTE FUNCTION {name}()")
    else:
        op.execute(f"CREATE TRIGGER {name} AFTER {event} ON {table} WHEN {condition} BEGIN {noted}; END")
