"""Where results came from and what became of them, as the documents that ``ainode results`` prints. Pure."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from node.domain.document import ResultKind
from node.domain.job import JobState

Row = Mapping[str, Any]
Document = dict[str, Any]
_OF_THE_JOB = (
    "state", "model", "model_version", "study_instance_uid", "series_instance_uids", "accession_number", "outcome",
    "finished_at",
)  # fmt: skip
_OF_AN_OBJECT = (
    "sop_instance_uid", "series_instance_uid", "sop_class_uid", "modality", "kind", "size", "sha256", "storage_key",
    "created_at",
)  # fmt: skip
_OF_THE_RUN = ("parameters", "libraries", "device", "precision", "durations_s", "checks", "pictures", "heat_maps")


def standing(row: Row) -> str:
    """What an object is worth today: CURRENT, SUPERSEDED, WITHDRAWN, or the REJECTION that withdraws others."""
    if row["kind"] == ResultKind.REJECTION:
        return "REJECTION"
    if row["withdrawn_at"] is not None:
        return "WITHDRAWN"
    failure_before_success = row["kind"] == ResultKind.FAILED and row["state"] == JobState.COMPLETED
    return "SUPERSEDED" if row["superseded_at"] is not None or failure_before_success else "CURRENT"


def listed(row: Row) -> Document:
    """One line of a list."""
    keys = ("sop_instance_uid", "modality", "kind", "model", "model_version", "outcome", "study_instance_uid")
    shown = {key: row[key] for key in keys}
    if row["kind"] == ResultKind.FAILED:
        shown["outcome"] = "FAILED"
    return {**shown, "standing": standing(row), "job": row["job_id"], "created_at": row["created_at"]}


def results(rows: Sequence[Row], deliveries: Sequence[Row], successors: Mapping[int, Sequence[str]]) -> list[Document]:
    """One document for each job of ``rows``, in their order; ``successors`` are SOP Instance UIDs by job."""
    jobs = list(dict.fromkeys(row["job_id"] for row in rows))
    return [
        _result(
            [row for row in rows if row["job_id"] == job],
            [dict(one) for one in deliveries if one["job"] == job],
            successors.get(job, ()),
        )
        for job in jobs
    ]


def _result(rows: Sequence[Row], deliveries: list[Document], successors: Sequence[str]) -> Document:
    first = rows[0]
    told = first["provenance"] or {}
    named = [one["sop_instance_uid"] for row in rows for one in row["predecessors"] or []]
    return {
        "job": first["job_id"],
        "standing": "WITHDRAWN" if first["withdrawn_at"] else standing(rows[-1]),
        **{key: first[key] for key in _OF_THE_JOB},
        "weights_sha256": told.get("weights_sha256"),
        "objects": [{key: row[key] for key in _OF_AN_OBJECT} | {"standing": standing(row)} for row in rows],
        "inputs": told.get("inputs", []),
        **{key: told.get(key) for key in _OF_THE_RUN},
        "deliveries": deliveries,
        "predecessors": list(dict.fromkeys(named)),
        "successors": list(successors),
        "superseded_by": first["superseded_by"],
        "superseded_at": first["superseded_at"],
        "withdrawn": _withdrawal(first),
    }


def _withdrawal(row: Row) -> Document | None:
    if row["withdrawn_at"] is None:
        return None
    return {key: row[f"withdrawn_{key}"] for key in ("at", "by", "reason", "title")}
