"""Measurement groups: one for each finding, after TID 1411, 1410 or 1501 (PS3.16)."""

from __future__ import annotations

from collections.abc import Iterator

from highdicom.sr import CodedConcept as DicomConcept
from highdicom.sr import (
    ContainerContentItem,
    ContentItem,
    ContentSequence,
    FindingSite,
    ImageContentItem,
    Measurement,
    MeasurementsAndQualitativeEvaluations,
    PlanarROIMeasurementsAndQualitativeEvaluations,
    QualitativeEvaluation,
    ReferencedSegment,
    RelationshipTypeValues,
    SourceImageForMeasurementGroup,
    SourceSeriesForSegmentation,
    TrackingIdentifier,
    VolumetricROIMeasurementsAndQualitativeEvaluations,
)
from pydicom.sr.codedict import codes

from node.domain.result import Finding
from node.domain.study import SopRef
from node.results.algorithm import algorithm_identification
from node.results.concepts import ABSENT, ILLUSTRATION, PERCENT, PRESENCE, PRESENT, dicom
from node.results.context import ResultContext
from node.results.reports import REGION_GROUP, SEGMENT_GROUP, Report
from node.results.sr_locations import region, source_of_measurement


def groups(run: ResultContext, report: Report) -> Iterator[ContainerContentItem]:
    """The groups of one report, in the order of its findings."""
    for index in report.findings:
        finding = run.run.result.findings[index]
        if report.template == SEGMENT_GROUP:
            yield _segment_group(run, index, finding)
        elif report.template == REGION_GROUP:
            yield _region_group(run, index, finding)
        else:
            yield _other_group(run, index, finding)


def _segment_group(run: ResultContext, index: int, finding: Finding) -> ContainerContentItem:
    """TID 1411: measurements of a volume that a segment delineates."""
    segment = run.segment_of(finding)
    assert segment is not None
    made = VolumetricROIMeasurementsAndQualitativeEvaluations(
        tracking_identifier=_tracking(run, index, finding),
        referenced_segment=ReferencedSegment(
            sop_class_uid=run.segmentation_class,
            sop_instance_uid=run.sop_instance_uid("SEG"),
            segment_number=segment,
            source_series=SourceSeriesForSegmentation(str(run.first.SeriesInstanceUID)),
        ),
        finding_type=dicom(finding.concept),
        finding_sites=_sites(finding),
        algorithm_id=None if _measured(finding) else algorithm_identification(run.run.model),
        measurements=_measurements(run, finding),
        qualitative_evaluations=_evaluations(finding),
    )
    return _with(made, *_location(run, finding), *_illustration(finding))


def _region_group(run: ResultContext, index: int, finding: Finding) -> ContainerContentItem:
    """TID 1410: measurements of a region in one plane, which a polygon delineates."""
    assert finding.location is not None
    made = PlanarROIMeasurementsAndQualitativeEvaluations(
        tracking_identifier=_tracking(run, index, finding),
        referenced_region=region(run, finding, finding.location),
        finding_type=dicom(finding.concept),
        finding_sites=_sites(finding),
        algorithm_id=None if _measured(finding) else algorithm_identification(run.run.model),
        measurements=_measurements(run, finding),
        qualitative_evaluations=_evaluations(finding),
    )
    return _with(made, *_illustration(finding))


def _other_group(run: ResultContext, index: int, finding: Finding) -> ContainerContentItem:
    """TID 1501: a finding about a place, about one image, or about the images as a whole."""
    made = MeasurementsAndQualitativeEvaluations(
        tracking_identifier=_tracking(run, index, finding),
        finding_type=dicom(finding.concept),
        finding_sites=_sites(finding),
        algorithm_id=None if _measured(finding) else algorithm_identification(run.run.model),
        measurements=_measurements(run, finding),
        qualitative_evaluations=_evaluations(finding),
        source_images=[
            SourceImageForMeasurementGroup(image.sop_class_uid, image.sop_instance_uid, _frames(image))
            for image in _images(finding)
        ],
    )
    return _with(made, *_location(run, finding))


def _with(made: ContentSequence, *items: ContentItem) -> ContainerContentItem:
    """The group that highdicom made, with what it has no parameters for."""
    (group,) = made
    assert isinstance(group, ContainerContentItem)
    for item in items:
        group.ContentSequence.append(item)
    return group


def _location(run: ResultContext, finding: Finding) -> Iterator[ContentItem]:
    if finding.location is not None:
        yield source_of_measurement(run, finding, finding.location)


def _illustration(finding: Finding) -> Iterator[ContentItem]:
    """The image that shows a region (TID 1410 row 9, TID 1411 row 13)."""
    for image in _images(finding):
        yield ImageContentItem(
            ILLUSTRATION,
            image.sop_class_uid,
            image.sop_instance_uid,
            referenced_frame_numbers=_frames(image),
            relationship_type=RelationshipTypeValues.CONTAINS,
        )


def _images(finding: Finding) -> tuple[SopRef, ...]:
    """None where the finding is about all of them, which are the evidence of the document."""
    return () if finding.image is None else (finding.image,)


def _frames(image: SopRef) -> list[int] | None:
    return None if image.frame is None else [image.frame]


def _evaluations(finding: Finding) -> list[QualitativeEvaluation]:
    """Whether the finding is there (said of every single image, and of what was looked for in vain); its qualities."""
    presence = QualitativeEvaluation(name=PRESENCE, value=PRESENT if finding.present else ABSENT)
    qualities = [QualitativeEvaluation(dicom(one.concept), dicom(one.value)) for one in finding.qualities]
    return [presence, *qualities] if finding.image is not None or not finding.present else qualities


def _tracking(run: ResultContext, index: int, finding: Finding) -> TrackingIdentifier:
    """The same as in the SEG, for a finding with a segment."""
    return TrackingIdentifier(uid=run.tracking_uid(index), identifier=run.tracking_id(finding))


def _measured(finding: Finding) -> bool:
    return bool(finding.measurements) or finding.probability is not None


def _measurements(run: ResultContext, finding: Finding) -> list[Measurement]:
    measurements = [
        Measurement(
            name=dicom(measurement.concept),
            value=measurement.value,
            unit=dicom(measurement.unit),
            algorithm_id=algorithm_identification(run.run.model),
        )
        for measurement in finding.measurements
    ]
    if finding.probability is not None:
        measurements.append(
            Measurement(
                name=DicomConcept.from_code(codes.DCM.CertaintyOfFinding),
                value=certainty_percent(finding.probability),
                unit=PERCENT,
                algorithm_id=algorithm_identification(run.run.model),
            )
        )
    return measurements


def certainty_percent(probability: float) -> float:
    """A probability of 0..1 in percent, without digits that only binary fractions have."""
    return round(100.0 * probability, 6)


def _sites(finding: Finding) -> list[FindingSite] | None:
    return [FindingSite(dicom(finding.site))] if finding.site else None
