"""What persons say of results, what was done, and who may act."""

from __future__ import annotations

from sqlalchemy import BigInteger, Column, ForeignKey, Index, Integer, Table

from node.database.tables.schema import metadata, partial_index
from node.database.types import RowId, SafeJson, SafeText, UtcDateTime

# ``domain.assessment``. While it is PENDING, ``due_at`` is when its document is to be written, or when the lease of the
# one who writes it ends. What is left when retention takes the study away says nothing of it: it is counted.
assessment = Table(
    "assessment",
    metadata,
    Column("id", RowId, primary_key=True),
    Column("job_id", ForeignKey("job.id")),
    Column("study_instance_uid", SafeText),
    Column("model", SafeText, nullable=False),
    Column("model_version", SafeText, nullable=False),
    Column("scanner", SafeText, nullable=False),
    Column("outcome_found", SafeText, nullable=False),
    Column("decision", SafeText, nullable=False),
    Column("said_by", SafeText, nullable=False),
    Column("said_at", UtcDateTime, nullable=False),
    Column("reason", SafeText, nullable=False),
    Column("title", SafeText),
    Column("outcome", SafeText),
    Column("corrected", SafeJson, nullable=False),
    Column("state", SafeText, nullable=False),
    Column("due_at", UtcDateTime),
    Column("attempt", Integer, nullable=False),
    Column("error", SafeText),
    Column("done_at", UtcDateTime),
    Index("ix_assessment_job", "job_id", "id"),
    Index("ix_assessment_study", "study_instance_uid"),
    partial_index("ix_assessment_due", "state", "due_at", "id", where="state = 'PENDING'"),
)

# The log of uses (``domain.audit``). Triggers refuse to change it or to take anything away. What is digested is text:
# the same in both databases. It refers to no other row, for it outlives them.
audit_entry = Table(
    "audit_entry",
    metadata,
    Column("number", BigInteger, primary_key=True, autoincrement=False),
    Column("at", SafeText, nullable=False),
    Column("actor", SafeText, nullable=False),
    Column("action", SafeText, nullable=False),
    Column("subject", SafeText, nullable=False),
    Column("study_instance_uid", SafeText),
    Column("detail", SafeText, nullable=False),
    Column("previous", SafeText, nullable=False),
    Column("digest", SafeText, nullable=False),
)

# One row: where the log ends.
audit_head = Table(
    "audit_head",
    metadata,
    Column("id", Integer, primary_key=True, autoincrement=False),
    Column("number", BigInteger, nullable=False),
    Column("digest", SafeText, nullable=False),
)

account = Table(
    "account",
    metadata,
    Column("name", SafeText, primary_key=True),
    Column("password_digest", SafeText, nullable=False),
    Column("created_at", UtcDateTime, nullable=False),
    Column("disabled_at", UtcDateTime),
)

# Who is logged in. Only digests of what the browser holds: who reads this table cannot act for anybody.
web_session = Table(
    "web_session",
    metadata,
    Column("digest", SafeText, primary_key=True),
    Column("account", ForeignKey("account.name", ondelete="CASCADE"), nullable=False),
    Column("created_at", UtcDateTime, nullable=False),
    Column("expires_at", UtcDateTime, nullable=False),
    Index("ix_web_session_expiry", "expires_at"),
)
