"""The tables. Migrations bring a database to this shape; a test holds the two equal."""

from __future__ import annotations

from sqlalchemy import (
    BigInteger,
    Boolean,
    Column,
    ForeignKey,
    ForeignKeyConstraint,
    Index,
    Integer,
    MetaData,
    Table,
    UniqueConstraint,
)

from node.database.types import RowId, SafeJson, SafeText, UtcDateTime

metadata = MetaData(
    naming_convention={
        "ix": "ix_%(table_name)s_%(column_0_N_name)s",
        "uq": "uq_%(table_name)s_%(column_0_N_name)s",
        "fk": "fk_%(table_name)s_%(column_0_N_name)s",
        "pk": "pk_%(table_name)s",
    }
)

# ---------------------------------------------------------------- what was received

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
    # A hash: an outsider's accession number may be longer than a B-tree of PostgreSQL takes.
    Index("ix_study_accession", "accession_number", postgresql_using="hash"),
    Index("ix_study_received", "received_at"),
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
    UniqueConstraint("sop_instance_uid", "variant"),
    Index("ix_instance_series", "series_id", "variant", "instance_number"),
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

# ---------------------------------------------------------------- the job table

job = Table(
    "job",
    metadata,
    Column("id", RowId, primary_key=True),
    Column("key", SafeText, nullable=False, unique=True),
    Column("state", SafeText, nullable=False),
    Column("model", SafeText, nullable=False),
    Column("model_version", SafeText, nullable=False),
    Column("study_instance_uid", SafeText, nullable=False),
    Column("series_instance_uids", SafeJson, nullable=False),
    Column("revision", Integer, nullable=False),
    Column("accession_number", SafeText, nullable=False),
    Column("destinations", SafeJson, nullable=False),
    Column("priority", Integer, nullable=False),
    Column("unfit", SafeJson),
    # attempt only grows (it fences saves); max_attempts is the attempt that ends the budget; budget is what an
    # operator's retry grants anew.
    Column("attempt", Integer, nullable=False),
    Column("max_attempts", Integer, nullable=False),
    Column("budget", Integer, nullable=False),
    Column("run_after", UtcDateTime, nullable=False),
    Column("owner", SafeText),
    Column("lease_until", UtcDateTime),
    Column("cancel_requested", Boolean, nullable=False),
    Column("created_at", UtcDateTime, nullable=False),
    Column("updated_at", UtcDateTime, nullable=False),
    Column("started_at", UtcDateTime),
    Column("finished_at", UtcDateTime),
    Column("error_code", SafeText),
    Column("error", SafeText),
    Column("outcome", SafeText),
    Column("reason", SafeJson),
    Column("findings", SafeJson),
    Column("provenance", SafeJson),
    Index("ix_job_claim", "state", "priority", "run_after", "id"),
    Index("ix_job_lease", "state", "lease_until"),
    Index("ix_job_study", "study_instance_uid"),
)

result = Table(
    "result",
    metadata,
    Column("id", RowId, primary_key=True),
    Column("job_id", ForeignKey("job.id"), nullable=False),
    Column("sop_class_uid", SafeText, nullable=False),
    Column("sop_instance_uid", SafeText, nullable=False),
    Column("series_instance_uid", SafeText, nullable=False),
    Column("modality", SafeText, nullable=False),
    Column("storage_key", SafeText, nullable=False),
    Column("sha256", SafeText, nullable=False),
    Column("size", BigInteger, nullable=False),
    Column("created_at", UtcDateTime, nullable=False),
    UniqueConstraint("job_id", "sop_instance_uid"),
)

# ---------------------------------------------------------------- results on their way

delivery = Table(
    "delivery",
    metadata,
    Column("id", RowId, primary_key=True),
    Column("job_id", ForeignKey("job.id"), nullable=False),
    Column("result_id", ForeignKey("result.id"), nullable=False),
    Column("destination", SafeText, nullable=False),
    Column("state", SafeText, nullable=False),
    Column("attempt", Integer, nullable=False),
    Column("max_attempts", Integer, nullable=False),
    Column("budget", Integer, nullable=False),
    Column("run_after", UtcDateTime, nullable=False),
    Column("owner", SafeText),
    Column("lease_until", UtcDateTime),
    # The commitment under way; none while the delivery is uncommitted.
    Column("transaction_uid", SafeText),
    Column("error_code", SafeText),
    Column("error", SafeText),
    Column("created_at", UtcDateTime, nullable=False),
    Column("updated_at", UtcDateTime, nullable=False),
    UniqueConstraint("result_id", "destination"),
    Index("ix_delivery_claim", "destination", "state", "run_after"),
    Index("ix_delivery_lease", "state", "lease_until"),
    Index("ix_delivery_job", "job_id"),
    Index("ix_delivery_transaction", "transaction_uid"),
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
    Index("ix_commitment_expiry", "state", "expires_at"),
)

# What a commitment was asked for: a report that comes after its time still finds its deliveries.
commitment_delivery = Table(
    "commitment_delivery",
    metadata,
    Column("transaction_uid", SafeText, primary_key=True),
    Column("delivery_id", RowId, primary_key=True),
    ForeignKeyConstraint(["transaction_uid"], ["commitment.transaction_uid"]),
    ForeignKeyConstraint(["delivery_id"], ["delivery.id"]),
)

# ---------------------------------------------------------------- the node itself

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
