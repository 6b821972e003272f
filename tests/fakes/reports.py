"""Reports made by code, and where a destination of messages gets them."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime

from node.deliver.identity import identity
from node.deliver.report import DOCUMENTS
from node.deliver.stored import read
from node.domain.document import ResultKind
from node.domain.report import Device, Order, PatientWords, Report, ReportedFinding, ReportFacts
from node.domain.result import CodedConcept, Measurement, Outcome, Quality, Reason
from node.domain.study import SopRef
from node.errors import SopClassRefused
from node.ports import Outgoing
from tests.objects import SEG, SR

HIPPOCAMPUS = CodedConcept("5366008", "SCT", "Hippocampus")
VOLUME = CodedConcept("118565006", "SCT", "Volume")
MILLILITRE = CodedConcept("mL", "UCUM", "milliliter")
MARGIN, SPICULATED = CodedConcept("111037", "DCM", "Margins"), CodedConcept("129738007", "SCT", "Spiculated")
FINDINGS = (
    ReportedFinding(
        HIPPOCAMPUS,
        probability=0.875,
        measurements=(Measurement(VOLUME, 3.25, MILLILITRE), Measurement(VOLUME, 1e-7, MILLILITRE)),
        qualities=(Quality(MARGIN, SPICULATED),),
        site="Left & right",
    ),
    ReportedFinding(CodedConcept("233604007", "SCT", "Pneumonia"), present=False, probability=0.02),
)


def report(
    outcome: Outcome = Outcome.POSITIVE,
    uid: str = "1.2.3.9",
    kind: ResultKind = ResultKind.RESULT,
    reason: Reason | None = None,
    patient: PatientWords | None = None,
    **changes: object,
) -> Report:
    findings = FINDINGS if outcome is Outcome.POSITIVE else ()
    document = SopRef(SR, uid)
    facts = ReportFacts(
        kind=kind,
        job_id=7,
        model="hippocampus_mr",
        model_version="1.0.0",
        outcome=outcome,
        reason=reason,
        findings=findings,
        subject=document,
        objects=(SopRef(SEG, "1.2.3.8"),),
        written_at=datetime(2030, 1, 1, 12, tzinfo=UTC),
    )
    made = Report(
        facts=facts,
        document=document,
        study_instance_uid="1.2.3",
        series_instance_uid="1.2.3.4",
        patient=patient or PatientWords("4711", "Hospital", "Doe^Jane", "19700101", "F"),
        order=Order("A1", "P7", CodedConcept("25045-6", "LN", "CT unspecified body region"), "Brain"),
        modality="SR",
        study_at="20260303101500+0100",
        content_at="20260303102000+0100",
        device=Device("ainode hippocampus_mr", "1.0.0", "ainode project", "2.25.1"),
        outcome=outcome,
        summary=str(outcome) if reason is None else f"{outcome}: {reason.text} ({reason.code})",
    )
    return replace(made, **changes)


def reports_of(outgoing: Outgoing) -> Report:
    """A report for every object that says that it is one; its bytes are looked at as the real source does."""
    if not outgoing.sop_class_uid.startswith(DOCUMENTS):
        raise SopClassRefused("only reports become messages")
    identity(read(outgoing.location), outgoing)
    return report(uid=outgoing.sop_instance_uid)
