"""Assessments and agreement as the documents that commands print and pages show. Pure."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from node.domain.assessment import UNDO, Agreement, Assessment, Share

Document = dict[str, Any]
COUNTS = ("accepted", "corrected", "rejected", "excluded")


def assessment_document(one: Assessment) -> Document:
    word = one.word
    return {
        "id": one.id,
        "job": one.job,
        "study_instance_uid": one.study_instance_uid,
        "model": one.model,
        "model_version": one.model_version,
        "outcome": one.outcome_found.value,
        "decision": word.decision.value,
        "by": word.by,
        "at": word.at,
        "reason": word.reason,
        "title": None if word.title is None else word.title.value,
        "corrected_outcome": None if word.outcome is None else word.outcome.value,
        "corrected_values": [
            {"finding": one.finding, "measurement": one.measurement, "value": one.value} for one in word.values
        ],
        "state": one.state.value,
        "undo_until": word.at + UNDO,
        "error_code": one.error,
    }


def agreement_documents(found: Iterable[Agreement]) -> list[Document]:
    """Shares in 0..1, with the interval of 95 % and what they are of; null where nothing was assessed."""
    return [
        {
            "model": one.model,
            "model_version": one.model_version,
            "scanner": one.scanner,
            **{key: getattr(one, key) for key in COUNTS},
            "positive_predictive_value": _share(one.positive_predictive),
            "agreement": _share(one.agreement),
        }
        for one in found
    ]


def _share(share: Share) -> Document:
    interval = share.interval
    return {
        "value": share.value,
        "interval_95": None if interval is None else list(interval),
        "confirmed": share.part,
        "assessed": share.whole,
    }
