"""The reports that follow a run's once a person has judged them."""

from __future__ import annotations

import io
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pydicom
import pytest
from pydicom.dataset import Dataset

from node.database.plain import findings_to_plain
from node.domain.assessment import Assessment, AssessmentState, CorrectedValue, Decision, Word
from node.domain.result import Finding, GraphicType, InferenceResult, Location, Measurement, Outcome
from node.errors import ResultVerificationFailed
from node.ports import EncodedObject, Run
from node.results.assessed import VerifiedReportWriter
from node.results.predecessors import documents_named
from node.results.reading import evidence, name_of, walk
from node.results.verify_groups import MEASUREMENT_GROUP
from node.results.writer import DicomResultWriter
from tests.conformance import validators
from tests.unit.results.runs import HIPPOCAMPUS, MAKER, MILLILITRE, VOLUME, header, positive, run_on, save

AT = datetime(2026, 5, 6, 7, 8, 9, tzinfo=UTC)
SR = "1.2.840.10008.5.1.4.1.1.88.34"
ACCEPTED = Assessment(
    5, 1, "1.2.3", "hippocampus_mr", "1.0.0", "Scanner works", Outcome.POSITIVE,
    Word(Decision.ACCEPT, "reader.one", AT), AssessmentState.PENDING,
)  # fmt: skip


def judged(**changes: object) -> Assessment:
    return replace(ACCEPTED, word=replace(ACCEPTED.word, **changes))  # type: ignore[arg-type]


def assessed(run: Run, objects: list[EncodedObject], *words: Assessment) -> list[EncodedObject]:
    reports = [one.part10 for one in objects if one.sop_class_uid == SR]
    findings = findings_to_plain(run.result.findings)
    before = words[1] if len(words) > 1 else None
    return list(VerifiedReportWriter(MAKER, UTC).assessed(reports, findings, words[0], before))


def read(one: EncodedObject) -> Dataset:
    return pydicom.dcmread(io.BytesIO(one.part10))


def texts(report: Dataset) -> list[str]:
    return [str(item.TextValue) for item in walk(report) if item.ValueType == "TEXT"]


@pytest.fixture
def run(tmp_path: Path) -> Run:
    return run_on(save([header(number, InstitutionName="A hospital") for number in range(5)], tmp_path))


@pytest.fixture
def objects(writer: DicomResultWriter, run: Run) -> list[EncodedObject]:
    return list(writer.write(run))


def both_kinds(run: Run) -> Run:
    """With a finding of each kind of group, each measured: three reports."""
    assert run.grid is not None
    region = Location(GraphicType.POLYGON, ((1, 1, 1), (1, 1, 4), (1, 4, 4)))
    point = Location(GraphicType.POINT, ((2, 3, 4),))
    told = positive(run.grid)
    more = tuple(
        Finding(HIPPOCAMPUS, (Measurement(VOLUME, value, MILLILITRE),), location=location)
        for value, location in ((3.5, point), (2.5, region), (4.5, point))
    )
    return replace(run, result=replace(told, findings=(more[0], *told.findings, *more[1:])))


def test_an_accepted_report_is_verified_names_its_predecessor_and_is_valid(
    run: Run, objects: list[EncodedObject], tmp_path: Path
) -> None:
    (written,) = assessed(run, objects, ACCEPTED)
    path = tmp_path / "assessed.dcm"
    path.write_bytes(written.part10)
    assert validators.dciodvfy(path) == []
    report, before = read(written), read(objects[-1])
    assert (report.CompletionFlag, report.PreliminaryFlag, report.VerificationFlag) == ("COMPLETE", "FINAL", "VERIFIED")
    (observer,) = report.VerifyingObserverSequence
    assert (str(observer.VerifyingObserverName), observer.VerifyingOrganization) == ("reader.one^", "A hospital")
    assert observer.VerificationDateTime == "20260506070809"
    assert [one.sop_instance_uid for one in documents_named(report)] == [str(before.SOPInstanceUID)]
    assert [one.sop_instance_uid for one in written.predecessors] == [str(before.SOPInstanceUID)]
    assert report.SeriesInstanceUID != before.SeriesInstanceUID
    assert report.SeriesDescription.endswith("- POSITIVE - accepted")
    assert str(report.PatientName) == "Doe^Jane"
    names = [str(item.PersonName) for item in walk(report) if item.ValueType == "PNAME"]
    assert names == ["reader.one^"]
    assert "AI result, accepted by reader.one" in texts(report)
    assert not any("not verified" in one for one in texts(report))
    assert {one.sop_instance_uid for one in evidence(report)} == {one.sop_instance_uid for one in evidence(before)}


