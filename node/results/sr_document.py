"""The content tree of a report: TID 1500 (PS3.16)."""

from __future__ import annotations

from collections.abc import Iterable, Iterator

from highdicom.sr import (
    CodeContentItem,
    ContainerContentItem,
    ContentItem,
    ContentSequence,
    DeviceObserverIdentifyingAttributes,
    LanguageOfContentItemAndDescendants,
    ObservationContext,
    ObserverContext,
    RelationshipTypeValues,
    TextContentItem,
)
from highdicom.sr import CodedConcept as DicomConcept
from pydicom.dataset import Dataset
from pydicom.sr.codedict import codes
from pydicom.sr.coding import Code

from node.domain.result import Outcome
from node.results.companions import companions, reference_to
from node.results.concepts import (
    LANGUAGE,
    QUALITATIVE_EVALUATIONS,
    SUMMARY_OF_A_PART,
    SUMMARY_OF_OUTCOME,
    procedure_reported,
)
from node.results.context import ResultContext
from node.results.reports import Report
from node.results.sr_groups import groups

UNVERIFIED_NOTICE = "AI result, not verified; not for diagnostic use"
REPLACEMENT_NOTICE = "replaces an earlier AI result on this series"
DEMONSTRATION_NOTICE = "demonstration only"
_CONTAINS = RelationshipTypeValues.CONTAINS


def content(run: ResultContext, report: Report) -> Dataset:
    """TID 1500 rows 1 to 14."""
    root = ContainerContentItem(name=codes.DCM.ImagingMeasurementReport, template_id="1500")
    items = ContentSequence()
    items.extend(LanguageOfContentItemAndDescendants(LANGUAGE))
    items.extend(ObservationContext(observer_device_context=_observer(run)))
    items.append(
        CodeContentItem(
            codes.DCM.ProcedureReported, procedure_reported(run.modality), RelationshipTypeValues.HAS_CONCEPT_MOD
        )
    )
    if report.findings:
        items.append(_container(codes.DCM.ImagingMeasurements, groups(run, report)))
    items.append(_container(QUALITATIVE_EVALUATIONS, _evaluations(run, report)))
    root.ContentSequence = items
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


def _evaluations(run: ResultContext, report: Report) -> Iterator[ContentItem]:
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
    if run.predecessors and report.is_root:
        yield TextContentItem(codes.DCM.Comment, REPLACEMENT_NOTICE, _CONTAINS)
    if run.run.model.demonstration:
        yield TextContentItem(codes.DCM.Comment, DEMONSTRATION_NOTICE, _CONTAINS)
    if report.is_root:
        yield from (reference_to(companion) for companion in companions(run) if not companion.in_groups)
