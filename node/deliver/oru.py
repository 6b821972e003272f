"""A report as an HL7 v2.5.1 message ORU^R01 (chapter 7; the SR is named as in IHE RAD TF-2 4.28). Pure."""

from __future__ import annotations

import base64
import hashlib
import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from decimal import Decimal

from node.domain.report import UNVERIFIED, Report, ReportedFinding
from node.domain.result import CodedConcept, Measurement, Outcome
from node.errors import UndecodableDataSet

# MSH-18 (HL7 table 0211) and the codec of each.
CHARSETS = {"UNICODE UTF-8": "utf-8", "8859/1": "iso-8859-1", "ASCII": "ascii"}
UTF_8 = "UNICODE UTF-8"

# Chapter 2 section 2.7.1. The escape character stands first, so that no escape is escaped again.
ESCAPES = (("\\", "\\E\\"), ("|", "\\F\\"), ("^", "\\S\\"), ("&", "\\T\\"), ("~", "\\R\\"))

# PS3.16 CID 6047, as the SR says it (concept 111017).
SUMMARY_CODES = {
    Outcome.POSITIVE: ("111242", "All algorithms succeeded; with findings"),
    Outcome.NEGATIVE: ("111241", "All algorithms succeeded; without findings"),
}
NOTHING_EVALUATED = ("111245", "No algorithms succeeded; without findings")
PRESENT = CodedConcept("52101004", "SCT", "Present")
ABSENT = CodedConcept("2667000", "SCT", "Absent")

# Tables 0123 and 0085: preliminary, final, correction; wrong, and "results cannot be obtained".
PRELIMINARY, FINAL, CORRECTION, WRONG, NOT_OBTAINED = "P", "F", "C", "W", "X"


@dataclass(frozen=True, slots=True)
class Parties:
    """MSH-3 to MSH-6."""

    sending_application: str
    sending_facility: str = ""
    receiving_application: str = ""
    receiving_facility: str = ""


def control_id(report: Report) -> str:
    """MSH-10, 20 characters: the same for the same document, so that a receiver knows what it has had before."""
    digest = hashlib.sha256(report.document.sop_instance_uid.encode()).digest()
    return base64.b32encode(digest)[:20].decode("ascii")


def encode(report: Report, parties: Parties, charset: str, at: datetime) -> bytes:
    """The message; ``at`` is when it is sent. What the charset does not have makes it UTF-8, which MSH-18 then says.

    Raises:
        UndecodableDataSet: the document's text is no text.
    """
    for name in (charset, UTF_8):
        try:
            return message(report, parties, name, at).encode(CHARSETS[name])
        except UnicodeEncodeError:
            continue
    raise UndecodableDataSet("the document holds text that has no encoding")


def message(report: Report, parties: Parties, charset: str, at: datetime) -> str:
    """Segments end in carriage returns."""
    segments = [_msh(report, parties, charset, at), _pid(report), _obr(report), _nte(report), *_observations(report)]
    return "".join(segment.rstrip("|") + "\r" for segment in segments)


def escape(text: str) -> str:
    """What must not be taken for a delimiter; line ends as hexadecimal, other control characters left out."""
    for character, written in ESCAPES:
        text = text.replace(character, written)
    text = text.replace("\r\n", "\n").replace("\r", "\n").replace("\n", "\\X0D\\")
    return "".join(one for one in text if one == "\t" or (ord(one) >= 32 and one != "\x7f"))


def _segment(name: str, fields: dict[int, str]) -> str:
    """``fields`` by their number, ready to stand there."""
    return "|".join([name, *(fields.get(number, "") for number in range(1, max(fields) + 1))])


def _msh(report: Report, parties: Parties, charset: str, at: datetime) -> str:
    fields = {
        2: escape(parties.sending_application),
        3: escape(parties.sending_facility),
        4: escape(parties.receiving_application),
        5: escape(parties.receiving_facility),
        6: at.astimezone(UTC).strftime("%Y%m%d%H%M%S+0000"),
        8: "ORU^R01^ORU_R01",
        9: control_id(report),
        10: "P",
        11: "2.5.1",
        17: charset,
    }
    # The field separator is MSH-1 itself, so everything stands one further to the left.
    return _segment("MSH", {1: "^~\\&", **fields})


def _pid(report: Report) -> str:
    patient = report.patient
    identifier = f"{escape(patient.id)}^^^{escape(patient.issuer)}".rstrip("^")
    fields = {
        1: "1",
        3: identifier,
        5: person_name(patient.name),
        7: escape(patient.birth_date),
        8: escape(patient.sex),
    }
    return _segment("PID", fields)


def person_name(name: str) -> str:
    """A PN (PS3.5 section 6.2.1) as XPN: prefix and suffix change places; each group of characters is a repetition."""
    groups = []
    for code, group in zip("AIP", name.split("="), strict=False):
        if not group:
            continue
        family, given, middle, prefix, suffix = (*map(escape, group.split("^")), "", "", "", "", "")[:5]
        parts = [family, given, middle, suffix, prefix]
        told = "^".join(parts).rstrip("^") if code == "A" else "^".join([*parts, "", "", code])
        groups.append(told)
    return "~".join(groups)


