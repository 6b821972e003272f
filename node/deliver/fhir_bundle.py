"""A report as a FHIR R4 transaction: DiagnosticReport, Observations, Device and Provenance. Pure.

Codes and identifiers as in HL7's guide "DICOM SR to FHIR": ``urn:dicom:uid`` with ``urn:oid:``. Every resource is
created on the condition that none has its identifier yet, so that the same report twice is one report; a withdrawal
changes what is there to entered-in-error.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Any

from node.domain.identity import derive_uid
from node.domain.report import UNVERIFIED, Report, ReportedFinding
from node.domain.result import CodedConcept, Measurement, Outcome

Resource = dict[str, Any]

# PS3.16 Table 8-1 and HL7's terminology; of a scheme that is not here the words are sent.
SYSTEMS = {
    "SCT": "http://snomed.info/sct",
    "LN": "http://loinc.org",
    "DCM": "http://dicom.nema.org/resources/ontology/DCM",
    "UCUM": "http://unitsofmeasure.org",
    "RADLEX": "http://radlex.org",
    "UMLS": "http://www.nlm.nih.gov/research/umls",
}
DICOM_UID = "urn:dicom:uid"
ACCESSION = {"coding": [{"system": "http://terminology.hl7.org/CodeSystem/v2-0203", "code": "ACSN"}]}
RADIOLOGY = {"coding": [{"system": "http://terminology.hl7.org/CodeSystem/v2-0074", "code": "RAD"}]}
IMAGING_STUDY = CodedConcept("18748-4", "LN", "Diagnostic imaging study")
SUMMARY = CodedConcept("111017", "DCM", "CAD Processing and Findings Summary")
PROBABILITY = CodedConcept("", "", "Probability")
UNITY = CodedConcept("1", "UCUM", "no units")
PRESENT = CodedConcept("52101004", "SCT", "Present")
ABSENT = CodedConcept("2667000", "SCT", "Absent")
WITH_FINDINGS = CodedConcept("111242", "DCM", "All algorithms succeeded; with findings")
WITHOUT_FINDINGS = CodedConcept("111241", "DCM", "All algorithms succeeded; without findings")
NOTHING_EVALUATED = CodedConcept("111245", "DCM", "No algorithms succeeded; without findings")
SUMMARY_CODES: Mapping[Outcome, CodedConcept] = {
    Outcome.POSITIVE: WITH_FINDINGS,
    Outcome.NEGATIVE: WITHOUT_FINDINGS,
}


def bundle(report: Report) -> Resource:
    """The transaction (FHIR R4 section 3.1.0.11)."""
    subject = report.facts.subject.sop_instance_uid
    numbered = [_summary(report), *(_finding(report, one) for one in report.facts.findings)]
    uids = [derive_uid("observation", subject, str(number)) for number in range(len(numbered))]
    device = _device(report)
    device_uid = report.device.uid or derive_uid("device", report.device.name, report.device.version)
    entries = [] if report.withdrawn else [_created(device, "Device", device_uid)]
    for observation, uid in zip(numbered, uids, strict=True):
        if not report.withdrawn:
            observation["device"] = {"reference": _urn("Device", device_uid)}
        entries.append(_kept(report, observation, uid))
    results = [{"reference": _urn("Observation", uid)} for uid in uids]
    entries.append(_kept(report, {**_diagnostic_report(report), "result": results}, subject))
    return {
        "resourceType": "Bundle",
        "type": "transaction",
        "entry": [*entries, _provenance(report, subject, None if report.withdrawn else device_uid)],
    }


# ------------------------------------------------------------------------------------------------ entries


def _kept(report: Report, resource: Resource, uid: str) -> Resource:
    """Created where it is not there; of a withdrawal changed where it is."""
    kind = resource["resourceType"]
    resource["identifier"] = [_identifier(uid)]
    if not report.withdrawn:
        return _created(resource, kind, uid)
    request = {"method": "PUT", "url": f"{kind}?identifier={_token(uid)}"}
    return {"fullUrl": _urn(kind, uid), "resource": resource, "request": request}


def _created(resource: Resource, kind: str, uid: str) -> Resource:
    resource["identifier"] = [_identifier(uid)]
    request = {"method": "POST", "url": kind, "ifNoneExist": f"identifier={_token(uid)}"}
    return {"fullUrl": _urn(kind, uid), "resource": resource, "request": request}


def _identifier(uid: str) -> Resource:
    return {"system": DICOM_UID, "value": f"urn:oid:{uid}"}


def _token(uid: str) -> str:
    return f"{DICOM_UID}|urn:oid:{uid}"


def _urn(kind: str, uid: str) -> str:
    """The name of a resource within the transaction, made of its UID: the same bytes for the same report."""
    number = f"{int(derive_uid('fhir', kind, uid).removeprefix('2.25.')):032x}"
    return f"urn:uuid:{number[:8]}-{number[8:12]}-{number[12:16]}-{number[16:20]}-{number[20:]}"


# ------------------------------------------------------------------------------------------------ resources


def _diagnostic_report(report: Report) -> Resource:
    order = report.order
    notice = "" if report.verified else f" [{UNVERIFIED}]"
    made: Resource = {
        "resourceType": "DiagnosticReport",
        "status": _status(report),
        "category": [RADIOLOGY],
        "code": _concept(order.procedure or IMAGING_STUDY),
        "subject": _subject(report),
        "issued": _instant(report.facts.written_at),
        "imagingStudy": [{"type": "ImagingStudy", "identifier": _identifier(report.study_instance_uid)}],
        "conclusion": report.summary + notice,
        "conclusionCode": [_concept(SUMMARY_CODES.get(report.outcome, NOTHING_EVALUATED))],
    }
    if report.withdrawn:
        del made["conclusionCode"]
    if order.accession_number:
        identifier = {"type": ACCESSION, "value": order.accession_number}
        made["basedOn"] = [{"type": "ServiceRequest", "identifier": identifier}]
    return _dated(made, report)


def _observation(report: Report, code: CodedConcept, value: CodedConcept) -> Resource:
    made = {
        "resourceType": "Observation",
        "status": _status(report),
        "code": _concept(code),
        "subject": _subject(report),
        "valueCodeableConcept": _concept(value),
    }
    return _dated(made, report)


def _summary(report: Report) -> Resource:
    """What the run came to; where nothing was evaluated, that and why: never a value that looks like a negative."""
    made = _observation(report, SUMMARY, SUMMARY_CODES.get(report.outcome, NOTHING_EVALUATED))
    return {**made, "note": [{"text": report.summary}]}


def _finding(report: Report, finding: ReportedFinding) -> Resource:
    made = _observation(report, finding.concept, PRESENT if finding.present else ABSENT)
    if finding.site:
        made["bodySite"] = {"text": finding.site}
    measured = [] if finding.probability is None else [Measurement(PROBABILITY, finding.probability, UNITY)]
    components = [_measured(one) for one in (*measured, *finding.measurements)]
    components += [
        {"code": _concept(one.concept), "valueCodeableConcept": _concept(one.value)} for one in finding.qualities
    ]
    return {**made, "component": components} if components else made


def _measured(measurement: Measurement) -> Resource:
    code = _concept(measurement.concept)
    if not math.isfinite(measurement.value):
        return {"code": code, "valueString": str(measurement.value)}
    unit = measurement.unit
    quantity: Resource = {"value": measurement.value, "unit": unit.meaning or unit.value}
    if unit.scheme in SYSTEMS:
        quantity |= {"system": SYSTEMS[unit.scheme], "code": unit.value}
    return {"code": code, "valueQuantity": quantity}


def _device(report: Report) -> Resource:
    device = report.device
    made: Resource = {
        "resourceType": "Device",
        "deviceName": [{"name": device.name, "type": "model-name"}],
        "version": [{"value": device.version or "unknown"}],
        "type": _concept(CodedConcept("123110", "DCM", "Artificial Intelligence")),
    }
    return made | ({"manufacturer": device.manufacturer} if device.manufacturer else {})


def _provenance(report: Report, subject: str, device_uid: str | None) -> Resource:
    """It has no identifier to be asked for: a tag with the document's UID is the condition instead."""
    uid = report.document.sop_instance_uid
    who = {"display": report.device.name} if device_uid is None else {"reference": _urn("Device", device_uid)}
    sources = [("source", report.study_instance_uid), *(("revision", each) for each in report.predecessors)]
    resource = {
        "resourceType": "Provenance",
        "meta": {"tag": [{"system": DICOM_UID, "code": f"urn:oid:{uid}"}]},
        "target": [{"reference": _urn("DiagnosticReport", subject)}],
        "recorded": _instant(report.facts.written_at),
        "agent": [{"type": {"text": "assembler"}, "who": who}],
        "entity": [{"role": role, "what": {"identifier": _identifier(each)}} for role, each in sources],
    }
    request = {"method": "POST", "url": "Provenance", "ifNoneExist": f"_tag={_token(uid)}"}
    return {"fullUrl": _urn("Provenance", uid), "resource": resource, "request": request}


