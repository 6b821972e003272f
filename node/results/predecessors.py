"""Which reports a new one replaces, and how it says so (PS3.3 C.17.2, Predecessor Documents Sequence)."""

from __future__ import annotations

from collections.abc import Callable, Sequence

from pydicom.dataset import Dataset

from node.domain.result import DocumentRef, EarlierResult


def predecessors_of(
    earlier: Sequence[EarlierResult], uid_after: Callable[[Sequence[DocumentRef]], str]
) -> tuple[DocumentRef, ...]:
    """The reports of the latest earlier result; of a run that is repeated, those that it named the first time.

    ``earlier`` comes oldest first. ``uid_after`` is the SOP Instance UID of the report in the making as the successor
    of some reports: where an earlier result has a report of that UID, this run is that one once more and has to write
    the very same bytes, whatever was said since.
    """
    for before in earlier:
        if uid_after(before.predecessors) in {report.sop_instance_uid for report in before.reports}:
            return before.predecessors
    return earlier[-1].reports if earlier else ()


def predecessor_documents(documents: Sequence[DocumentRef]) -> list[Dataset]:
    """Hierarchical SOP Instance Reference Macro (PS3.3 Table C.17-3): studies, in them series, in them instances."""
    studies: dict[str, dict[str, list[DocumentRef]]] = {}
    for document in documents:
        series = studies.setdefault(document.study_instance_uid, {})
        series.setdefault(document.series_instance_uid, []).append(document)
    return [_study(uid, series) for uid, series in studies.items()]


def documents_named(dataset: Dataset) -> tuple[DocumentRef, ...]:
    """The predecessors that a written report names, in its order."""
    return tuple(
        DocumentRef(
            str(study.StudyInstanceUID), str(series.SeriesInstanceUID),
            str(item.ReferencedSOPClassUID), str(item.ReferencedSOPInstanceUID),
        )
        for study in dataset.get("PredecessorDocumentsSequence") or []
        for series in study.ReferencedSeriesSequence
        for item in series.ReferencedSOPSequence
    )  # fmt: skip


def _study(uid: str, series: dict[str, list[DocumentRef]]) -> Dataset:
    item = Dataset()
    item.StudyInstanceUID = uid
    item.ReferencedSeriesSequence = [_series(series_uid, documents) for series_uid, documents in series.items()]
    return item


def _series(uid: str, documents: Sequence[DocumentRef]) -> Dataset:
    item = Dataset()
    item.SeriesInstanceUID = uid
    item.ReferencedSOPSequence = [_instance(document) for document in documents]
    return item


def _instance(document: DocumentRef) -> Dataset:
    item = Dataset()
    item.ReferencedSOPClassUID = document.sop_class_uid
    item.ReferencedSOPInstanceUID = document.sop_instance_uid
    return item
