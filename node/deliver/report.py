"""A document of ours as a ``Report``: whom and what it is about in its own words, and what the database knows."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Protocol

from pydicom.dataset import Dataset

from node.deliver.identity import identity, parsed
from node.deliver.stored import read
from node.domain.report import Device, Order, PatientWords, Report, ReportFacts
from node.domain.result import CodedConcept, Outcome
from node.domain.study import SopRef
from node.errors import SopClassRefused, UndecodableDataSet
from node.ports import Outgoing, ReportRecord

# SR and KOS documents (PS3.4 B.5).
DOCUMENTS = "1.2.840.10008.5.1.4.1.1.88."
PROCEDURE_REPORTED, SUMMARY = "121058", "121111"


class ReportSource(Protocol):
    def __call__(self, outgoing: Outgoing) -> Report:
        """
        Raises:
            SopClassRefused: it is no document.
            ObjectMissing, StoreUnavailable, UndecodableDataSet, InvalidUid, DataSetMismatch, NotFound
        """
        ...


class StoredReports:
    """``ReportSource`` over our own store and the database."""

    def __init__(self, record: ReportRecord) -> None:
        self._record = record

    def __call__(self, outgoing: Outgoing) -> Report:
        if not outgoing.sop_class_uid.startswith(DOCUMENTS):
            raise SopClassRefused("only reports become messages", sop_class_uid=outgoing.sop_class_uid)
        file = read(outgoing.location)
        found = identity(file, outgoing)
        return report(parsed(file), self._record.facts(found.sop_instance_uid))


def report(document: Dataset, facts: ReportFacts) -> Report:
    """
    Raises:
        UndecodableDataSet: an attribute cannot be read.
    """
    try:
        outcome, summary = _outcome(document, facts)
        return Report(
            facts=facts,
            document=SopRef(str(document.SOPClassUID), str(document.SOPInstanceUID)),
            study_instance_uid=str(document.StudyInstanceUID),
            series_instance_uid=str(document.SeriesInstanceUID),
            patient=_patient(document),
            order=_order(document),
            modality=_text(document, "Modality"),
            study_at=_moment(document, "Study"),
            content_at=_moment(document, "Content"),
            device=_device(document, facts),
            outcome=outcome,
            summary=summary,
            verified=_text(document, "VerificationFlag") == "VERIFIED",
            predecessors=tuple(_predecessors(document)),
        )
    except (ValueError, KeyError, TypeError, AttributeError, LookupError, NotImplementedError) as error:
        raise UndecodableDataSet(f"the document cannot be read: {type(error).__name__}") from error


def _outcome(document: Dataset, facts: ReportFacts) -> tuple[Outcome, str]:
    """As the document says it; a note of rejection, which has no summary, by what the database knows."""
    for item in _walk(document):
        if _name(item) == SUMMARY:
            summary = _text(item, "TextValue")
            told = next((one for one in Outcome if summary.partition(":")[0].strip() == one.value), facts.outcome)
            return told, summary
    reason = facts.reason
    return facts.outcome, str(facts.outcome) if reason is None else f"{facts.outcome}: {reason.text} ({reason.code})"


def _walk(item: Dataset) -> Iterator[Dataset]:
    for child in item.get("ContentSequence") or []:
        yield child
        yield from _walk(child)


def _name(item: Dataset) -> str:
    names = item.get("ConceptNameCodeSequence")
    return _text(names[0], "CodeValue") if names else ""


def _text(data_set: Dataset, keyword: str) -> str:
    """The value as it stands there; empty where there is none."""
    value = data_set.get(keyword)
    return "" if value is None else str(value)


def _patient(document: Dataset) -> PatientWords:
    return PatientWords(
        id=_text(document, "PatientID"),
        issuer=_text(document, "IssuerOfPatientID"),
        name=_text(document, "PatientName"),
        birth_date=_text(document, "PatientBirthDate"),
        sex=_text(document, "PatientSex"),
    )


def _order(document: Dataset) -> Order:
    requests = document.get("ReferencedRequestSequence") or [Dataset()]
    return Order(
        accession_number=_text(document, "AccessionNumber"),
        placer_order_number=_text(requests[0], "PlacerOrderNumberImagingServiceRequest"),
        procedure=_procedure(document),
        description=_text(document, "StudyDescription"),
    )


def _procedure(document: Dataset) -> CodedConcept | None:
    """The procedure that was performed, as the source says it; else the one that the report is on."""
    of_study = document.get("ProcedureCodeSequence")
    if of_study:
        return _code(of_study[0])
    for item in document.get("ContentSequence") or []:
        if _name(item) == PROCEDURE_REPORTED:
            return _code(item.ConceptCodeSequence[0])
    return None


def _code(item: Dataset) -> CodedConcept:
    value = _text(item, "CodeValue") or _text(item, "LongCodeValue") or _text(item, "URNCodeValue")
    return CodedConcept(value, _text(item, "CodingSchemeDesignator"), _text(item, "CodeMeaning"))


def _moment(document: Dataset, of: str) -> str:
    """``YYYYMMDD[HHMMSS[.F]][+HHMM]``; times of other forms, which real headers have, are left out."""
    date, time = _text(document, f"{of}Date"), _text(document, f"{of}Time").partition(".")[0]
    if not (len(date) == 8 and date.isdigit()):
        return ""
    if not (len(time) in (4, 6) and time.isdigit()):
        return date
    return date + time.ljust(6, "0") + _text(document, "TimezoneOffsetFromUTC")


def _device(document: Dataset, facts: ReportFacts) -> Device:
    """The first equipment that is no scanner has a Device UID: the algorithm. A note of rejection names none."""
    for item in document.get("ContributingEquipmentSequence") or []:
        if item.get("DeviceUID"):
            version = _text(item, "SoftwareVersions")
            return Device(
                _text(item, "ManufacturerModelName"), version, _text(item, "Manufacturer"), _text(item, "DeviceUID")
            )
    return Device(facts.model, facts.model_version, _text(document, "Manufacturer"), "")


def _predecessors(document: Dataset) -> list[str]:
    return [
        str(item.ReferencedSOPInstanceUID)
        for study in document.get("PredecessorDocumentsSequence") or []
        for series in study.ReferencedSeriesSequence
        for item in series.ReferencedSOPSequence
    ]
