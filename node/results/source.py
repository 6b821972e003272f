"""The headers of the source images, read once: decoded, without pixels, and without what cannot be read."""

from __future__ import annotations

import copy
import io
import re
import warnings
from collections.abc import Sequence
from pathlib import Path
from typing import Final

import pydicom
from pydicom.config import RAISE
from pydicom.dataset import Dataset
from pydicom.tag import BaseTag, Tag
from pydicom.valuerep import PersonName, validate_value

from node.domain.study import ByteRange, Instance, StoredInstance
from node.errors import ObjectMissing, ResultVerificationFailed

UTF_8 = "ISO_IR 192"

# Patient, Clinical Trial Subject, General Study and Patient Study modules (PS3.3 C.7.1, C.7.2): copied verbatim.
PATIENT_AND_STUDY: Final = (
    "PatientName", "PatientID", "IssuerOfPatientID", "IssuerOfPatientIDQualifiersSequence", "TypeOfPatientID",
    "PatientBirthDate", "PatientBirthTime", "PatientSex", "OtherPatientIDsSequence", "OtherPatientNames",
    "EthnicGroup", "PatientComments", "PatientIdentityRemoved", "DeidentificationMethod",
    "DeidentificationMethodCodeSequence", "PatientSpeciesDescription", "PatientSpeciesCodeSequence",
    "PatientBreedDescription", "PatientBreedCodeSequence", "BreedRegistrationSequence", "ResponsiblePerson",
    "ResponsiblePersonRole", "ResponsibleOrganization",
    "ClinicalTrialSponsorName", "ClinicalTrialProtocolID", "ClinicalTrialProtocolName", "ClinicalTrialSiteID",
    "ClinicalTrialSiteName", "ClinicalTrialSubjectID", "ClinicalTrialSubjectReadingID",
    "ClinicalTrialTimePointID", "ClinicalTrialTimePointDescription",
    "StudyInstanceUID", "StudyDate", "StudyTime", "StudyID", "StudyDescription", "AccessionNumber",
    "IssuerOfAccessionNumberSequence", "ReferringPhysicianName", "ProcedureCodeSequence", "ReferencedStudySequence",
    "PatientAge", "PatientSize", "PatientWeight", "AdmissionID", "IssuerOfAdmissionIDSequence",
    "MedicalAlerts", "Allergies",
)  # fmt: skip
# Of these the standard wants at least an empty value (type 2).
NEVER_ABSENT: Final = (
    "PatientName", "PatientID", "PatientBirthDate", "PatientSex",
    "StudyDate", "StudyTime", "StudyID", "AccessionNumber", "ReferringPhysicianName",
)  # fmt: skip
SERIES: Final = (
    "SeriesInstanceUID", "SeriesNumber", "Modality", "BodyPartExamined", "Laterality", "RequestAttributesSequence",
    "TimezoneOffsetFromUTC", "FrameOfReferenceUID", "PositionReferenceIndicator",
)  # fmt: skip
EQUIPMENT: Final = (
    "Manufacturer", "ManufacturerModelName", "DeviceSerialNumber", "SoftwareVersions", "StationName",
    "InstitutionName", "InstitutionalDepartmentName",
)  # fmt: skip
IMAGE: Final = (
    "SOPClassUID", "SOPInstanceUID", "Rows", "Columns", "NumberOfFrames", "PixelSpacing", "SliceThickness",
    "SpacingBetweenSlices", "ImageOrientationPatient", "ImagePositionPatient", "PatientOrientation",
    "SharedFunctionalGroupsSequence", "PerFrameFunctionalGroupsSequence",
)  # fmt: skip
ANATOMY: Final = ("AnatomicRegionSequence", "ImageLaterality")
_IDENTITY: Final = ("SOPClassUID", "SOPInstanceUID", "StudyInstanceUID", "SeriesInstanceUID")
# Patient, study and equipment are those of the first image: of the others they would be read for nothing.
_OF_THE_FIRST: Final = [Tag(keyword) for keyword in (*PATIENT_AND_STUDY, *SERIES, *EQUIPMENT, *IMAGE, *ANATOMY)]
_OF_EVERY_IMAGE: Final = [Tag(keyword) for keyword in (*_IDENTITY, *SERIES, *IMAGE)]

