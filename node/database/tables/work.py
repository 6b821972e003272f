"""The job table, and what jobs made."""

from __future__ import annotations

from sqlalchemy import BigInteger, Boolean, Column, ForeignKey, Index, Integer, Table, UniqueConstraint

from node.database.tables.schema import metadata, partial_index
from node.database.types import RowId, SafeJson, SafeText, UtcDateTime

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
    # Of a model that wants earlier studies (``domain.prior``): what became of the wish, and what the job is given.
    Column("priors_state", SafeText),
    Column("priors", SafeJson),
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
    # Once superseded_at is set, nothing of this job is current; superseded_by is the job that stands for it, none
    # where the model does not want the series as it is now.
    Column("superseded_by", RowId),
    Column("superseded_at", UtcDateTime),
    # A document about this job is to be written then: on its failure, or on its withdrawal; while one is written it is
    # when the writer's lease is over. document_error is what the last try ended with: without a time, it was given up.
    Column("document_due_at", UtcDateTime),
    Column("document_attempt", Integer, nullable=False, server_default="0"),
    Column("document_error", SafeText),
    Column("withdrawn_at", UtcDateTime),
    Column("withdrawn_by", SafeText),
    Column("withdrawn_reason", SafeText),
    Column("withdrawn_title", SafeText),
    # The Unified Procedure Step that this job is, and its attempts before it was one: run again, it is another one.
    Column("workitem_uid", SafeText),
    Column("workitem_since", Integer, nullable=False, server_default="0"),
    # The few jobs that are not finished have indexes of their own. Their state stands first although it is the same in
    # every entry: so SQLite, which knows nothing of the table's size, prefers them to ix_job_state.
    partial_index("ix_job_claim", "state", "priority", "run_after", "id", where="state = 'SCHEDULED'"),
    partial_index("ix_job_due", "state", "run_after", "id", where="state = 'SCHEDULED'"),
    partial_index("ix_job_lease", "state", "lease_until", where="state = 'IN_PROGRESS'"),
    partial_index("ix_job_failed", "state", "error_code", where="state = 'FAILED'"),
    partial_index("ix_job_document", "document_due_at", "id", where="document_due_at IS NOT NULL"),
    partial_index(
        "ix_job_undocumented", "document_error", where="document_due_at IS NULL AND document_error IS NOT NULL"
    ),
    partial_index("ix_job_priors", "priors_state", "id", where="priors_state = 'WANTED'"),
    Index("ix_job_state", "state", "id"),
    Index("ix_job_study", "study_instance_uid"),
    Index("ix_job_workitem", "workitem_uid", unique=True),
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
    # The reports that this one names as those it replaces (PS3.3 C.17.2).
    Column("predecessors", SafeJson),
    # What it is (``domain.document.ResultKind``), and after which attempt of the job it was written.
    Column("kind", SafeText, nullable=False, server_default="RESULT"),
    Column("attempt", Integer),
    # In which form it is (``domain.rendition.Rendition``); none is for every destination.
    Column("rendition", SafeText),
    UniqueConstraint("job_id", "sop_instance_uid"),
    Index("ix_result_storage", "storage_key"),
    Index("ix_result_instance", "sop_instance_uid"),
    Index("ix_result_series", "series_instance_uid"),
)