def _obr(report: Report) -> str:
    order = report.order
    fields = {
        1: "1",
        2: escape(order.placer_order_number),
        3: _filler(report),
        4: _coded(order.procedure)
        if order.procedure
        else escape(order.description) and f"^{escape(order.description)}",
        7: report.study_at,
        18: escape(order.accession_number),  # IHE RAD TF-2 4.4: Placer Field 1
        22: report.content_at,
        24: "RAD",
        25: _status(report),
    }
    return _segment("OBR", fields)


def _filler(report: Report) -> str:
    """The report that this is about: of a withdrawal the one that is withdrawn."""
    uid = report.facts.subject.sop_instance_uid
    return f"{uid}^AINODE^{uid}^ISO"


def _status(report: Report) -> str:
    if report.withdrawn:
        return CORRECTION
    return FINAL if report.verified else PRELIMINARY


def _nte(report: Report) -> str:
    notice = "" if report.verified else UNVERIFIED
    return _segment("NTE", {1: "1", 2: "L", 3: escape(notice)})


def _observations(report: Report) -> Iterator[str]:
    for number, (value_type, concept, value, more) in enumerate(_told(report), 1):
        status = _status(report)
        if report.withdrawn:
            status = WRONG
        elif not report.evaluated:
            status = NOT_OBTAINED
        fields = {1: str(number), 2: value_type, 3: concept, 5: value, 11: status, 14: report.study_at}
        yield _segment("OBX", {**fields, **_equipment(report), **more})


_Observation = tuple[str, str, str, dict[int, str]]


def _told(report: Report) -> Iterator[_Observation]:
    """Value type (OBX-2), concept (OBX-3), value (OBX-5) and what else there is to say."""
    yield "HD", "^SR Instance UID", report.facts.subject.sop_instance_uid, {}
    yield "HD", "^Study Instance UID", report.study_instance_uid, {}
    for predecessor in report.predecessors:
        yield "HD", "^Predecessor SR Instance UID", predecessor, {}
    code, meaning = SUMMARY_CODES.get(report.outcome, NOTHING_EVALUATED)
    if not report.withdrawn:
        flag = {Outcome.POSITIVE: "A", Outcome.NEGATIVE: "N"}.get(report.outcome, "")
        yield "CWE", "111017^CAD Processing and Findings Summary^DCM", f"{code}^{meaning}^DCM", {8: flag}
    yield "ST", "121111^Summary^DCM", escape(report.summary), {}
    for number, finding in enumerate(report.facts.findings, 1):
        yield from _of_finding(finding, str(number))


def _of_finding(finding: ReportedFinding, group: str) -> Iterator[_Observation]:
    """All observations of a finding have its number as sub-id (OBX-4)."""
    probability = {} if finding.probability is None else {9: number(finding.probability)}
    presence = PRESENT if finding.present else ABSENT
    yield "CWE", _coded(finding.concept), _coded(presence), {4: group, **probability}
    if finding.probability is not None:
        yield "NM", "^Probability", number(finding.probability), {4: group, 6: "1^no units^UCUM"}
    if finding.site is not None:
        yield "ST", "363698007^Finding Site^SCT", escape(finding.site), {4: group}
    for quality in finding.qualities:
        yield "CWE", _coded(quality.concept), _coded(quality.value), {4: group}
    for measurement in finding.measurements:
        yield _measured(measurement, group)


def _measured(measurement: Measurement, group: str) -> _Observation:
    concept, unit = _coded(measurement.concept), _coded(measurement.unit)
    if not math.isfinite(measurement.value):
        return "ST", concept, str(measurement.value), {4: group, 6: unit}
    return "NM", concept, number(measurement.value), {4: group, 6: unit}


def number(value: float) -> str:
    """As NM wants it (chapter 2.A.46): digits, without an exponent."""
    return f"{Decimal(repr(float(value))):f}"


def _coded(concept: CodedConcept) -> str:
    """CWE: code, text, coding system (DICOM's and HL7's table 0396 agree on those in use)."""
    return "^".join(map(escape, (concept.value, concept.meaning, concept.scheme))).rstrip("^")


def _equipment(report: Report) -> dict[int, str]:
    """OBX-18: the algorithm, by the UID that changes with its weights."""
    device = report.device
    named = [escape(f"{device.name} {device.version}"), escape(device.manufacturer)]
    return {18: "^".join([*named, device.uid, "ISO"] if device.uid else named)}


def acknowledgment(answer: str) -> tuple[str, str, str]:
    """MSA-1, MSA-2 and MSA-3 of an answer: the code (table 0008), whose message it is, and the text.

    Raises:
        ValueError: it is no acknowledgment.
    """
    segments: Sequence[str] = [part for part in answer.replace("\n", "\r").split("\r") if part]
    if not segments or not segments[0].startswith("MSH") or len(segments[0]) < 4:
        raise ValueError("no message header")
    separator = segments[0][3]
    for segment in segments[1:]:
        name, *fields = segment.split(separator)
        if name == "MSA" and len(fields) >= 2:
            return fields[0].strip(), fields[1].strip(), fields[2] if len(fields) > 2 else ""
    raise ValueError("no acknowledgment segment")
