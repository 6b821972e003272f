"""What was received."""

from __future__ import annotations

from sqlalchemy import BigInteger, Column, ForeignKey, Index, Integer, Table, UniqueConstraint

from node.database.tables.schema import metadata, partial_index
from node.database.types import RowId, SafeJson, SafeText, UtcDateTime

association = Table(
    "association",
    metadata,
    Column("id", SafeText, primary_key=True),
    Column("calling_ae", SafeText, nullable=False),
    Column("called_ae", SafeText, nullable=False),
    Column("peer_host", SafeText, nullable=False),
    Column("receiver", SafeText, nullable=False),
    Column("opened_at", UtcDateTime, nullable=False),
    Column("ended_at", UtcDateTime),
    Column("how", SafeText),
    Index("ix_association_open", "ended_at", "receiver"),
)

study = Table(
    "study",
    metadata,
    Column("study_instance_uid", SafeText, primary_key=True),
    Column("patient_id", SafeText, nullable=False),
    Column("patient_name", SafeText, nullable=False),
    Column("patient_birth_date", SafeText, nullable=False),
    Column("patient_sex", SafeText, nullable=False),
    Column("accession_number", SafeText, nullable=False),
    Column("study_date", SafeText, nullable=False),
    Column("study_time", SafeText, nullable=False),
    Column("study_description", SafeText, nullable=False),
    Column("received_at", UtcDateTime, nullable=False),
    Column("updated_at", UtcDateTime, nullable=False),
    # When retention looks at the study again; a hint that decides nothing.
    Column("retain_at", UtcDateTime),
    # A hash: an outsider's accession number may be longer than a B-tree of PostgreSQL takes.
    Index("ix_study_accession", "accession_number", postgresql_using="hash"),
    Index("ix_study_received", "received_at"),
    # For queries of others, in whose hands a hash is as good.
    Index("ix_study_patient", "patient_id", postgresql_using="hash"),
    partial_index("ix_study_date", "study_date", where="length(study_date) <= 16"),
    Index("ix_study_retention", "retain_at", "received_at"),
)

series = Table(
    "series",
    metadata,
    Column("id", RowId, primary_key=True),
    Column("study_instance_uid", ForeignKey("study.study_instance_uid"), nullable=False),
    Column("series_instance_uid", SafeText, nullable=False),
    Column("state", SafeText, nullable=False),
    Column("revision", Integer, nullable=False),
    Column("modality", SafeText, nullable=False),
    Column("series_description", SafeText, nullable=False),
    Column("body_part", SafeText, nullable=False),
    Column("calling_ae", SafeText, nullable=False),
    # Variant 0 only: other bytes under a UID that is taken are no images of the series.
    Column("instances", Integer, nullable=False),
    Column("first_instance_at", UtcDateTime, nullable=False),
    Column("last_instance_at", UtcDateTime, nullable=False),
    Column("closed_at", UtcDateTime),
    Column("close_reason", SafeText),
    Column("close_evidence", SafeJson),
    Column("attributes", SafeJson, nullable=False),
    UniqueConstraint("study_instance_uid", "series_instance_uid"),
    Index("ix_series_state", "state"),
)

# Which associations contributed to a series: while one is open, more may come.
series_association = Table(
    "series_association",
    metadata,
    Column("series_id", ForeignKey("series.id"), primary_key=True),
    Column("association_id", ForeignKey("association.id"), primary_key=True),
    Index("ix_series_association_association", "association_id"),
)