def test_the_document_depends_on_the_word_alone(run: Run, objects: list[EncodedObject]) -> None:
    first = assessed(run, objects, ACCEPTED)
    assert first == assessed(run, objects, ACCEPTED)
    others = (judged(by="reader.two"), judged(at=AT + timedelta(seconds=1)), judged(reason="seen"))
    uids = {one.sop_instance_uid for word in (ACCEPTED, *others) for one in assessed(run, objects, word)}
    assert len(uids) == 4


def test_a_corrected_value_stands_in_place_of_the_algorithms(
    run: Run, objects: list[EncodedObject], tmp_path: Path
) -> None:
    word = judged(decision=Decision.CORRECT, values=(CorrectedValue(1, 0, 2.25),), reason="partial volume")
    (written,) = assessed(run, objects, word)
    path = tmp_path / "corrected.dcm"
    path.write_bytes(written.part10)
    assert validators.dciodvfy(path) == []
    report = read(written)
    groups = [item for item in walk(report) if name_of(item) == MEASUREMENT_GROUP]
    (number,) = [
        item for item in groups[1].ContentSequence if item.ValueType == "NUM" and name_of(item) == VOLUME.value
    ]
    assert float(number.MeasuredValueSequence[0].NumericValue) == 2.25
    assert "ContentSequence" not in number, "it is not the algorithm's number any more"
    other = next(item for item in groups[0].ContentSequence if name_of(item) == VOLUME.value)
    assert any(name_of(one) == "111001" for one in other.ContentSequence)
    assert any("2.25 mL, corrected from" in one for one in texts(report))
    assert "reader.one: partial volume" in texts(report)
    assert report.SeriesDescription.endswith("- POSITIVE - corrected")


def test_a_positive_result_that_is_none_has_no_findings(run: Run, objects: list[EncodedObject], tmp_path: Path) -> None:
    word = judged(decision=Decision.CORRECT, outcome=Outcome.NEGATIVE)
    (written,) = assessed(run, objects, word)
    path = tmp_path / "negative.dcm"
    path.write_bytes(written.part10)
    assert validators.dciodvfy(path) == []
    report = read(written)
    assert not [item for item in walk(report) if name_of(item) == MEASUREMENT_GROUP]
    (outcome,) = [item.ConceptCodeSequence[0].CodeValue for item in walk(report) if name_of(item) == "111017"]
    assert outcome == "111241"
    assert any(one.startswith("NEGATIVE: corrected by reader.one") for one in texts(report))
    assert report.SeriesDescription.endswith("- NEGATIVE - corrected")
    other = {str(item.ReferencedSOPInstanceUID) for item in report.PertinentOtherEvidenceSequence[0]
             .ReferencedSeriesSequence[0].ReferencedSOPSequence}  # fmt: skip
    assert other == {objects[0].sop_instance_uid}, "the SEG"


def test_a_second_word_follows_the_first(run: Run, objects: list[EncodedObject]) -> None:
    (first,) = assessed(run, objects, ACCEPTED)
    (second,) = assessed(run, objects, judged(at=AT + timedelta(hours=1), by="reader.two"), ACCEPTED)
    (named,) = second.predecessors
    assert (named.series_instance_uid, named.sop_instance_uid) == (first.series_instance_uid, first.sop_instance_uid)


def test_every_report_of_a_run_is_followed_and_they_refer_to_each_other(
    writer: DicomResultWriter, run: Run, tmp_path: Path
) -> None:
    run = both_kinds(run)
    objects = list(writer.write(run))
    before = [one for one in objects if one.sop_class_uid == SR]
    assert len(before) == 3
    word = judged(decision=Decision.CORRECT, values=(CorrectedValue(4, 0, 9.5), CorrectedValue(0, 0, 8.5)))
    written = assessed(run, objects, word)
    assert [one.predecessors[0].sop_instance_uid for one in written] == [one.sop_instance_uid for one in before]
    main = read(written[-1])
    referred = {one.sop_instance_uid for one in evidence(main)}
    assert referred >= {one.sop_instance_uid for one in written[:-1]}
    assert not referred & {one.sop_instance_uid for one in before}
    numbers = sorted(
        float(item.MeasuredValueSequence[0].NumericValue)
        for one in written
        for item in walk(read(one))
        if item.ValueType == "NUM" and name_of(item) == VOLUME.value and "ContentSequence" not in item
    )
    assert numbers == [8.5, 9.5]
    for number, one in enumerate(written):
        path = tmp_path / f"{number}.assessed.dcm"
        path.write_bytes(one.part10)
        assert validators.dciodvfy(path) == []


def test_what_is_not_in_the_report_is_not_corrected(run: Run, objects: list[EncodedObject]) -> None:
    none = replace(run, result=InferenceResult(Outcome.POSITIVE, run.result.findings[:1] * 3))
    with pytest.raises(ResultVerificationFailed, match="corrected"):
        assessed(none, objects, judged(decision=Decision.CORRECT, values=(CorrectedValue(2, 0, 1.0),)))
