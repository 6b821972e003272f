"""Results on their way, and what is over."""

from __future__ import annotations

from sqlalchemy import BigInteger, Column, ForeignKey, ForeignKeyConstraint, Index, Integer, Table, UniqueConstraint

from node.database.tables.schema import metadata, partial_index
from node.database.types import RowId, SafeText, UtcDateTime

delivery = Table(
    "delivery",
    metadata,
    Column("id", RowId, primary_key=True),
    Column("job_id", ForeignKey("job.id"), nullable=False),
    Column("result_id", ForeignKey("result.id"), nullable=False),
    Column("destination", SafeText, nullable=False),
    Column("state", SafeText, nullable=False),
    # Its job's, here too so that one index has what is claimed next.
    Column("priority", Integer, nullable=False, server_default="1"),
    Column("attempt", Integer, nullable=False),
    Column("max_attempts", Integer, nullable=False),
    Column("budget", Integer, nullable=False),
    Column("run_after", UtcDateTime, nullable=False),
    Column("owner", SafeText),
    Column("lease_until", UtcDateTime),
    # An operator sends it although the PACS says that the patient is another one.
    Column("released_at", UtcDateTime),
    # The commitment under way; none while the delivery is uncommitted.
    Column("transaction_uid", SafeText),
    Column("error_code", SafeText),
    Column("error", SafeText),
    Column("created_at", UtcDateTime, nullable=False),
    Column("updated_at", UtcDateTime, nullable=False),
    # When the destination said that it has it, that it answers for it, and when it was seen there.
    Column("stored_at", UtcDateTime),
    Column("committed_at", UtcDateTime),
    Column("read_back_at", UtcDateTime),
    # When it is looked for next; none where it is not to be looked for, or not any more.
    Column("read_back_due", UtcDateTime),
    Column("read_back_tries", Integer, nullable=False, server_default="0"),
    # How often it was not there although the destination had said so.
    Column("read_back_missing", Integer, nullable=False, server_default="0"),
    UniqueConstraint("result_id", "destination"),
    partial_index(
        "ix_delivery_claim",
        *("destination", "state", "priority", "run_after", "id"),
        where="state = 'SCHEDULED'",
    ),
    partial_index("ix_delivery_lease", "state", "lease_until", where="state = 'IN_PROGRESS'"),
    partial_index(
        "ix_delivery_uncommitted",
        *("destination", "state", "id"),
        where="state = 'STORED' AND transaction_uid IS NULL",
    ),
    Index("ix_delivery_state", "state", "id"),
    Index("ix_delivery_job", "job_id"),
    partial_index(
        "ix_delivery_read_back",
        *("destination", "read_back_due", "id"),
        where="read_back_due IS NOT NULL",
    ),
    partial_index("ix_delivery_transaction", "transaction_uid", where="transaction_uid IS NOT NULL"),
)

commitment = Table(
    "commitment",
    metadata,
    Column("transaction_uid", SafeText, primary_key=True),
    Column("destination", SafeText, nullable=False),
    Column("state", SafeText, nullable=False),
    Column("requested_at", UtcDateTime, nullable=False),
    Column("expires_at", UtcDateTime, nullable=False),
    Column("answered_at", UtcDateTime),
    partial_index("ix_commitment_expiry", "state", "expires_at", where="state = 'REQUESTED'"),
)

# What a commitment was asked for: a report that comes after its time still finds its deliveries.
commitment_delivery = Table(
    "commitment_delivery",
    metadata,
    Column("transaction_uid", SafeText, primary_key=True),
    Column("delivery_id", RowId, primary_key=True),
    ForeignKeyConstraint(["transaction_uid"], ["commitment.transaction_uid"]),
    ForeignKeyConstraint(["delivery_id"], ["delivery.id"]),
    Index("ix_commitment_delivery_delivery", "delivery_id"),
)

# Bytes whose last row is gone: written with that, freed afterwards. ``kept`` says in which store they lie.
removal = Table(
    "removal",
    metadata,
    Column("id", RowId, primary_key=True),
    Column("kept", SafeText, nullable=False),
    Column("storage_key", SafeText, nullable=False),
    Column("removed_at", UtcDateTime, nullable=False),
    # This job, or this try to write a document about it, is about to put the object there: it is freed when that has
    # ended and no row names it.
    Column("job_id", RowId),
    Column("document_attempt", Integer),
    Index("ix_removal_order", "kept", "id"),
    Index("ix_removal_storage", "storage_key"),
)

# How many jobs and deliveries there are in each state: the sum of ``amount``. Triggers write a row for every change,
# so that no writer waits for another one's counter and none can forget it; a timer folds the rows into one.
tally = Table(
    "tally",
    metadata,
    Column("id", RowId, primary_key=True),
    Column("kind", SafeText, nullable=False),
    Column("state", SafeText, nullable=False),
    Column("amount", BigInteger, nullable=False),
)
