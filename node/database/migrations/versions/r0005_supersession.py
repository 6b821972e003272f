"""Results of an older revision, and what replaced them."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0005"
down_revision = "0004"
branch_labels = None
depends_on = None


def upgrade() -> None:
    row_id = sa.BigInteger().with_variant(sa.Integer(), "sqlite")
    op.add_column("job", sa.Column("superseded_by", row_id, nullable=True))
    op.add_column("job", sa.Column("superseded_at", sa.DateTime(timezone=True), nullable=True))
    failed = sa.text("state = 'FAILED'")
    op.create_index("ix_job_failed", "job", ["state", "error_code"], sqlite_where=failed, postgresql_where=failed)
    op.add_column("result", sa.Column("predecessors", sa.JSON(), nullable=True))
