"""What stands in written objects, for tests."""

from __future__ import annotations

from collections.abc import Iterator

import pydicom
from pydicom.dataset import Dataset

from tests.conformance.golden import Golden, Study

Read = tuple[Golden, Dataset]


def every(study: Study, *modalities: str) -> list[Read]:
    """Every golden object (of these modalities), read."""
    chosen = [one for one in study.objects if not modalities or one.modality in modalities]
    assert chosen
    return [(one, pydicom.dcmread(one.path)) for one in chosen]


def drawn(one: Golden) -> bool:
    """A picture, for destinations that want it: no IOD of the profile."""
    return "Secondary Capture" in one.kind or "Presentation" in one.kind


def items(dataset: Dataset) -> Iterator[Dataset]:
    """Every content item of a report, at any depth, without the root."""
    for child in dataset.get("ContentSequence", []):
        yield child
        yield from items(child)


def named(dataset: Dataset, code: str) -> list[Dataset]:
    """The content items with this concept name."""
    return [one for one in items(dataset) if "ConceptNameCodeSequence" in one and name_of(one) == code]


def name_of(item: Dataset) -> str:
    return str(item.ConceptNameCodeSequence[0].CodeValue)


def code_of(item: Dataset) -> str:
    return str(item.ConceptCodeSequence[0].CodeValue)


def groups(report: Dataset) -> list[Dataset]:
    """Measurement Group containers."""
    return named(report, "125007")


def template(item: Dataset) -> str:
    return str(item.ContentTemplateSequence[0].TemplateIdentifier)


def referred(item: Dataset) -> set[str]:
    """SOP Instance UIDs that are named anywhere within."""
    return {str(one.value) for one in item.iterall() if one.keyword == "ReferencedSOPInstanceUID"}


def evidence(report: Dataset) -> set[str]:
    return {
        str(sop.ReferencedSOPInstanceUID)
        for sequence in ("CurrentRequestedProcedureEvidenceSequence", "PertinentOtherEvidenceSequence")
        for study in report.get(sequence, [])
        for series in study.ReferencedSeriesSequence
        for sop in series.ReferencedSOPSequence
    }
