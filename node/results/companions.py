"""The other objects of a run, as its main report refers to them: from there every object can be found."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

from highdicom.sr import CompositeContentItem, ContentItem, ImageContentItem, RelationshipTypeValues
from pydicom.dataset import Dataset
from pydicom.uid import Comprehensive3DSRStorage, KeyObjectSelectionDocumentStorage, ParametricMapStorage

from node.results.concepts import FURTHER_FINDINGS
from node.results.context import ResultContext
from node.results.header import anonymous_reference
from node.results.reports import SEGMENT_GROUP, reports_of


@dataclass(frozen=True, slots=True)
class Companion:
    """``is_image``: whether it has pixels; ``in_groups``: measurement groups refer to it, nothing else needs to."""

    sop_class_uid: str
    series_instance_uid: str
    sop_instance_uid: str
    is_image: bool = False
    in_groups: bool = False


def companions(run: ResultContext) -> Iterator[Companion]:
    """Every object of the run beside its main report. An encoder of another kind of object adds a line here."""
    main, *further = reports_of(run)
    if run.has_segmentation:
        yield Companion(
            run.segmentation_class,
            run.series_uid("SEG"),
            run.sop_instance_uid("SEG"),
            is_image=True,
            in_groups=main.template == SEGMENT_GROUP,
        )
    for number in range(1, len(run.run.result.parametric_maps) + 1):
        yield Companion(ParametricMapStorage, run.series_uid("PM"), run.parametric_map_uid(number), is_image=True)
    for report in further:
        yield Companion(Comprehensive3DSRStorage, run.series_uid(report.series_kind), report.sop_instance_uid)
    if run.has_key_objects:
        yield Companion(KeyObjectSelectionDocumentStorage, run.series_uid("KO"), run.key_objects_uid)


def evidence_of(run: ResultContext, companion: Companion) -> Dataset:
    """The object as highdicom wants to be told of it."""
    reference = anonymous_reference(run.first)
    reference.SOPClassUID = companion.sop_class_uid
    reference.SeriesInstanceUID = companion.series_instance_uid
    reference.SOPInstanceUID = companion.sop_instance_uid
    return reference


def reference_to(companion: Companion) -> ContentItem:
    """What was found stands there, too."""
    kind = ImageContentItem if companion.is_image else CompositeContentItem
    return kind(
        FURTHER_FINDINGS,
        companion.sop_class_uid,
        companion.sop_instance_uid,
        relationship_type=RelationshipTypeValues.CONTAINS,
    )
