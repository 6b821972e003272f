"""Completeness by evidence: how each revision was closed, and the habits of senders."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0004"
down_revision = "0003"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.create_table(
        "series_closing",
        sa.Column("series_id", sa.BigInteger().with_variant(sa.Integer(), "sqlite"), nullable=False),
        sa.Column("revision", sa.Integer(), nullable=False),
        sa.Column("reason", sa.Text(), nullable=False),
        sa.Column("evidence", sa.JSON(), nullable=False),
        sa.Column("closed_at", sa.DateTime(timezone=True), nullable=False),
        sa.ForeignKeyConstraint(
            ["series_id"], ["series.id"], name=op.f("fk_series_closing_series_id"), ondelete="CASCADE"
        ),
        sa.PrimaryKeyConstraint("series_id", "revision", name=op.f("pk_series_closing")),
    )
    op.create_table(
        "sending_habit",
        sa.Column("calling_ae", sa.Text(), nullable=False),
        sa.Column("modality", sa.Text(), nullable=False),
        sa.Column("silences_s", sa.JSON(), nullable=False),
        sa.Column("distrusted", sa.JSON(), nullable=False),
        sa.Column("updated_at", sa.DateTime(timezone=True), nullable=False),
        sa.PrimaryKeyConstraint("calling_ae", "modality", name=op.f("pk_sending_habit")),
    )
