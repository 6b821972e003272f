"""Queries of others, studies asked for at an archive, priors of jobs, deliveries that were held and released."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0014"
down_revision = "0013"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.create_index("ix_study_patient", "study", ["patient_id"], postgresql_using="hash")
    a_date = sa.text("length(study_date) <= 16")
    op.create_index("ix_study_date", "study", ["study_date"], sqlite_where=a_date, postgresql_where=a_date)
    op.create_table(
        "retrieval",
        sa.Column("study_instance_uid", sa.Text(), nullable=False),
        *(sa.Column(name, sa.Text(), nullable=False) for name in ("source", "ae_title", "purpose", "state")),
        sa.Column("instances", sa.Integer(), nullable=True),
        sa.Column("error_code", sa.Text(), nullable=True),
        *(sa.Column(name, sa.DateTime(timezone=True), nullable=False) for name in ("requested_at", "updated_at")),
        sa.PrimaryKeyConstraint("study_instance_uid", name="pk_retrieval"),
    )
    op.add_column("job", sa.Column("priors_state", sa.Text(), nullable=True))
    op.add_column("job", sa.Column("priors", sa.JSON(), nullable=True))
    wanted = sa.text("priors_state = 'WANTED'")
    op.create_index("ix_job_priors", "job", ["priors_state", "id"], sqlite_where=wanted, postgresql_where=wanted)
    op.add_column("delivery", sa.Column("released_at", sa.DateTime(timezone=True), nullable=True))
