"""What is told of a report outside DICOM, HL7 and FHIR: how a message is recognised, and where more stands. Pure."""

from __future__ import annotations

import uuid
from urllib.parse import quote

from node.domain.document import ResultKind
from node.domain.report import Report


def message_id(destination: str, sop_instance_uid: str) -> str:
    """Of the one delivery of a document to a destination: the same whenever it is sent again."""
    return str(uuid.uuid5(uuid.NAMESPACE_OID, f"{sop_instance_uid} to {destination}"))


def study_page(pages: str, report: Report) -> str:
    """The study on the node's pages, which want to know who reads them; empty where no address is configured."""
    return f"{pages}/studies/{quote(report.study_instance_uid, safe='')}" if pages else ""


def own_words(report: Report) -> str:
    """Why nothing was evaluated, in the node's words. What a person wrote may name the patient: it is left out."""
    reason = report.facts.reason
    return reason.text if reason is not None and report.facts.kind in (ResultKind.RESULT, ResultKind.FAILED) else ""
