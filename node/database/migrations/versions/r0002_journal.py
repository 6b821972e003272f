"""The ingest journal: how far each segment has its rows, and where an instance lies."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0002"
down_revision = "0001"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.create_table(
        "journal_segment",
        sa.Column("journal_id", sa.Text(), nullable=False),
        sa.Column("segment", sa.Integer(), nullable=False),
        sa.Column("recorded", sa.Integer(), nullable=False),
        sa.Column("recorded_until", sa.DateTime(timezone=True), nullable=True),
        sa.Column("noted_at", sa.DateTime(timezone=True), nullable=False),
        sa.PrimaryKeyConstraint("journal_id", "segment", name=op.f("pk_journal_segment")),
    )
    op.create_index(
        "ix_instance_storage", "instance", ["storage_key"], postgresql_ops={"storage_key": "text_pattern_ops"}
    )
