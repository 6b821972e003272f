"""What the pages need: the lines of the worklist with what marks them as out of date, accounts and their sessions."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0011"
down_revision = "0010"
branch_labels = None
depends_on = None

ROW_ID = sa.BigInteger().with_variant(sa.Integer(), "sqlite")
TIME = sa.DateTime(timezone=True)

# Only what a line tells: neither heartbeats nor every image that comes make one.
PATIENT = "patient_id, patient_name, patient_birth_date, patient_sex"
OF_STUDY = f"{PATIENT}, accession_number, study_date, study_time, study_description"
OF_JOB = "state, priority, outcome, withdrawn_at, superseded_at, document_due_at, document_error"
# Table, event, the study that it is about.
BY_UID, BY_JOB = "{row}.study_instance_uid", "(SELECT study_instance_uid FROM job WHERE id = {row}.job_id)"
EVENTS = (
    ("study", "INSERT", BY_UID),
    ("study", f"UPDATE OF {OF_STUDY}", BY_UID),
    ("study", "DELETE", BY_UID),
    ("series", "INSERT", BY_UID),
    ("series", "UPDATE OF state, revision", BY_UID),
    ("job", "INSERT", BY_UID),
    ("job", f"UPDATE OF {OF_JOB}", BY_UID),
    ("delivery", "INSERT", BY_JOB),
    ("delivery", "UPDATE OF state", BY_JOB),
)


def upgrade() -> None:
    _lines()
    _accounts()
    op.execute(
        "INSERT INTO study_change (study_instance_uid) SELECT study_instance_uid FROM study ORDER BY received_at"
    )
    for table, event, study in EVENTS:
        what = event.split()[0].lower()
        row = "OLD" if what == "delete" else "NEW"
        noted = f"INSERT INTO study_change (study_instance_uid) VALUES ({study.format(row=row)})"  # noqa: S608  ours
        if op.get_bind().dialect.name == "postgresql":
            _postgresql_trigger(f"{table}_line_{what}", table, event, noted)
        else:
            op.execute(f"CREATE TRIGGER {table}_line_{what} AFTER {event} ON {table} BEGIN {noted}; END")


def _postgresql_trigger(name: str, table: str, event: str, noted: str) -> None:
    op.execute(f"CREATE FUNCTION {name}() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN {noted}; RETURN NULL; END $$")
    op.execute(f"CREATE TRIGGER {name} AFTER {event} ON {table} FOR EACH ROW EXECUTE FUNCTION {name}()")


def _lines() -> None:
    op.create_table(
        "study_change",
        sa.Column("id", ROW_ID, nullable=False),
        sa.Column("study_instance_uid", sa.Text(), nullable=False),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_study_change")),
    )
    op.create_table(
        "worklist_line",
        sa.Column("study_instance_uid", sa.Text(), nullable=False),
        sa.Column("urgency", sa.Integer(), nullable=False),
        sa.Column("arrived", sa.Text(), nullable=False),
        sa.Column("revision", sa.Integer(), nullable=False),
        sa.Column("projected_at", TIME, nullable=False),
        sa.Column("document", sa.JSON(), nullable=False),
        sa.PrimaryKeyConstraint("study_instance_uid", name=op.f("pk_worklist_line")),
    )
    op.create_index("ix_worklist_line_order", "worklist_line", ["urgency", "arrived"])
    op.create_index("ix_worklist_line_arrived", "worklist_line", ["arrived"])
    op.create_index("ix_worklist_line_projected", "worklist_line", ["projected_at"])
    op.create_table(
        "worklist_term",
        sa.Column("study_instance_uid", sa.Text(), nullable=False),
        sa.Column("term", sa.Text(), nullable=False),
        sa.Column("urgency", sa.Integer(), nullable=False),
        sa.Column("arrived", sa.Text(), nullable=False),
        sa.PrimaryKeyConstraint("study_instance_uid", "term", name=op.f("pk_worklist_term")),
    )
    op.create_index("ix_worklist_term_order", "worklist_term", ["term", "urgency", "arrived"])
    op.create_index("ix_worklist_term_arrived", "worklist_term", ["term", "arrived"])


def _accounts() -> None:
    op.create_table(
        "account",
        sa.Column("name", sa.Text(), nullable=False),
        sa.Column("password_digest", sa.Text(), nullable=False),
        sa.Column("created_at", TIME, nullable=False),
        sa.Column("disabled_at", TIME, nullable=True),
        sa.PrimaryKeyConstraint("name", name=op.f("pk_account")),
    )
    op.create_table(
        "web_session",
        sa.Column("digest", sa.Text(), nullable=False),
        sa.Column("account", sa.Text(), nullable=False),
        sa.Column("created_at", TIME, nullable=False),
        sa.Column("expires_at", TIME, nullable=False),
        sa.ForeignKeyConstraint(["account"], ["account.name"], name=op.f("fk_web_session_account"), ondelete="CASCADE"),
        sa.PrimaryKeyConstraint("digest", name=op.f("pk_web_session")),
    )
    op.create_index("ix_web_session_expiry", "web_session", ["expires_at"])
