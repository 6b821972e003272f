"""The SR: a Comprehensive 3D SR document after TID 1500 (PS3.16), for every outcome."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, replace

from highdicom.sr import (
    AlgorithmIdentification,
    CodeContentItem,
    CompositeContentItem,
    Comprehensive3DSR,
    ContainerContentItem,
    ContentItem,
    ContentSequence,
    DeviceObserverIdentifyingAttributes,
    FindingSite,
    LanguageOfContentItemAndDescendants,
    Measurement,
    MeasurementsAndQualitativeEvaluations,
    ObservationContext,
    ObserverContext,
    QualitativeEvaluation,
    ReferencedSegment,
    RelationshipTypeValues,
    SourceImageForMeasurementGroup,
    SourceSeriesForSegmentation,
    TextContentItem,
    TrackingIdentifier,
    VolumetricROIMeasurementsAndQualitativeEvaluations,
)
from highdicom.sr import CodedConcept as DicomConcept
from pydicom.dataset import Dataset
from pydicom.sr.codedict import codes
from pydicom.sr.coding import Code
from pydicom.uid import Comprehensive3DSRStorage, SegmentationStorage

from node.domain.result import DocumentRef, Finding, Outcome
from node.ports import EncodedObject
from node.results.concepts import (
    ABSENT,
    FURTHER_FINDINGS,
    LANGUAGE,
    PERCENT,
    PRESENCE,
    PRESENT,
    QUALITATIVE_EVALUATIONS,
    SUMMARY_OF_A_PART,
    SUMMARY_OF_OUTCOME,
    dicom,
    procedure_reported,
)
from node.results.context import ResultContext
from node.results.header import anonymous_reference, finish
from node.results.predecessors import predecessor_documents
from node.results.source import copy_element

UNVERIFIED_NOTICE = "AI result, not verified; not for diagnostic use"
REPLACEMENT_NOTICE = "replaces an earlier AI result on this series"
DEMONSTRATION_NOTICE = "demonstration only"
_CONTAINS = RelationshipTypeValues.CONTAINS


class ReportEncoder:
    """The main report; there is one for every outcome, for the absence of a result must not look like a negative."""

    def encode(self, run: ResultContext) -> EncodedObject:
        report = _Report(run.sop_instance_uid("SR"), 1, run.main_findings)
        evidence = [anonymous_reference(header) for header in run.headers]
        if run.has_segmentation:
            evidence.append(
                _own_reference(run, SegmentationStorage, run.series_uid("SEG"), run.sop_instance_uid("SEG"))
            )
        if run.further_findings:
            evidence.append(_own_reference(run, Comprehensive3DSRStorage, run.series_uid("SR"), run.further_report_uid))
        return replace(_encode(run, report, evidence, run.predecessors), predecessors=run.predecessors)


class FurtherReportEncoder:
    """A second report on the findings without a segment, where others have one; the main report refers to it."""

    def encode(self, run: ResultContext) -> EncodedObject | None:
        if not run.further_findings:
            return None
        report = _Report(run.further_report_uid, 2, run.further_findings)
        return _encode(run, report, [anonymous_reference(header) for header in run.headers])


@dataclass(frozen=True, slots=True)
class _Report:
    """One document: which findings (by index) it holds."""

    sop_instance_uid: str
    instance_number: int
    findings: tuple[int, ...]


def _encode(
    run: ResultContext, report: _Report, evidence: list[Dataset], predecessors: Sequence[DocumentRef] = ()
) -> EncodedObject:
    dataset = Comprehensive3DSR(
        evidence=evidence,
        content=_content(run, report),
        series_instance_uid=run.series_uid("SR"),
        series_number=run.series_number("SR"),
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


def _own_reference(run: ResultContext, sop_class_uid: str, series_uid: str, sop_instance_uid: str) -> Dataset:
    """An object of this run, as evidence."""
    reference = anonymous_reference(run.first)
    reference.SOPClassUID = sop_class_uid
    reference.SeriesInstanceUID = series_uid
    reference.SOPInstanceUID = sop_instance_uid
    return reference


def _content(run: ResultContext, report: _Report) -> Dataset:
    """TID 1500 rows 1 to 14."""
    root = ContainerContentItem(name=codes.DCM.ImagingMeasurementReport, template_id="1500")
    content = ContentSequence()
    content.extend(LanguageOfContentItemAndDescendants(LANGUAGE))
    content.extend(ObservationContext(observer_device_context=_observer(run)))
    content.append(
        CodeContentItem(
            codes.DCM.ProcedureReported, procedure_reported(run.modality), RelationshipTypeValues.HAS_CONCEPT_MOD
        )
    )
    if report.findings:
        content.append(_container(codes.DCM.ImagingMeasurements, _groups(run, report)))
    content.append(_container(QUALITATIVE_EVALUATIONS, _evaluations(run, report)))
    root.ContentSequence = content
    return root


def _container(name: DicomConcept | Code, items: Iterable[ContentItem]) -> ContainerContentItem:
    container = ContainerContentItem(name=name, relationship_type=_CONTAINS)
    container.ContentSequence = ContentSequence(list(items))
    return container


def _observer(run: ResultContext) -> ObserverContext:
    """TID 1004: the device that observed is the algorithm, with a UID of its weights."""
    algorithm = run.run.model.algorithm
    return ObserverContext(
        observer_type=DicomConcept.from_code(codes.DCM.Device),
        observer_identifying_attributes=DeviceObserverIdentifyingAttributes(
            uid=run.algorithm_device_uid,
            name=algorithm.name,
            manufacturer_name=algorithm.manufacturer,
            model_name=run.run.model.id,
            serial_number=algorithm.weights_sha256,
        ),
    )


def _evaluations(run: ResultContext, report: _Report) -> Iterator[ContentItem]:
    """TID 1500 rows 13 and 14: the outcome, the reason, how far to trust it, and where the rest is."""
    result = run.run.result
    partly = result.outcome is Outcome.POSITIVE and result.reason is not None
    outcome = SUMMARY_OF_A_PART if partly else SUMMARY_OF_OUTCOME[result.outcome]
    yield CodeContentItem(codes.DCM.CADProcessingAndFindingsSummary, outcome, _CONTAINS)
    summary = str(result.outcome)
    if result.reason is not None:
        summary = f"{summary}: {result.reason.text} ({result.reason.code})"
    yield TextContentItem(codes.DCM.Summary, summary, _CONTAINS)
    yield TextContentItem(codes.DCM.Comment, UNVERIFIED_NOTICE, _CONTAINS)
    if run.predecessors and report.findings == run.main_findings:
        yield TextContentItem(codes.DCM.Comment, REPLACEMENT_NOTICE, _CONTAINS)
    if run.run.model.demonstration:
        yield TextContentItem(codes.DCM.Comment, DEMONSTRATION_NOTICE, _CONTAINS)
    if run.further_findings and report.findings == run.main_findings:
        yield CompositeContentItem(
            FURTHER_FINDINGS, Comprehensive3DSRStorage, run.further_report_uid, relationship_type=_CONTAINS
        )


def _groups(run: ResultContext, report: _Report) -> Iterator[ContentItem]:
    for index in report.findings:
        finding = run.run.result.findings[index]
        segment = run.segment_of(finding)
        if segment is None:
            yield from _image_group(run, index, finding)
        else:
            yield from _volume_group(run, index, finding, segment)


def _volume_group(run: ResultContext, index: int, finding: Finding, segment: int) -> Iterator[ContentItem]:
    """TID 1411: measurements of a volume that a segment delineates."""
    measurements = _measurements(run, finding)
    yield from VolumetricROIMeasurementsAndQualitativeEvaluations(
        tracking_identifier=_tracking(run, index, finding),
        referenced_segment=ReferencedSegment(
            sop_class_uid=SegmentationStorage,
            sop_instance_uid=run.sop_instance_uid("SEG"),
            segment_number=segment,
            source_series=SourceSeriesForSegmentation(str(run.first.SeriesInstanceUID)),
        ),
        finding_type=dicom(finding.concept),
        finding_sites=_sites(finding),
        algorithm_id=None if measurements else _algorithm(run),
        measurements=measurements,
    )


def _image_group(run: ResultContext, index: int, finding: Finding) -> Iterator[ContentItem]:
    """TID 1501: a finding about one image, or about the images as a whole."""
    measurements = _measurements(run, finding)
    yield from MeasurementsAndQualitativeEvaluations(
        tracking_identifier=_tracking(run, index, finding),
        finding_type=dicom(finding.concept),
        finding_sites=_sites(finding),
        algorithm_id=None if measurements else _algorithm(run),
        measurements=measurements,
        qualitative_evaluations=_presence(finding),
        source_images=[
            SourceImageForMeasurementGroup(
                image.sop_class_uid, image.sop_instance_uid, None if image.frame is None else [image.frame]
            )
            for image in run.images_of(finding)
        ],
    )


def _presence(finding: Finding) -> list[QualitativeEvaluation] | None:
    """Whether the finding is there: said of every single image, and of whatever was looked for in vain."""
    if finding.image is None and finding.present:
        return None
    return [QualitativeEvaluation(name=PRESENCE, value=PRESENT if finding.present else ABSENT)]


def _tracking(run: ResultContext, index: int, finding: Finding) -> TrackingIdentifier:
    """The identifier that the SEG gives the segment, and the same UID."""
    segment = run.segment_of(finding)
    identifier = finding.concept.meaning if segment is None else run.segments[segment - 1].label
    return TrackingIdentifier(uid=run.tracking_uid(index), identifier=identifier)


def _measurements(run: ResultContext, finding: Finding) -> list[Measurement]:
    measurements = [
        Measurement(
            name=dicom(measurement.concept),
            value=measurement.value,
            unit=dicom(measurement.unit),
            algorithm_id=_algorithm(run),
        )
        for measurement in finding.measurements
    ]
    if finding.probability is not None:
        measurements.append(
            Measurement(
                name=DicomConcept.from_code(codes.DCM.CertaintyOfFinding),
                value=certainty_percent(finding.probability),
                unit=PERCENT,
                algorithm_id=_algorithm(run),
            )
        )
    return measurements


def certainty_percent(probability: float) -> float:
    """A probability of 0..1 in percent, without digits that only binary fractions have."""
    return round(100.0 * probability, 6)


def _sites(finding: Finding) -> list[FindingSite] | None:
    return [FindingSite(dicom(finding.site))] if finding.site else None


def _algorithm(run: ResultContext) -> AlgorithmIdentification:
    """TID 4019."""
    algorithm = run.run.model.algorithm
    return AlgorithmIdentification(
        name=algorithm.name,
        version=algorithm.version,
        parameters=[f"weights_sha256={algorithm.weights_sha256}"],
        family=dicom(algorithm.family),
        manufacturer=algorithm.manufacturer,
    )


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
