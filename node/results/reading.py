"""What is read back from the content tree of a written report (PS3.3 C.17.3)."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import pydicom
from pydicom.dataelem import DataElement
from pydicom.dataset import Dataset

from node.domain.result import CodedConcept
from node.domain.study import SopRef

# Words of the source about patient and study (PS3.3 C.7.1.1 and C.7.2.1): they refer to no image of ours.
_OF_THE_STUDY = frozenset({"ReferencedStudySequence", "ReferencedPatientSequence"})


@dataclass(frozen=True, slots=True)
class Reference:
    sop_class_uid: str
    sop_instance_uid: str
    segments: tuple[int, ...]


def walk(item: Dataset) -> Iterator[Dataset]:
    """Content items in the order of the document."""
    for child in item.get("ContentSequence") or []:
        yield child
        yield from walk(child)


def named(item: Dataset, name: str) -> list[Dataset]:
    """The content items right below ``item`` whose concept name has this code value."""
    return [child for child in item.get("ContentSequence") or [] if name_of(child) == name]


def name_of(item: Dataset) -> str:
    names = item.get("ConceptNameCodeSequence") or []
    return code(names[0])[0] if names else ""


def code(item: Dataset) -> tuple[str, str]:
    return str(item.get("CodeValue") or item.get("LongCodeValue") or ""), str(item.CodingSchemeDesignator)


def value_code(item: Dataset) -> tuple[str, str]:
    """Of a CODE item."""
    return code(item.ConceptCodeSequence[0])


def coded(concept: CodedConcept) -> tuple[str, str]:
    return concept.value, concept.scheme


def evidence(dataset: Dataset) -> Iterator[Reference]:
    for study in dataset.get("CurrentRequestedProcedureEvidenceSequence") or []:
        for series in study.ReferencedSeriesSequence:
            for item in series.ReferencedSOPSequence:
                yield Reference(str(item.ReferencedSOPClassUID), str(item.ReferencedSOPInstanceUID), ())


def references_of_content(dataset: Dataset) -> Iterator[Reference]:
    for item in walk(dataset):
        for reference in item.get("ReferencedSOPSequence") or []:
            yield _reference(reference)


def references(dataset: Dataset) -> Iterator[Reference]:
    """Every reference to a SOP Instance, at any depth, but for what is copied from the source as it is."""
    if "ReferencedSOPInstanceUID" in dataset:
        yield _reference(dataset)
    for element in sequences(dataset):
        if element.keyword not in _OF_THE_STUDY:
            for item in element.value:
                yield from references(item)


def sequences(dataset: Dataset) -> Iterator[DataElement]:
    """The elements that are sequences; the others are not decoded for it."""
    for element in dataset.elements():
        if element.VR == "SQ":
            yield dataset[element.tag]


def images(item: Dataset) -> Iterator[SopRef]:
    """Of an IMAGE item."""
    for reference in item.ReferencedSOPSequence:
        frame = reference.get("ReferencedFrameNumber")
        yield SopRef(
            str(reference.ReferencedSOPClassUID),
            str(reference.ReferencedSOPInstanceUID),
            None if frame is None else int(frame),
        )


def _reference(item: Dataset) -> Reference:
    segments = item.get("ReferencedSegmentNumber")
    numbers = (
        [] if segments is None else segments if isinstance(segments, list | pydicom.multival.MultiValue) else [segments]
    )
    return Reference(
        str(item.ReferencedSOPClassUID), str(item.ReferencedSOPInstanceUID), tuple(int(number) for number in numbers)
    )
