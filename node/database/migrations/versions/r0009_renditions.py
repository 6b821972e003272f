"""In which form a result object is: not every destination gets every form."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0009"
down_revision = "0008"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.add_column("result", sa.Column("rendition", sa.Text(), nullable=True))
