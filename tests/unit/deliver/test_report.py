"""What is told of documents that the results step really wrote: the source's own words, whatever script they are in."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path

import hl7
import pytest

from node.deliver.oru import Parties, encode
from node.deliver.report import StoredReports
from node.domain.document import RejectionTitle, ResultKind, Withdrawal, failure_reason
from node.domain.report import PatientWords, Report, ReportFacts
from node.domain.result import DocumentRef, EarlierResult, InferenceResult, Outcome
from node.domain.study import ByteRange, SopRef
from node.errors import SopClassRefused
from node.ports import EncodedObject, Outgoing
from node.results.rejection import IocmRejectionWriter
from node.results.writer import DicomResultWriter
from tests.conformance.golden import SCRIPTS, Script
from tests.objects import SEG
from tests.unit.results.runs import MAKER, header, not_evaluable, run_on, save

AT = datetime(2030, 1, 2, 3, 4, 5, tzinfo=UTC)
NEGATIVE = InferenceResult(Outcome.NEGATIVE)


class Known:
    """A record that knows one document: what the job said of it is NEGATIVE."""

    def __init__(self, kind: ResultKind, outcome: Outcome) -> None:
        self._kind = kind
        self._outcome = outcome

    def facts(self, sop_instance_uid: str) -> ReportFacts:
        subject = SopRef("1.2.840.10008.5.1.4.1.1.88.34", sop_instance_uid)
        return ReportFacts(self._kind, 1, "hippocampus_mr", "1.0.0", self._outcome, None, (), subject, (), AT)


def written(
    tmp_path: Path, result: InferenceResult, earlier: EarlierResult | None = None, **attributes: object
) -> EncodedObject:
    """The main report of a run."""
    folder = tmp_path / "images"
    folder.mkdir(exist_ok=True)
    run = run_on(save([header(number, **attributes) for number in range(3)], folder), result)
    run = replace(
        run, earlier=() if earlier is None else (earlier,), job=replace(run.job, revision=1 if earlier else 0)
    )
    return DicomResultWriter(MAKER, zone=UTC).write(run)[-1]


def told(
    tmp_path: Path, one: EncodedObject, kind: ResultKind = ResultKind.RESULT, outcome: Outcome = Outcome.NEGATIVE
) -> Report:
    path = tmp_path / "report.dcm"
    path.write_bytes(one.part10)
    outgoing = Outgoing(one.sop_class_uid, one.sop_instance_uid, ByteRange(str(path), 0, len(one.part10)))
    return StoredReports(Known(kind, outcome))(outgoing)


@pytest.mark.parametrize("script", list(SCRIPTS.values()), ids=list(SCRIPTS))
def test_patient_and_accession_are_exactly_those_of_the_source(tmp_path: Path, script: Script) -> None:
    encoding = script.character_set
    attributes = (
        {}
        if encoding is None
        else {"SpecificCharacterSet": list(encoding) if isinstance(encoding, tuple) else encoding}
    )
    made = told(
        tmp_path,
        written(
            tmp_path, NEGATIVE, PatientName=script.patient, StudyDescription=script.study, PatientID=" 0047/11 A",
            IssuerOfPatientID="Hospital", AccessionNumber="A&1|b", **attributes,
        ),
    )  # fmt: skip
    assert made.patient == PatientWords(" 0047/11 A", "Hospital", script.patient, "19700101", "F")
    assert made.order.accession_number == "A&1|b"
    assert made.order.description == script.study
    sent = hl7.parse(encode(made, Parties("AINODE"), "UNICODE UTF-8", AT).decode())
    alphabetic, *others = script.patient.split("=")
    repetitions = str(sent.segment("PID")[5]).split("~")
    assert repetitions[0] == alphabetic
    assert [one.rstrip("^IP") for one in repetitions[1:]] == others
    assert sent.unescape(str(sent.segment("OBR")[18])) == "A&1|b"


def test_outcome_times_device_and_predecessors(tmp_path: Path) -> None:
    before = DocumentRef("1.2.3", "1.2.3.77", "1.2.840.10008.5.1.4.1.1.88.34", "1.2.3.78")
    one = written(tmp_path, NEGATIVE, EarlierResult((before,)), TimezoneOffsetFromUTC="+0100")
    made = told(tmp_path, one)
    assert (made.outcome, made.summary, made.verified, made.evaluated) == (Outcome.NEGATIVE, "NEGATIVE", False, True)
    assert made.study_at == "20260303101500+0100"
    assert made.content_at.endswith("+0100")
    assert (made.device.name, made.device.version) == ("ainode hippocampus_mr", "1.0.0")
    assert made.device.uid.startswith("2.25.")
    assert made.predecessors == ("1.2.3.78",)
    assert made.order.procedure is not None
    assert (made.order.procedure.value, made.order.procedure.scheme) == ("25056-3", "LN")
    assert made.document == SopRef(one.sop_class_uid, one.sop_instance_uid)


@pytest.mark.parametrize(
    ("result", "summary"),
    [
        (not_evaluable("too few slices"), "NOT EVALUABLE: too few slices (UnsupportedImage)"),
        (InferenceResult(Outcome.FAILED, reason=failure_reason("WorkerLost")), "FAILED: The analysis failed: "),
    ],
)
def test_the_document_says_why_whatever_the_row_tells_by_then(
    tmp_path: Path, result: InferenceResult, summary: str
) -> None:
    """A failed job that was run again says NEGATIVE in its row; its document on the failure does not."""
    made = told(tmp_path, written(tmp_path, result))
    assert made.outcome is result.outcome
    assert made.summary.startswith(summary)
    assert not made.evaluated


def test_a_note_of_rejection(tmp_path: Path) -> None:
    report = written(tmp_path, NEGATIVE)
    withdrawal = Withdrawal(AT, "operator", "movement", RejectionTitle.QUALITY)
    note = IocmRejectionWriter(MAKER, UTC).reject([report.part10], withdrawal)
    made = told(tmp_path, note, ResultKind.REJECTION, Outcome.WITHDRAWN)
    assert made.withdrawn
    assert not made.evaluated
    assert (made.patient.id, made.patient.name) == ("4711", "Doe^Jane")


def test_what_is_no_document_becomes_no_message() -> None:
    with pytest.raises(SopClassRefused):
        StoredReports(Known(ResultKind.RESULT, Outcome.NEGATIVE))(Outgoing(SEG, "1.2", ByteRange("/absent", 0, 1)))
