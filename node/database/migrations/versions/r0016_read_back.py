"""When an object was stored, committed, and seen at its destination."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0016"
down_revision = "0015"
branch_labels = None
depends_on = None

TIMES = ("stored_at", "committed_at", "read_back_at", "read_back_due")
COUNTS = ("read_back_tries", "read_back_missing")
LINE = "delivery_line_update"
OF_JOB = "SELECT study_instance_uid FROM job WHERE id = NEW.job_id"
NOTED = f"INSERT INTO study_change (study_instance_uid) VALUES (({OF_JOB}))"  # noqa: S608  names of ours
# A line of the worklist tells what was seen, and what is wrong.
OF_DELIVERY = "state, read_back_at, error_code"


def upgrade() -> None:
    for name in TIMES:
        op.add_column("delivery", sa.Column(name, sa.DateTime(timezone=True), nullable=True))
    for name in COUNTS:
        op.add_column("delivery", sa.Column(name, sa.Integer(), nullable=False, server_default="0"))
    op.execute("UPDATE delivery SET stored_at = updated_at WHERE state IN ('STORED', 'COMMITTED')")
    op.execute("UPDATE delivery SET committed_at = updated_at WHERE state = 'COMMITTED'")
    due = sa.text("read_back_due IS NOT NULL")
    op.create_index(
        "ix_delivery_read_back", "delivery", ["destination", "read_back_due", "id"],
        sqlite_where=due, postgresql_where=due,
    )  # fmt: skip
    event = f"AFTER UPDATE OF {OF_DELIVERY} ON delivery"
    if op.get_bind().dialect.name == "postgresql":
        op.execute(f"DROP TRIGGER {LINE} ON delivery")
        op.execute(f"CREATE TRIGGER {LINE} {event} FOR EACH ROW EXECUTE FUNCTION {LINE}()")
    else:
        op.execute(f"DROP TRIGGER {LINE}")
        op.execute(f"CREATE TRIGGER {LINE} {event} BEGIN {NOTED}; END")
