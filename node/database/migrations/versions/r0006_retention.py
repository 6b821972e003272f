"""Retention: what was removed, what is to be freed, and when a study is looked at."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0006"
down_revision = "0005"
branch_labels = None
depends_on = None


def upgrade() -> None:
    time = sa.DateTime(timezone=True)
    op.add_column("study", sa.Column("retain_at", time, nullable=True))
    op.create_index("ix_study_retention", "study", ["retain_at", "received_at"])
    op.add_column("instance", sa.Column("removed_at", time, nullable=True))
    op.create_index("ix_series_association_association", "series_association", ["association_id"])
    op.create_index("ix_result_storage", "result", ["storage_key"])
    op.create_index("ix_commitment_delivery_delivery", "commitment_delivery", ["delivery_id"])
    op.create_table(
        "removal",
        sa.Column("id", sa.BigInteger().with_variant(sa.Integer(), "sqlite"), nullable=False),
        sa.Column("kept", sa.Text(), nullable=False),
        sa.Column("storage_key", sa.Text(), nullable=False),
        sa.Column("removed_at", time, nullable=False),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_removal")),
    )
    op.create_index("ix_removal_order", "removal", ["kept", "id"])
    op.create_index("ix_removal_storage", "removal", ["storage_key"])