instance = Table(
    "instance",
    metadata,
    Column("id", RowId, primary_key=True),
    Column("series_id", ForeignKey("series.id"), nullable=False),
    Column("sop_instance_uid", SafeText, nullable=False),
    Column("variant", Integer, nullable=False),
    Column("sop_class_uid", SafeText, nullable=False),
    Column("transfer_syntax_uid", SafeText, nullable=False),
    Column("storage_key", SafeText, nullable=False),
    Column("size", BigInteger, nullable=False),
    Column("sha256", SafeText, nullable=False),
    Column("calling_ae", SafeText, nullable=False),
    Column("association_id", SafeText),
    Column("received_at", UtcDateTime, nullable=False),
    Column("instance_number", Integer),
    Column("attributes", SafeJson, nullable=False),
    # Retention took the bytes away: ``storage_key`` names nothing any more.
    Column("removed_at", UtcDateTime),
    UniqueConstraint("sop_instance_uid", "variant"),
    Index("ix_instance_series", "series_id", "variant", "instance_number"),
    # In the order of bytes, whatever language the database speaks: keys are asked for by their beginning too.
    Index("ix_instance_storage", "storage_key", postgresql_ops={"storage_key": "text_pattern_ops"}),
)

# Up to which entry each segment of an ingest journal has its rows. Segment -1 stands for the journal as a whole: it is
# there while entries wait, and what came later than its ``recorded_until`` may not be in the tables yet.
journal_segment = Table(
    "journal_segment",
    metadata,
    Column("journal_id", SafeText, primary_key=True),
    Column("segment", Integer, primary_key=True, autoincrement=False),
    Column("recorded", Integer, nullable=False),
    Column("recorded_until", UtcDateTime),
    Column("noted_at", UtcDateTime, nullable=False),
)

admission = Table(
    "admission",
    metadata,
    Column("id", RowId, primary_key=True),
    Column("series_id", ForeignKey("series.id"), nullable=False),
    Column("revision", Integer, nullable=False),
    Column("model", SafeText, nullable=False),
    Column("model_version", SafeText, nullable=False),
    Column("verdict", SafeText, nullable=False),
    Column("conditions", SafeJson, nullable=False),
    Column("route", Integer),
    Column("priority", SafeText, nullable=False),
    Column("destinations", SafeJson, nullable=False),
    Column("decided_at", UtcDateTime, nullable=False),
    UniqueConstraint("series_id", "revision", "model", "model_version"),
)

alert = Table(
    "alert",
    metadata,
    Column("id", RowId, primary_key=True),
    Column("kind", SafeText, nullable=False),
    Column("subject", SafeText, nullable=False),
    Column("study_instance_uid", SafeText),
    Column("detail", SafeJson, nullable=False),
    Column("raised_at", UtcDateTime, nullable=False),
    Index("ix_alert_study", "study_instance_uid"),
    Index("ix_alert_subject", "subject"),
)

# How each revision of a series was closed; what was learned of it about the sender is in ``sending_habit``.
series_closing = Table(
    "series_closing",
    metadata,
    Column("series_id", ForeignKey("series.id", ondelete="CASCADE"), primary_key=True),
    Column("revision", Integer, primary_key=True, autoincrement=False),
    Column("reason", SafeText, nullable=False),
    Column("evidence", SafeJson, nullable=False),
    Column("closed_at", UtcDateTime, nullable=False),
)

sending_habit = Table(
    "sending_habit",
    metadata,
    Column("calling_ae", SafeText, primary_key=True),
    Column("modality", SafeText, primary_key=True),
    Column("silences_s", SafeJson, nullable=False),
    Column("distrusted", SafeJson, nullable=False),
    Column("updated_at", UtcDateTime, nullable=False),
)

# Studies that were asked for at an archive, and why; the row stands before anything of them comes.
retrieval = Table(
    "retrieval",
    metadata,
    Column("study_instance_uid", SafeText, primary_key=True),
    Column("source", SafeText, nullable=False),
    Column("ae_title", SafeText, nullable=False),
    Column("purpose", SafeText, nullable=False),
    Column("state", SafeText, nullable=False),
    Column("instances", Integer),
    Column("error_code", SafeText),
    Column("requested_at", UtcDateTime, nullable=False),
    Column("updated_at", UtcDateTime, nullable=False),
)
