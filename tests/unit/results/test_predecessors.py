"""A report names the one that it replaces, and a repeated run the one that it named before."""

from __future__ import annotations

import io
from collections.abc import Callable, Sequence
from dataclasses import replace
from datetime import UTC
from pathlib import Path

import pydicom
import pytest
from pydicom.dataset import Dataset

from node.domain.result import DocumentRef, EarlierResult, Finding, InferenceResult, Outcome
from node.errors import ResultVerificationFailed
from node.ports import EncodedObject, Run
from node.results.context import ResultContext
from node.results.predecessors import documents_named, predecessor_documents, predecessors_of
from node.results.source import read_headers
from node.results.sr_document import REPLACEMENT_NOTICE
from node.results.verify import verify
from node.results.writer import ENCODERS, DicomResultWriter
from tests.unit.results.runs import HIPPOCAMPUS, MAKER, MODEL, not_evaluable, run_on
from tests.unit.results.test_verify import spoil
from tests.unit.results.test_writer import texts

SR_CLASS = "1.2.840.10008.5.1.4.1.1.88.34"


def ref(uid: str, series: str = "1.9") -> DocumentRef:
    return DocumentRef("1.2.3", series, SR_CLASS, uid)


def said(written: Sequence[EncodedObject]) -> EarlierResult:
    """What the record keeps of a run's objects, the main report first."""
    reports = [one for one in reversed(written) if one.modality == "SR"]
    refs = (DocumentRef("1.2.3", one.series_instance_uid, one.sop_class_uid, one.sop_instance_uid) for one in reports)
    return EarlierResult(tuple(refs), reports[0].predecessors)


def report_of(written: Sequence[EncodedObject]) -> Dataset:
    return pydicom.dcmread(io.BytesIO(written[-1].part10))


def revision(run: Run, number: int) -> Run:
    return replace(run, job=replace(run.job, revision=number))


def after(run: Run, *before: Sequence[EncodedObject]) -> Run:
    return replace(run, earlier=tuple(said(written) for written in before))


def bytes_of(written: Sequence[EncodedObject]) -> list[bytes]:
    return [one.part10 for one in written]


# ---------------------------------------------------------------- the choice


def test_nothing_was_said_before() -> None:
    assert predecessors_of([], lambda documents: "1") == ()


def test_the_latest_is_replaced() -> None:
    before = [EarlierResult((ref("1"),)), EarlierResult((ref("2"), ref("3")), (ref("1"),))]
    assert predecessors_of(before, lambda documents: "new") == (ref("2"), ref("3"))


def test_a_repeated_run_names_what_it_named_whatever_was_said_since() -> None:
    before = [EarlierResult((ref("1"),)), EarlierResult((ref("2"),), (ref("1"),)), EarlierResult((ref("3"),))]
    uids = {(): "other", (ref("1"),): "2"}
    assert predecessors_of(before, lambda documents: uids[tuple(documents)]) == (ref("1"),)


# ---------------------------------------------------------------- the documents


def test_a_new_revision_names_the_report_of_the_old_one(series: list[Path], writer: DicomResultWriter) -> None:
    run = run_on(series)
    first = writer.write(run)
    second = writer.write(after(revision(run, 1), first))
    report = report_of(second)
    (study,) = report.PredecessorDocumentsSequence
    (in_series,) = study.ReferencedSeriesSequence
    (document,) = in_series.ReferencedSOPSequence
    old = report_of(first)
    assert study.StudyInstanceUID == old.StudyInstanceUID
    assert in_series.SeriesInstanceUID == old.SeriesInstanceUID
    assert (document.ReferencedSOPClassUID, document.ReferencedSOPInstanceUID) == (old.SOPClassUID, old.SOPInstanceUID)
    assert document.ReferencedSOPInstanceUID != report.SOPInstanceUID
    assert REPLACEMENT_NOTICE in texts(report)
    assert "PredecessorDocumentsSequence" not in old
    assert REPLACEMENT_NOTICE not in texts(old)
    assert [len(one.predecessors) for one in second] == [0, 1]


def test_a_repeat_writes_the_very_same_bytes_although_its_own_result_is_known(
    series: list[Path], writer: DicomResultWriter
) -> None:
    run = run_on(series)
    first = writer.write(run)
    assert bytes_of(writer.write(after(run, first))) == bytes_of(first)
    second = writer.write(after(revision(run, 1), first))
    assert bytes_of(writer.write(after(revision(run, 1), first, second))) == bytes_of(second)
    assert bytes_of(writer.write(after(revision(run, 1), first, second, second))) == bytes_of(second)
    third = writer.write(after(revision(run, 2), first, second, second))
    assert documents_named(report_of(third)) == said(second).reports


