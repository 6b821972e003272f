"""Documents that are still to be written: of failed jobs, and of results that were withdrawn."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0008"
down_revision = "0007"
branch_labels = None
depends_on = None


def upgrade() -> None:
    time = sa.DateTime(timezone=True)
    op.add_column("job", sa.Column("document_due_at", time, nullable=True))
    op.add_column("job", sa.Column("document_attempt", sa.Integer(), nullable=False, server_default="0"))
    op.add_column("job", sa.Column("document_error", sa.Text(), nullable=True))
    op.add_column("job", sa.Column("withdrawn_at", time, nullable=True))
    for name in ("withdrawn_by", "withdrawn_reason", "withdrawn_title"):
        op.add_column("job", sa.Column(name, sa.Text(), nullable=True))
    due = sa.text("document_due_at IS NOT NULL")
    op.create_index("ix_job_document", "job", ["document_due_at", "id"], sqlite_where=due, postgresql_where=due)
    given_up = sa.text("document_due_at IS NULL AND document_error IS NOT NULL")
    op.create_index("ix_job_undocumented", "job", ["document_error"], sqlite_where=given_up, postgresql_where=given_up)
    op.add_column("removal", sa.Column("document_attempt", sa.Integer(), nullable=True))
    op.add_column("result", sa.Column("kind", sa.Text(), nullable=False, server_default="RESULT"))
    op.add_column("result", sa.Column("attempt", sa.Integer(), nullable=True))
    op.create_index("ix_result_instance", "result", ["sop_instance_uid"])
    op.create_index("ix_result_series", "result", ["series_instance_uid"])
