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
    text,
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


def partial_index(name: str, *columns: str, where: str) -> Index:
    """An index of the rows that meet a condition; a query must name the same words to use it (``in_state``)."""
    return Index(name, *columns, sqlite_where=text(where), postgresql_where=text(where))


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

# ---------------------------------------------------------------- the job table as a store of workitems

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

# ---------------------------------------------------------------- results on their way

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

# ---------------------------------------------------------------- what is over

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

# ---------------------------------------------------------------- what persons say of results

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

# ---------------------------------------------------------------- what was done

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

# ---------------------------------------------------------------- what the worklist shows

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

# ---------------------------------------------------------------- who may act

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
