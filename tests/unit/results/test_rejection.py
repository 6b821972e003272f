"""The note that rejects a result, and what is said again afterwards."""

from __future__ import annotations

import io
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path

import pydicom
import pytest

from node.domain.document import REJECTIONS, RejectionTitle, Withdrawal
from node.domain.result import DocumentRef, EarlierResult, InferenceResult, Outcome, Reason
from node.ports import EncodedObject, Run
from node.results.rejection import IocmRejectionWriter
from node.results.writer import DicomResultWriter
from tests.conformance import validators
from tests.unit.results.runs import MAKER, header, run_on, save

AT = datetime(2026, 5, 6, 7, 8, 9, tzinfo=UTC)
WITHDRAWAL = Withdrawal(AT, "operator@host", "Verwechslung: linke Seite für rechte", RejectionTitle.SAFETY)
UTF_8 = {"SpecificCharacterSet": "ISO_IR 192", "PatientName": "Müller^Jörg"}


def rejected(objects: list[EncodedObject], withdrawal: Withdrawal = WITHDRAWAL) -> EncodedObject:
    return IocmRejectionWriter(MAKER, UTC).reject([one.part10 for one in objects], withdrawal)


@pytest.fixture
def objects(writer: DicomResultWriter, tmp_path: Path) -> list[EncodedObject]:
    return list(writer.write(run_on(save([header(number, **UTF_8) for number in range(5)], tmp_path))))


def test_a_rejection_note_names_every_object_and_is_valid(objects: list[EncodedObject], tmp_path: Path) -> None:
    written = rejected(objects)
    path = tmp_path / "KO.dcm"
    path.write_bytes(written.part10)
    assert validators.dciodvfy(path) == []
    assert validators.dsrdump(path) == []
    note = pydicom.dcmread(path)
    assert (note.Modality, note.SOPClassUID.name) == ("KO", "Key Object Selection Document Storage")
    title = note.ConceptNameCodeSequence[0]
    assert (title.CodeValue, title.CodingSchemeDesignator) == ("113037", "DCM")
    assert str(note.PatientName) == "Müller^Jörg"
    assert (note.ContentDate, note.ContentTime, note.AccessionNumber) == ("20260506", "070809", "A1")
    texts = [item.TextValue for item in note.ContentSequence if item.ValueType == "TEXT"]
    assert WITHDRAWAL.reason in texts
    references = [item for item in note.ContentSequence if item.ValueType in ("IMAGE", "COMPOSITE")]
    named = {str(item.ReferencedSOPSequence[0].ReferencedSOPInstanceUID): item for item in references}
    assert set(named) == {one.sop_instance_uid for one in objects}
    assert not any("ConceptNameCodeSequence" in item for item in references)
    assert [note.StudyInstanceUID, note.SeriesInstanceUID] == ["1.2.3", written.series_instance_uid]


def test_the_note_depends_on_the_withdrawal_alone(objects: list[EncodedObject]) -> None:
    first, again = rejected(objects), rejected(list(reversed(objects)))
    assert first == rejected(objects)
    assert again == first
    others = [
        rejected(objects, replace(WITHDRAWAL, reason="another")),
        rejected(objects, replace(WITHDRAWAL, title=RejectionTitle.QUALITY)),
        rejected(objects, replace(WITHDRAWAL, at=AT.replace(second=10))),
        rejected(objects[:1]),
    ]
    assert len({first.sop_instance_uid, *(one.sop_instance_uid for one in others)}) == 5


def test_every_title_has_its_code() -> None:
    assert {title.value: REJECTIONS[title].value for title in RejectionTitle} == {
        "quality": "113001", "safety": "113037", "patient": "113038", "worklist": "113038",
    }  # fmt: skip


# ---------------------------------------------------------------- what is said again


def said(objects: list[EncodedObject], withdrawn: bool) -> EarlierResult:
    main = objects[-1]
    named = DocumentRef("1.2.3", main.series_instance_uid, main.sop_class_uid, main.sop_instance_uid)
    return EarlierResult((named,), main.predecessors, withdrawn)


def test_what_was_withdrawn_is_said_again_under_other_uids_and_names_it(
    writer: DicomResultWriter, series: list[Path]
) -> None:
    run = run_on(series)
    first = list(writer.write(run))
    again = list(writer.write(replace(run, earlier=(said(first, withdrawn=False),))))
    assert again == first, "a run that is repeated is the same result"
    withdrawn = replace(run, earlier=(said(first, withdrawn=True),))
    second = list(writer.write(withdrawn))
    assert not {one.sop_instance_uid for one in second} & {one.sop_instance_uid for one in first}
    assert not {one.series_instance_uid for one in second} & {one.series_instance_uid for one in first}
    assert second[-1].predecessors == said(first, withdrawn=True).reports
    assert list(writer.write(withdrawn)) == second
    third = list(writer.write(replace(run, earlier=(said(first, withdrawn=True), said(second, withdrawn=True)))))
    uids = [{one.sop_instance_uid for one in objects} for objects in (first, second, third)]
    assert len(set.union(*uids)) == sum(map(len, uids))


def failed(series: list[Path], code: str, *earlier: EarlierResult) -> Run:
    result = InferenceResult(Outcome.FAILED, reason=Reason(code, f"The analysis failed: {code}"))
    return replace(run_on(series, result), earlier=earlier)


def test_each_error_has_a_document_of_its_own_and_a_success_follows_it(
    writer: DicomResultWriter, series: list[Path]
) -> None:
    (lost,) = writer.write(failed(series, "WorkerLost"))
    (slow,) = writer.write(failed(series, "InferenceTimeout", said([lost], withdrawn=False)))
    assert slow.sop_instance_uid != lost.sop_instance_uid
    assert slow.predecessors == said([lost], withdrawn=False).reports
    before = [said([lost], withdrawn=False), said([slow], withdrawn=False)]
    (lost_again,) = writer.write(failed(series, "WorkerLost", *before))
    assert lost_again == lost
    done = writer.write(replace(run_on(series), earlier=tuple(before)))
    assert done[-1].predecessors == said([slow], withdrawn=False).reports
    document = pydicom.dcmread(io.BytesIO(lost.part10))
    assert "FAILED" in document.SeriesDescription
