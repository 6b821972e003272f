"""What persons say of results."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0012"
down_revision = "0011"
branch_labels = None
depends_on = None

ROW_ID = sa.BigInteger().with_variant(sa.Integer(), "sqlite")
TIME = sa.DateTime(timezone=True)
# A line of the worklist tells how its results were assessed.
NOTED = "INSERT INTO study_change (study_instance_uid) VALUES (NEW.study_instance_uid)"
EVENTS = ("INSERT", "UPDATE OF state")


def upgrade() -> None:
    op.create_table(
        "assessment",
        sa.Column("id", ROW_ID, nullable=False),
        sa.Column("job_id", ROW_ID, nullable=True),
        sa.Column("study_instance_uid", sa.Text(), nullable=True),
        *(
            sa.Column(name, sa.Text(), nullable=False)
            for name in ("model", "model_version", "scanner", "outcome_found", "decision")
        ),
        sa.Column("said_by", sa.Text(), nullable=False),
        sa.Column("said_at", TIME, nullable=False),
        sa.Column("reason", sa.Text(), nullable=False),
        sa.Column("title", sa.Text(), nullable=True),
        sa.Column("outcome", sa.Text(), nullable=True),
        sa.Column("corrected", sa.JSON(), nullable=False),
        sa.Column("state", sa.Text(), nullable=False),
        sa.Column("due_at", TIME, nullable=True),
        sa.Column("attempt", sa.Integer(), nullable=False),
        sa.Column("error", sa.Text(), nullable=True),
        sa.Column("done_at", TIME, nullable=True),
        sa.ForeignKeyConstraint(["job_id"], ["job.id"], name=op.f("fk_assessment_job_id_job")),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_assessment")),
    )
    op.create_index("ix_assessment_job", "assessment", ["job_id", "id"])
    op.create_index("ix_assessment_study", "assessment", ["study_instance_uid"])
    pending = sa.text("state = 'PENDING'")
    op.create_index(
        "ix_assessment_due", "assessment", ["state", "due_at", "id"], sqlite_where=pending, postgresql_where=pending
    )
    for event in EVENTS:
        name = f"assessment_line_{event.split()[0].lower()}"
        if op.get_bind().dialect.name == "postgresql":
            body = f"BEGIN {NOTED}; RETURN NULL; END"
            op.execute(f"CREATE FUNCTION {name}() RETURNS trigger LANGUAGE plpgsql AS $$ {body} $$")
            op.execute(f"CREATE TRIGGER {name} AFTER {event} ON assessment FOR EACH ROW EXECUTE FUNCTION {name}()")
        else:
            op.execute(f"CREATE TRIGGER {name} AFTER {event} ON assessment BEGIN {NOTED}; END")
