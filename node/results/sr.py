"""The SR: Comprehensive 3D SR documents after TID 1500 (PS3.16), for every outcome."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

from highdicom.sr import Comprehensive3DSR
from pydicom.dataset import Dataset

from node.domain.result import DocumentRef
from node.ports import EncodedObject
from node.results.companions import companions, evidence_of
from node.results.context import ResultContext
from node.results.header import anonymous_reference, finish
from node.results.predecessors import predecessor_documents
from node.results.reports import Report, reports_of
from node.results.source import copy_element
from node.results.sr_document import content


class ReportEncoder:
    """The main report; there is one for every outcome, for the absence of a result must not look like a negative.

    It is the root from which every other object of the run is reachable.
    """

    def encode(self, run: ResultContext) -> tuple[EncodedObject, ...]:
        main = reports_of(run)[0]
        evidence = [*_images(run), *(evidence_of(run, companion) for companion in companions(run))]
        return (replace(_encode(run, main, evidence, run.predecessors), predecessors=run.predecessors),)


class FurtherReportEncoder:
    """Reports on the findings whose groups are of another kind than those of the main report, one for each kind."""

    def encode(self, run: ResultContext) -> tuple[EncodedObject, ...]:
        return tuple(_encode(run, report, _images(run)) for report in reports_of(run)[1:])


def _images(run: ResultContext) -> list[Dataset]:
    return [anonymous_reference(header) for header in run.headers]


def _encode(
    run: ResultContext, report: Report, evidence: list[Dataset], predecessors: Sequence[DocumentRef] = ()
) -> EncodedObject:
    dataset = Comprehensive3DSR(
        evidence=evidence,
        content=content(run, report),
        series_instance_uid=run.series_uid(report.series_kind),
        series_number=run.series_number(report.series_kind),
        sop_instance_uid=report.sop_instance_uid,
        instance_number=report.instance_number,
        manufacturer=run.maker.manufacturer,
        is_complete=True,
        is_final=False,
        is_verified=False,
    )
    requests = _referenced_requests(run)
    if requests:
        dataset.ReferencedRequestSequence = requests
    if predecessors:
        dataset.PredecessorDocumentsSequence = predecessor_documents(predecessors)
    return finish(dataset, run)


def _referenced_requests(run: ResultContext) -> list[Dataset]:
    """Referenced Request Sequence (PS3.3 C.17.2) of what the source's Request Attributes Sequence names."""
    return [_request(run, attributes) for attributes in run.first.get("RequestAttributesSequence") or []]


def _request(run: ResultContext, attributes: Dataset) -> Dataset:
    item = Dataset()
    item.StudyInstanceUID = run.first.StudyInstanceUID
    for keyword in (
        "AccessionNumber", "PlacerOrderNumberImagingServiceRequest", "FillerOrderNumberImagingServiceRequest",
        "RequestedProcedureID", "RequestedProcedureDescription",
    ):  # fmt: skip
        setattr(item, keyword, attributes.get(keyword) or None)
    if not item.AccessionNumber and "AccessionNumber" in run.first:
        copy_element(run.first, "AccessionNumber", into=item)
    item.ReferencedStudySequence = list(attributes.get("ReferencedStudySequence") or [])
    item.RequestedProcedureCodeSequence = list(attributes.get("RequestedProcedureCodeSequence") or [])
    return item
