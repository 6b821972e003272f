"""Which attributes the node knows of patients, studies, series and instances, for queries (PS3.4 C.6)."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final

from node.domain.query import Level

PATIENT_KEYWORDS: Final = (
    "PatientID", "PatientName", "PatientBirthDate", "PatientSex",
    "NumberOfPatientRelatedStudies", "NumberOfPatientRelatedSeries", "NumberOfPatientRelatedInstances",
)  # fmt: skip
STUDY_KEYWORDS: Final = (
    "StudyInstanceUID", "StudyDate", "StudyTime", "AccessionNumber", "StudyID", "StudyDescription",
    "ModalitiesInStudy", "SOPClassesInStudy", "NumberOfStudyRelatedSeries", "NumberOfStudyRelatedInstances",
)  # fmt: skip
SERIES_KEYWORDS: Final = (
    "SeriesInstanceUID", "Modality", "SeriesNumber", "SeriesDescription", "BodyPartExamined", "ProtocolName",
    "StationName", "Manufacturer", "ManufacturerModelName", "NumberOfSeriesRelatedInstances",
)  # fmt: skip
IMAGE_KEYWORDS: Final = (
    "SOPInstanceUID", "SOPClassUID", "InstanceNumber", "AcquisitionNumber", "AcquisitionDate", "AcquisitionTime",
    "ContentDate", "ContentTime", "ImageType", "Rows", "Columns", "BitsAllocated", "NumberOfFrames",
)  # fmt: skip
# Those that name one entity of a level (PS3.4 Tables C.6-1 to C.6-5).
UNIQUE: Final[Mapping[Level, str]] = {
    Level.PATIENT: "PatientID",
    Level.STUDY: "StudyInstanceUID",
    Level.SERIES: "SeriesInstanceUID",
    Level.IMAGE: "SOPInstanceUID",
}
OF_LEVEL: Final[Mapping[Level, tuple[str, ...]]] = {
    Level.PATIENT: PATIENT_KEYWORDS,
    # Patients are part of studies in the Study Root, where nobody asks for them alone (PS3.4 C.6.2.1).
    Level.STUDY: (*PATIENT_KEYWORDS[:4], *STUDY_KEYWORDS),
    Level.SERIES: (*PATIENT_KEYWORDS[:4], *STUDY_KEYWORDS[:6], *SERIES_KEYWORDS),
    Level.IMAGE: (*PATIENT_KEYWORDS[:4], *STUDY_KEYWORDS[:6], *SERIES_KEYWORDS[:9], *IMAGE_KEYWORDS),
}


@dataclass(frozen=True, slots=True)
class RetrievableObject:
    """An instance whose bytes are here. ``sha256`` is of its data set, of a result of its whole Part 10 file.

    The transfer syntax of a result is empty: it stands in its file.
    """

    study_instance_uid: str
    sop_class_uid: str
    sop_instance_uid: str
    transfer_syntax_uid: str
    storage_key: str
    sha256: str
    is_result: bool