# Optional facts about the patient in these representations are left out where the source breaks their rules:
# they name nobody, and a receiver may refuse an object with them (seen: Patient's Age "0Y").
_FORMATTED = ("AS", "CS", "DA", "DS", "IS", "TM")

_TEXT = ("LO", "LT", "PN", "SH", "ST", "UC", "UT")
_ESCAPE_SEQUENCE = re.compile(r"\x1b[\x20-\x2f]+[\x30-\x7e]")

# What pydicom raises for a value that is none of its VR.
_UNREADABLE = (ValueError, TypeError, ArithmeticError, LookupError, AttributeError, NotImplementedError)


def read_headers(sources: Sequence[StoredInstance], locations: Sequence[ByteRange]) -> tuple[Dataset, ...]:
    """The wanted attributes of every image, in the order given, text decoded to Unicode; the first has the most.

    An element that cannot be read is left out: it could not be copied either.

    Raises:
        ObjectMissing: an image is gone.
        ResultVerificationFailed: what lies there is not the image that was recorded.
    """
    return tuple(
        _require_recorded(_read_header(location, _OF_EVERY_IMAGE if number else _OF_THE_FIRST), source.instance)
        for number, (source, location) in enumerate(zip(sources, locations, strict=True))
    )


def _require_recorded(header: Dataset, instance: Instance) -> Dataset:
    found = tuple(str(header.get(keyword, "")) for keyword in _IDENTITY)
    recorded = (
        instance.sop_class_uid, instance.sop_instance_uid, instance.study_instance_uid, instance.series_instance_uid,
    )  # fmt: skip
    if found != recorded:
        raise ResultVerificationFailed(
            "a source image is not what was recorded", check="source", sop_instance_uid=instance.sop_instance_uid
        )
    return header


def copy_element(source: Dataset, keyword: str, into: Dataset) -> None:
    """Copy one element. A copy, because an element that two data sets share would change in both."""
    into.add(copy.copy(source[keyword]))


def read_tags(location: ByteRange, wanted: list[BaseTag]) -> Dataset:
    """Those of the wanted elements that an image has, as it has them.

    Raises:
        ObjectMissing: the image is gone.
    """
    try:
        with Path(location.path).open("rb") as file:
            file.seek(location.offset)
            data = file.read(location.length)
    except FileNotFoundError as error:
        raise ObjectMissing("a source image is gone from the store") from error
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        return pydicom.dcmread(io.BytesIO(data), stop_before_pixels=True, force=True, specific_tags=wanted)


def _read_header(location: ByteRange, wanted: list[BaseTag]) -> Dataset:
    header = read_tags(location, wanted)
    # A name with bytes outside of its character set is worth a replacement character, not a lost result.
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        _drop_unreadable(header)
        _drop_malformed(header)
        header.decode()
        _tidy_text(header)
    header.SpecificCharacterSet = UTF_8
    header.buffer = None  # else every header keeps the bytes of its whole image in memory
    return header


def _drop_unreadable(dataset: Dataset) -> None:
    for tag in list(dataset.keys()):
        try:
            element = dataset[tag]
        except _UNREADABLE:
            del dataset[tag]
            continue
        if element.VR == "SQ":
            for item in element.value:
                _drop_unreadable(item)


def _drop_malformed(header: Dataset) -> None:
    for keyword in PATIENT_AND_STUDY:
        if keyword in NEVER_ABSENT or keyword not in header or header[keyword].VR not in _FORMATTED:
            continue
        element = header[keyword]
        values = element.value if element.VM > 1 else [element.value]
        try:
            for value in values:
                validate_value(element.VR, None if value is None else str(value), RAISE)
        except ValueError:
            del header[keyword]


def _tidy_text(dataset: Dataset) -> None:
    """Text as Unicode alone.

    Names that remember the bytes of their old character set would be written with those: they are made anew. Escape
    sequences of code extensions (PS3.5 section 6.1.2.5.3) that pydicom leaves in the text mean nothing in UTF-8.
    """
    for element in dataset:
        if element.VR == "SQ":
            for item in element.value:
                item.pop("SpecificCharacterSet", None)
                _tidy_text(item)
        elif element.VR in _TEXT and element.value:
            values = element.value if element.VM > 1 else [element.value]
            kind = PersonName if element.VR == "PN" else str
            tidy = [kind(_ESCAPE_SEQUENCE.sub("", str(value))) for value in values]
            element.value = tidy if element.VM > 1 else tidy[0]
