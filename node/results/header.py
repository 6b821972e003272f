"""What a SEG and an SR of a run have in common: patient, study, series, times, equipment, file meta information."""

from __future__ import annotations

import io
from collections.abc import Iterable

import pydicom
from pydicom.dataset import Dataset, FileMetaDataset
from pydicom.uid import UID, ExplicitVRLittleEndian

from node.domain.identity import derive_uid
from node.ports import EncodedObject
from node.results.context import ResultContext, offset_of
from node.results.equipment import contributing_equipment
from node.results.model_output import private_schemes
from node.results.source import NEVER_ABSENT, PATIENT_AND_STUDY, UTF_8, copy_element

IMPLEMENTATION_CLASS_UID = derive_uid("implementation class")
IMPLEMENTATION_VERSION_NAME = "AINODE"


def anonymous_reference(header: Dataset) -> Dataset:
    """The image as highdicom needs it: what it refers to, and an identity that is filled in afterwards.

    highdicom checks and re-formats what it copies, and fails on real headers (Patient's Sex ``U``, dates of other
    forms); ``finish`` copies the attributes verbatim instead.
    """
    reference = Dataset()
    for keyword in ("SOPClassUID", "SOPInstanceUID", "StudyInstanceUID", "SeriesInstanceUID"):
        copy_element(header, keyword, into=reference)
    for keyword in NEVER_ABSENT:
        setattr(reference, keyword, None)
    reference.PatientID = ""
    reference.PatientName = ""
    reference.AccessionNumber = ""
    reference.SpecificCharacterSet = UTF_8
    reference.Modality = str(header.get("Modality") or "OT")
    return reference


def finish(dataset: Dataset, context: ResultContext, rest: Iterable[bytes | memoryview] = ()) -> EncodedObject:
    """Complete ``dataset`` (as highdicom made it) and encode it, Explicit VR Little Endian; ``rest`` as ``encoded``."""
    dataset.SpecificCharacterSet = UTF_8
    copy_identity(context.first, into=dataset)
    _series(dataset, context)
    _times(dataset, context)
    _equipment(dataset, context)
    return encoded(dataset, rest)


def encoded(dataset: Dataset, rest: Iterable[bytes | memoryview] = ()) -> EncodedObject:
    """A complete data set as Part 10 bytes, Explicit VR Little Endian.

    ``rest``: its last elements, encoded already, for those that are too large to be a data set's.
    """
    dataset.file_meta = _file_meta(dataset)
    buffer = io.BytesIO()
    pydicom.dcmwrite(buffer, dataset, enforce_file_format=True)
    for part in rest:
        buffer.write(part)
    return EncodedObject(
        sop_class_uid=str(dataset.SOPClassUID),
        sop_instance_uid=str(dataset.SOPInstanceUID),
        series_instance_uid=str(dataset.SeriesInstanceUID),
        modality=str(dataset.Modality),
        part10=buffer.getvalue(),
    )


def copy_identity(source: Dataset, into: Dataset) -> None:
    """Patient and study, verbatim; what the standard wants at least empty is never absent."""
    for keyword in PATIENT_AND_STUDY:
        if keyword in source:
            copy_element(source, keyword, into=into)
        elif keyword in NEVER_ABSENT:
            setattr(into, keyword, None)
        elif keyword in into:
            delattr(into, keyword)


def _series(dataset: Dataset, context: ResultContext) -> None:
    source = context.first
    dataset.SeriesDescription = context.series_description
    shared = (dataset.get("SharedFunctionalGroupsSequence") or [()])[0]
    # The side of a frame takes the place of that of the series (PS3.3 C.7.3.1).
    side = () if "FrameAnatomySequence" in shared else ("Laterality",)
    for keyword in ("BodyPartExamined", *side, "RequestAttributesSequence"):
        if source.get(keyword):
            copy_element(source, keyword, into=dataset)


def _times(dataset: Dataset, context: ResultContext) -> None:
    """All of them the same moment: what is written must not depend on when it is written."""
    date, time = context.content_at.strftime("%Y%m%d"), context.content_at.strftime("%H%M%S")
    for kind in ("Series", "Content", "InstanceCreation"):
        setattr(dataset, f"{kind}Date", date)
        setattr(dataset, f"{kind}Time", time)
    if offset_of(str(context.first.get("TimezoneOffsetFromUTC") or "")) is not None:
        copy_element(context.first, "TimezoneOffsetFromUTC", into=dataset)


def _equipment(dataset: Dataset, context: ResultContext) -> None:
    dataset.Manufacturer = context.maker.manufacturer
    dataset.ManufacturerModelName = context.maker.model_name
    dataset.SoftwareVersions = context.maker.software_version
    dataset.ContributingEquipmentSequence = contributing_equipment(context)
    schemes = private_schemes(context.run)
    if schemes:
        dataset.CodingSchemeIdentificationSequence = [_scheme(name, context) for name in schemes]


def _scheme(designator: str, context: ResultContext) -> Dataset:
    item = Dataset()
    item.CodingSchemeDesignator = designator
    item.CodingSchemeName = f"Private concepts of {context.run.model.id}"[:64]
    item.CodingSchemeResponsibleOrganization = context.run.model.algorithm.manufacturer
    return item


def _file_meta(dataset: Dataset) -> FileMetaDataset:
    meta = FileMetaDataset()
    meta.MediaStorageSOPClassUID = UID(dataset.SOPClassUID)
    meta.MediaStorageSOPInstanceUID = UID(dataset.SOPInstanceUID)
    meta.TransferSyntaxUID = ExplicitVRLittleEndian
    meta.ImplementationClassUID = UID(IMPLEMENTATION_CLASS_UID)
    meta.ImplementationVersionName = IMPLEMENTATION_VERSION_NAME
    return meta
