"""Rows as the documents that commands print and pages show, with CONTRACT's keys."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from node.domain.job import Priority
from node.domain.result import Outcome
from node.show import completeness, outcome
from node.show.outcome import StudyRows

Document = dict[str, Any]
# Large, or of use to the node alone; findings and provenance are told where one job is asked for.
HIDDEN_IN_LISTS = frozenset({"findings", "provenance", "unfit", "budget"})


def job_document(row: Mapping[str, Any]) -> Document:
    reason = row["reason"] or {}
    return {
        **{key: value for key, value in row.items() if key not in HIDDEN_IN_LISTS},
        "priority": Priority(row["priority"]).name,
        "reason": reason.get("text"),
        "reason_code": reason.get("code"),
        "document": _document_of(row),
    }


def _document_of(row: Mapping[str, Any]) -> str | None:
    """Of a job that failed, or whose result was withdrawn: whether the document that says so is written."""
    if row["document_due_at"] is not None:
        return "DUE"
    if row["document_error"] is not None:
        return "GIVEN UP"
    return "WRITTEN" if row["withdrawn_at"] is not None or row["outcome"] == Outcome.FAILED else None


def study_document(row: Mapping[str, Any], about: StudyRows) -> Document:
    return {
        "study_instance_uid": row["study_instance_uid"],
        "accession_number": row["accession_number"],
        "study_description": row["study_description"],
        "modalities": sorted({series["modality"] for series in about.series if series["modality"]}),
        "series": len(about.series),
        "instances": sum(series["instances"] for series in about.series),
        "state": outcome.state(about),
        "outcome": {model: found.value for model, found in outcome.outcomes(about).items()},
        "received_at": row["received_at"],
        "updated_at": row["updated_at"],
    }


def series_document(row: Mapping[str, Any]) -> Document:
    keys = ("series_instance_uid", "modality", "series_description", "body_part", "calling_ae")
    more = ("state", "revision", "instances", "first_instance_at", "last_instance_at", "closed_at", "close_reason")
    return {key: row[key] for key in (*keys, *more)}


def why_document(
    row: Mapping[str, Any], about: StudyRows, alerts: Sequence[Document], closings: Sequence[Mapping[str, Any]] = ()
) -> Document:
    """``closings`` are those of earlier revisions."""
    judged: dict[str, list[Document]] = {}
    for one in about.admissions:
        judged.setdefault(one["series_instance_uid"], []).append(_judgement(one))
    return {
        **study_document(row, about),
        "series": [
            _why_series(
                one,
                judged.get(one["series_instance_uid"], []),
                [closing for closing in closings if closing["series_id"] == one["id"]],
            )
            for one in about.series
        ],
        "jobs": [job_document(one) for one in about.jobs],
        "deliveries": list(about.deliveries),
        "alerts": list(alerts),
    }


def _judgement(row: Mapping[str, Any]) -> Document:
    keys = ("model", "model_version", "verdict", "revision", "route", "priority", "destinations", "conditions")
    return {key: row[key] for key in keys} | {"decided_at": row["decided_at"]}


def _why_series(row: Mapping[str, Any], models: Sequence[Document], closings: Sequence[Mapping[str, Any]]) -> Document:
    closed = {
        **_closure(row["close_reason"], row["close_evidence"], row["closed_at"]),
        "earlier": [
            {"revision": one["revision"], **_closure(one["reason"], one["evidence"], one["closed_at"])}
            for one in closings
        ],
    }
    return {**series_document(row), "completeness": closed, "models": list(models)}


def _closure(reason: str | None, evidence: Mapping[str, Any] | None, closed_at: Any) -> Document:
    said = completeness.words(reason, evidence)
    return {"reason": reason, "evidence": evidence, "closed_at": closed_at, "words": said}
