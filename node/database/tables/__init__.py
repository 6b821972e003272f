"""The tables. Migrations bring a database to this shape; a test holds the two equal."""

from __future__ import annotations

from node.database.tables.persons import account, assessment, audit_entry, audit_head, web_session
from node.database.tables.received import (
    admission,
    alert,
    association,
    instance,
    journal_segment,
    retrieval,
    sending_habit,
    series,
    series_association,
    series_closing,
    study,
)
from node.database.tables.schema import metadata
from node.database.tables.sending import commitment, commitment_delivery, delivery, removal, tally
from node.database.tables.upkeep import role, setting, study_change, worklist_line, worklist_term
from node.database.tables.work import job, result
from node.database.tables.workitems import review, review_change, ups_event, ups_report, ups_subscription, workitem

__all__ = [
    "account",
    "admission",
    "alert",
    "assessment",
    "association",
    "audit_entry",
    "audit_head",
    "commitment",
    "commitment_delivery",
    "delivery",
    "instance",
    "job",
    "journal_segment",
    "metadata",
    "removal",
    "result",
    "retrieval",
    "review",
    "review_change",
    "role",
    "sending_habit",
    "series",
    "series_association",
    "series_closing",
    "setting",
    "study",
    "study_change",
    "tally",
    "ups_event",
    "ups_report",
    "ups_subscription",
    "web_session",
    "workitem",
    "worklist_line",
    "worklist_term",
]