# ------------------------------------------------------------------------------------------------ data types


def _status(report: Report) -> str:
    if report.withdrawn:
        return "entered-in-error"
    return "final" if report.verified else "preliminary"


def _subject(report: Report) -> Resource:
    """A logical reference: the receiver knows the patient, we know what the images say."""
    patient = report.patient
    made: Resource = {"type": "Patient", "display": patient.name or "unknown"}
    if patient.id.strip():
        assigner = {"assigner": {"display": patient.issuer}} if patient.issuer.strip() else {}
        made["identifier"] = {"value": patient.id, **assigner}
    return made


def _concept(concept: CodedConcept) -> Resource:
    text = concept.meaning or concept.value or "unknown"
    if not concept.value:
        return {"text": text}
    coding: Resource = {"code": concept.value, "display": text}
    if concept.scheme in SYSTEMS:
        coding["system"] = SYSTEMS[concept.scheme]
    return {"coding": [coding], "text": text}


def _dated(resource: Resource, report: Report) -> Resource:
    at = date_time(report.study_at)
    return resource | ({"effectiveDateTime": at} if at else {})


def date_time(moment: str) -> str:
    """A DICOM date and time as FHIR's: to the second where the offset from UTC is known, else the day."""
    try:
        day = datetime.strptime(moment[:8], "%Y%m%d").replace(tzinfo=UTC).date().isoformat()
    except ValueError:
        return ""
    try:
        return datetime.strptime(moment, "%Y%m%d%H%M%S%z").isoformat()
    except ValueError:
        return day


def _instant(at: datetime) -> str:
    return at.astimezone(UTC).isoformat(timespec="milliseconds")