def test_another_version_and_the_way_back(series: list[Path], writer: DicomResultWriter) -> None:
    run = run_on(series)
    first = writer.write(run)
    other = replace(run, model=replace(MODEL, version="2.0.0"))
    second = writer.write(after(other, first))
    assert documents_named(report_of(second)) == said(first).reports
    assert bytes_of(writer.write(after(run, first, second))) == bytes_of(first)
    assert bytes_of(writer.write(after(other, first, second, first))) == bytes_of(second)


def test_another_outcome_of_the_same_run_replaces_the_first(series: list[Path], writer: DicomResultWriter) -> None:
    first = writer.write(replace(run_on(series), result=not_evaluable(), grid=None))
    second = writer.write(after(run_on(series), first))
    assert documents_named(report_of(second)) == said(first).reports


def test_who_is_named_belongs_to_the_uid(series: list[Path], writer: DicomResultWriter) -> None:
    """A row that was pruned leaves another report, never other bytes under the same UID."""
    run = revision(run_on(series), 1)
    alone, successor = writer.write(run), writer.write(replace(run, earlier=(EarlierResult((ref("1.2.9"),)),)))
    assert alone[0].part10 == successor[0].part10, "the SEG is the same"
    assert alone[-1].sop_instance_uid != successor[-1].sop_instance_uid


def test_every_report_of_the_predecessor_is_named_by_the_main_one(
    series: list[Path], writer: DicomResultWriter
) -> None:
    run = run_on(series)
    mixture = replace(
        run, result=replace(run.result, findings=(*run.result.findings, Finding(HIPPOCAMPUS, probability=0.5)))
    )
    first = writer.write(mixture)
    assert len(said(first).reports) == 2
    second = writer.write(after(revision(mixture, 1), first))
    assert documents_named(report_of(second)) == said(first).reports
    further = pydicom.dcmread(io.BytesIO(second[-2].part10))
    assert (further.Modality, further.InstanceNumber) == ("SR", 2)
    assert "PredecessorDocumentsSequence" not in further
    assert REPLACEMENT_NOTICE not in texts(further)


def test_a_negative_result_names_its_predecessor_too(series: list[Path], writer: DicomResultWriter) -> None:
    first = writer.write(run_on(series))
    (report,) = writer.write(after(revision(run_on(series, InferenceResult(Outcome.NEGATIVE)), 1), first))
    assert documents_named(report_of([report])) == said(first).reports


def test_the_macro_groups_by_study_and_series() -> None:
    dataset = Dataset()
    documents = (ref("1"), ref("2"), ref("3", series="1.8"), replace(ref("4"), study_instance_uid="7.7"))
    dataset.PredecessorDocumentsSequence = predecessor_documents(documents)
    assert [len(study.ReferencedSeriesSequence) for study in dataset.PredecessorDocumentsSequence] == [2, 1]
    assert documents_named(dataset) == documents


# ---------------------------------------------------------------- re-reading


def forget(report: Dataset) -> None:
    del report.PredecessorDocumentsSequence


def name_another(report: Dataset) -> None:
    item = report.PredecessorDocumentsSequence[0].ReferencedSeriesSequence[0].ReferencedSOPSequence[0]
    item.ReferencedSOPInstanceUID = report.SOPInstanceUID


@pytest.mark.parametrize("change", [forget, name_another])
def test_a_report_without_its_predecessor_does_not_leave(
    change: Callable[[Dataset], None], series: list[Path], writer: DicomResultWriter
) -> None:
    run = after(revision(run_on(series), 1), writer.write(run_on(series)))
    context = ResultContext(run, read_headers(run.sources, run.locations), MAKER, UTC)
    objects = [written for encoder in ENCODERS for written in encoder.encode(context)]
    verify(context, objects)
    with pytest.raises(ResultVerificationFailed) as caught:
        verify(context, spoil(objects, "SR", change))
    assert caught.value.details["check"] == "predecessors"
    with pytest.raises(ResultVerificationFailed, match="predecessors as told"):
        verify(context, [replace(one, predecessors=()) for one in objects])
