"""A report as the content of a webhook, and how it is signed. Pure.

Names and signature are those of Standard Webhooks (github.com/standard-webhooks/standard-webhooks): ``webhook-id`` is
the same whenever a delivery is repeated, and the signature is of ``id.timestamp.content``.
"""

from __future__ import annotations

import base64
import binascii
import hashlib
import hmac
import json
from collections.abc import Mapping
from datetime import datetime
from typing import Any

from node.deliver.told import message_id, own_words, study_page
from node.domain.report import UNVERIFIED, Report, ReportedFinding
from node.domain.result import CodedConcept, Measurement

TYPE = "ainode.result"
VERSION = 1
# A secret that begins so is written in base64 behind it.
ENCODED = "whsec_"


def content(report: Report, destination: str, node: str, pages: str) -> bytes:
    """JSON in UTF-8: the same bytes for the same document. ``node`` is our AE title."""
    facts = report.facts
    document: dict[str, Any] = {
        "type": TYPE,
        "version": VERSION,
        "id": message_id(destination, report.document.sop_instance_uid),
        "timestamp": facts.written_at.isoformat(),
        "data": {
            "node": node,
            "job": facts.job_id,
            "kind": str(facts.kind),
            "outcome": str(report.outcome),
            "reason": {"code": facts.reason.code, "text": own_words(report)} if facts.reason else None,
            "verified": report.verified,
            "notice": None if report.verified else UNVERIFIED,
            "model": facts.model,
            "model_version": facts.model_version,
            "device_uid": report.device.uid or None,
            "study_instance_uid": report.study_instance_uid,
            "accession_number": report.order.accession_number or None,
            "document": {"sop_class_uid": report.document.sop_class_uid, "sop_instance_uid": _uid(report)},
            "withdraws": facts.subject.sop_instance_uid if report.withdrawn else None,
            "replaces": list(report.predecessors),
            "findings": [_finding(one) for one in facts.findings],
            "study_page": study_page(pages, report) or None,
        },
    }
    return json.dumps(document, ensure_ascii=False, separators=(",", ":")).encode("utf-8", "replace")


def headers(identity: str, body: bytes, secret: str | None, at: datetime) -> Mapping[str, str]:
    """``at`` is when it is sent, so that who listens knows an old recording."""
    stamp = str(int(at.timestamp()))
    told = {"webhook-id": identity, "webhook-timestamp": stamp, "Idempotency-Key": identity}
    if secret is None:
        return told
    signed = hmac.new(key_of(secret), b".".join((identity.encode(), stamp.encode(), body)), hashlib.sha256).digest()
    return told | {"webhook-signature": f"v1,{base64.b64encode(signed).decode('ascii')}"}


def key_of(secret: str) -> bytes:
    """
    Raises:
        ValueError: it says that it is base64, and is none.
    """
    if not secret.startswith(ENCODED):
        return secret.encode()
    try:
        return base64.b64decode(secret.removeprefix(ENCODED), validate=True)
    except binascii.Error as error:
        raise ValueError("what stands behind whsec_ is no base64") from error


def _uid(report: Report) -> str:
    return report.document.sop_instance_uid


def _finding(finding: ReportedFinding) -> dict[str, Any]:
    return {
        "concept": _code(finding.concept),
        "present": finding.present,
        "probability": finding.probability,
        "site": finding.site,
        "measurements": [_measurement(one) for one in finding.measurements],
        "qualities": [{"concept": _code(one.concept), "value": _code(one.value)} for one in finding.qualities],
    }


def _measurement(one: Measurement) -> dict[str, Any]:
    return {"concept": _code(one.concept), "value": one.value, "unit": one.unit.value}


def _code(concept: CodedConcept) -> dict[str, str]:
    return {"value": concept.value, "scheme": concept.scheme, "meaning": concept.meaning}
