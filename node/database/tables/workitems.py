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

# That a person is to look at what the node says of a study: a workitem that no job is. ``state`` is in the words of
# jobs; ``basis`` is a digest of what there is to be read. Once superseded_at is set, the node has taken it back.
review = Table(
    "review",
    metadata,
    Column("id", RowId, primary_key=True),
    Column("workitem_uid", SafeText, nullable=False),
    Column("study_instance_uid", SafeText, nullable=False),
    Column("accession_number", SafeText, nullable=False),
    Column("basis", SafeText, nullable=False),
    Column("state", SafeText, nullable=False),
    Column("priority", Integer, nullable=False),
    Column("summary", SafeText, nullable=False),
    Column("comment", SafeText, nullable=False),
    Column("series_instance_uids", SafeJson, nullable=False),
    Column("job_ids", SafeJson, nullable=False),
    Column("replaces", SafeText),
    Column("attributes", SafeJson, nullable=False),
    Column("performer", SafeText),
    Column("transaction_digest", SafeText),
    Column("lease_until", UtcDateTime),
    Column("created_at", UtcDateTime, nullable=False),
    Column("updated_at", UtcDateTime, nullable=False),
    Column("finished_at", UtcDateTime),
    Column("superseded_at", UtcDateTime),
    Index("ix_review_workitem", "workitem_uid", unique=True),
    Index("ix_review_study", "study_instance_uid", "id"),
    Index("ix_review_state", "state", "id"),
)

# Of which studies something changed, while there are reviews (a trigger on study_change, migration 0015).
review_change = Table(
    "review_change",
    metadata,
    Column("id", RowId, primary_key=True),
    Column("study_instance_uid", SafeText, nullable=False),
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
