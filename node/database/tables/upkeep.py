"""What the worklist shows, and the node itself."""

from __future__ import annotations

from sqlalchemy import Column, Index, Integer, Table

from node.database.tables.schema import metadata
from node.database.types import RowId, SafeJson, SafeText, UtcDateTime

# A study of which something changed that its line tells. Triggers write it (migration 0011), so that no writer can
# forget it and none waits for another one's line; the projection takes the rows away.
study_change = Table(
    "study_change",
    metadata,
    Column("id", RowId, primary_key=True),
    Column("study_instance_uid", SafeText, nullable=False),
)

# One row a study, computed from the other tables and to be computed again from them at any time (ADR 0023).
worklist_line = Table(
    "worklist_line",
    metadata,
    Column("study_instance_uid", SafeText, primary_key=True),
    Column("urgency", Integer, nullable=False),
    # Ascending from the newest: the time of reception counted backwards, and the UID.
    Column("arrived", SafeText, nullable=False),
    Column("revision", Integer, nullable=False),
    Column("projected_at", UtcDateTime, nullable=False),
    Column("document", SafeJson, nullable=False),
    Index("ix_worklist_line_order", "urgency", "arrived"),
    Index("ix_worklist_line_arrived", "arrived"),
    Index("ix_worklist_line_projected", "projected_at"),
)

# By what a line is found: a modality, an outcome, a word of its text. In hexadecimal digits, which every language sorts
# alike.
worklist_term = Table(
    "worklist_term",
    metadata,
    Column("study_instance_uid", SafeText, primary_key=True),
    Column("term", SafeText, primary_key=True),
    Column("urgency", Integer, nullable=False),
    Column("arrived", SafeText, nullable=False),
    Index("ix_worklist_term_order", "term", "urgency", "arrived"),
    Index("ix_worklist_term_arrived", "term", "arrived"),
)

role = Table(
    "role",
    metadata,
    Column("role", SafeText, primary_key=True),
    Column("host", SafeText, primary_key=True),
    Column("instance", SafeText, primary_key=True),
    Column("pid", Integer, nullable=False),
    Column("started_at", UtcDateTime, nullable=False),
    Column("heartbeat_at", UtcDateTime, nullable=False),
    Column("detail", SafeJson, nullable=False),
)

# A row named queue.paused means that no job is claimed.
setting = Table(
    "setting",
    metadata,
    Column("name", SafeText, primary_key=True),
    Column("value", SafeJson),
    Column("set_at", UtcDateTime, nullable=False),
)
