"""A report as an e-mail: that there is something to look at, and where. Nobody is identified in it. Pure.

E-mail is read by whom it is forwarded to, on any device. So there is neither patient nor date in it, and the accession
number only where the operator has said so; the link leads to a page that asks who reads it.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime
from email.message import EmailMessage
from email.policy import SMTP
from email.utils import format_datetime

from node.deliver.told import message_id, own_words, study_page
from node.domain.document import ResultKind
from node.domain.report import UNVERIFIED, Report

MOST_FINDINGS = 10
LONGEST_TEXT = 200
DOMAIN = "ainode.invalid"  # RFC 2606: nobody's


@dataclass(frozen=True, slots=True)
class Letterhead:
    """``node`` is our AE title; ``pages`` the address of the node's pages, empty where there is none to name."""

    sender: str
    recipients: tuple[str, ...]
    node: str
    pages: str = ""
    accession_number: bool = False


def encode(report: Report, destination: str, head: Letterhead, at: datetime) -> EmailMessage:
    """``at`` is when it is sent. The Message-ID is that of the delivery, and what it answers those it replaces."""
    message = EmailMessage(policy=SMTP)
    message["From"] = head.sender
    message["To"] = ", ".join(head.recipients)
    message["Subject"] = f"AI result {_headline(report)}"
    message["Date"] = format_datetime(at)
    message["Message-ID"] = _id(destination, report.document.sop_instance_uid)
    before = [_id(destination, uid) for uid in _before(report)]
    if before:
        message["References"] = " ".join(before)
    message["Auto-Submitted"] = "auto-generated"  # RFC 3834: no answering machine answers it
    message.set_content("\n".join(_lines(report, head)) + "\n", cte="quoted-printable")
    return message


def _before(report: Report) -> tuple[str, ...]:
    taken_back = () if report.facts.subject == report.document else (report.facts.subject.sop_instance_uid,)
    return taken_back + report.predecessors


def _lines(report: Report, head: Letterhead) -> Iterator[str]:
    yield _headline(report)
    yield from _what(report)
    yield ""
    page = study_page(head.pages, report)
    if page:
        yield f"Study: {page}"
    if head.accession_number and report.order.accession_number:
        yield f"Accession number: {_plain(report.order.accession_number)}"
    yield f"Job {report.facts.job_id} of {_plain(head.node)}"
    yield ""
    yield "Verified by a person." if report.verified else f"{UNVERIFIED}."


def _headline(report: Report) -> str:
    return f"{report.outcome}: {_plain(report.facts.model)} {_plain(report.facts.model_version)}"


def _what(report: Report) -> Iterator[str]:
    if report.withdrawn:
        yield "This result was withdrawn: do not use it."
        return
    if report.facts.kind is ResultKind.ASSESSMENT:
        yield "A person has assessed this result."
    if report.predecessors:
        yield "This replaces an earlier result."
    if not report.evaluated:
        yield _plain(own_words(report)) or "The images were not evaluated."
    for finding in [one for one in report.facts.findings if one.present][:MOST_FINDINGS]:
        probability = "" if finding.probability is None else f" ({100 * finding.probability:.0f} %)"
        yield f"- {_plain(finding.concept.meaning)}{probability}"


def _id(destination: str, sop_instance_uid: str) -> str:
    return f"<{message_id(destination, sop_instance_uid)}@{DOMAIN}>"


def _plain(text: str) -> str:
    """One line that cannot be read backwards: formatting and control characters are no text."""
    return "".join(one for one in text if one.isprintable())[:LONGEST_TEXT]
