"""The job table as a store of Unified Procedure Steps."""

from __future__ import annotations

from sqlalchemy import Boolean, Column, ForeignKey, Index, Integer, Table

from node.database.tables.schema import metadata
from node.database.types import RowId, SafeJson, SafeText, UtcDateTime

# What was said of a job as a Unified Procedure Step, and who claimed it from outside. Of the Transaction UID, which is
# a key, only the digest is kept; it is good for one attempt.
workitem = Table(
    "workitem",
    metadata,
    Column("job_id", ForeignKey("job.id", ondelete="CASCADE"), primary_key=True),
    Column("attributes", SafeJson, nullable=False),
    Column("performer", SafeText),
    Column("transaction_digest", SafeText),
    Column("transaction_attempt", Integer),
)

# Who is told of which workitem; the UID of the global subscription stands for all of them. Without ``wanted`` it is the
# exception from a global one; ``suspended_at``: workitems made later are not in it.
ups_subscription = Table(
    "ups_subscription",
    metadata,
    Column("receiving_ae", SafeText, primary_key=True),
    Column("workitem_uid", SafeText, primary_key=True),
    Column("wanted", Boolean, nullable=False),
    Column("matching", SafeJson),
    Column("suspended_at", UtcDateTime),
    Column("created_at", UtcDateTime, nullable=False),
    Index("ix_ups_subscription_workitem", "workitem_uid"),
)

# What happened to a workitem and nobody was told yet. Triggers write changes of state while somebody subscribes
# (migration 0013); with ``event_type`` it is something else that happened.
ups_event = Table(
    "ups_event",
    metadata,
    Column("id", RowId, primary_key=True),
    Column("workitem_uid", SafeText, nullable=False),
    Column("was", SafeText),
    Column("was_tries", Integer),
    Column("became", SafeText),
    Column("tries", Integer),
    Column("event_type", Integer),
    Column("information", SafeJson),
    Column("created_at", UtcDateTime, nullable=False),
)

# What a subscriber is still to be told, in the order of ``id``.
ups_report = Table(
    "ups_report",
    metadata,
    Column("id", RowId, primary_key=True),
    Column("receiving_ae", SafeText, nullable=False),
    Column("workitem_uid", SafeText, nullable=False),
    Column("event_type", Integer, nullable=False),
    Column("information", SafeJson, nullable=False),
    Column("created_at", UtcDateTime, nullable=False),
    Index("ix_ups_report_receiver", "receiving_ae", "id"),
)
