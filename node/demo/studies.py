"""Built-in synthetic studies: one that the hippocampus model reads, one it cannot judge, and one nobody wants.

The same files every time: drawn images (``phantom``) and UIDs derived from names.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import numpy.typing as npt
from pydicom.dataset import Dataset, FileMetaDataset
from pydicom.uid import CTImageStorage, ExplicitVRLittleEndian, MRImageStorage

from node.demo.phantom import chest_ct, hippocampus_mr
from node.domain.identity import derive_uid

DATE, TIME = "20260105", "101500"


@dataclass(frozen=True, slots=True)
class DemoStudy:
    """One study of one series. ``missing`` are the slices (from 0) that are left out of it."""

    name: str
    patient_id: str
    accession_number: str
    description: str
    modality: str
    draw: Callable[[int], npt.NDArray[np.int16]]
    spacing_mm: tuple[float, float]
    missing: frozenset[int] = frozenset()

    @property
    def study_instance_uid(self) -> str:
        return derive_uid("demo", self.name)


STUDIES = (
    DemoStudy("hippocampus", "DEMO-1", "DEMO-A1", "Hippocampus, whole", "MR", hippocampus_mr, (1.0, 1.0)),
    DemoStudy(
        "hippocampus-gap",
        "DEMO-2",
        "DEMO-A2",
        "Hippocampus, a slice is missing",
        "MR",
        hippocampus_mr,
        (1.0, 1.0),
        frozenset({17}),
    ),
    DemoStudy("chest", "DEMO-3", "DEMO-A3", "Chest, wanted by no model", "CT", chest_ct, (5.0, 4.0)),
)


def write_studies(folder: Path) -> Path:
    """Write every study as Part 10 files, a folder each, under ``folder``, which is returned."""
    for seed, study in enumerate(STUDIES, start=1):
        place = folder / study.name
        place.mkdir(parents=True, exist_ok=True)
        for instance in instances(study, seed):
            instance.save_as(place / f"{instance.InstanceNumber:03d}.dcm", enforce_file_format=True)
    return folder


def instances(study: DemoStudy, seed: int) -> list[Dataset]:
    """The study's images in the order of their slices, without those that are missing from it."""
    volume = study.draw(seed)
    return [_instance(study, volume, k) for k in range(len(volume)) if k not in study.missing]


def _instance(study: DemoStudy, volume: npt.NDArray[np.int16], k: int) -> Dataset:
    image = Dataset()
    _identify(image, study, k)
    _place(image, study, volume.shape, k)
    (_as_mr if study.modality == "MR" else _as_ct)(image)
    _fill(image, volume[k])
    return image


def _identify(image: Dataset, study: DemoStudy, k: int) -> None:
    """Patient, study, series and equipment (PS3.3 C.7.1 to C.7.5)."""
    image.SpecificCharacterSet = "ISO_IR 192"
    image.PatientName = "Demo^Synthetic"
    image.PatientID = study.patient_id
    image.PatientBirthDate = ""
    image.PatientSex = "O"
    image.StudyInstanceUID = study.study_instance_uid
    image.SeriesInstanceUID = derive_uid("demo", study.name, "series")
    image.SOPInstanceUID = derive_uid("demo", study.name, "image", str(k))
    image.FrameOfReferenceUID = derive_uid("demo", study.name, "frame of reference")
    image.StudyDate = image.SeriesDate = image.AcquisitionDate = image.ContentDate = DATE
    image.StudyTime = image.SeriesTime = image.AcquisitionTime = image.ContentTime = TIME
    image.AccessionNumber = study.accession_number
    image.StudyID = "1"
    image.StudyDescription = "Synthetic demonstration"
    image.SeriesDescription = study.description
    image.ReferringPhysicianName = ""
    image.Modality = study.modality
    image.SeriesNumber = 1
    image.AcquisitionNumber = 1
    image.InstanceNumber = k + 1
    image.Manufacturer = "ainode"
    image.ManufacturerModelName = "Synthetic demonstration"
    image.ImageType = ["DERIVED", "SECONDARY", "OTHER"]
    image.BurnedInAnnotation = "NO"


def _place(image: Dataset, study: DemoStudy, shape: tuple[int, ...], k: int) -> None:
    """Axial slices, centred on the origin, from inferior to superior (PS3.3 C.7.6.2)."""
    between_mm, pixel_mm = study.spacing_mm
    image.ImageOrientationPatient = [1, 0, 0, 0, 1, 0]
    image.ImagePositionPatient = [
        -pixel_mm * (shape[2] - 1) / 2,
        -pixel_mm * (shape[1] - 1) / 2,
        between_mm * (k - (shape[0] - 1) / 2),
    ]
    image.PixelSpacing = [pixel_mm, pixel_mm]
    image.SliceThickness = between_mm
    image.SpacingBetweenSlices = between_mm
    image.PatientPosition = "HFS"
    image.PositionReferenceIndicator = ""


def _as_mr(image: Dataset) -> None:
    image.SOPClassUID = MRImageStorage
    image.BodyPartExamined = "BRAIN"
    image.ScanningSequence = ["GR", "IR"]
    image.SequenceVariant = "MP"
    image.ScanOptions = ""
    image.MRAcquisitionType = "3D"
    image.EchoTime = "2.9"
    image.RepetitionTime = "2300"
    image.InversionTime = "900"
    image.EchoTrainLength = 1
    image.WindowCenter, image.WindowWidth = 475, 950


def _as_ct(image: Dataset) -> None:
    image.SOPClassUID = CTImageStorage
    image.BodyPartExamined = "CHEST"
    image.KVP = "120"
    image.ImageType = ["DERIVED", "SECONDARY", "AXIAL"]
    image.RescaleIntercept, image.RescaleSlope, image.RescaleType = 0, 1, "HU"
    image.WindowCenter, image.WindowWidth = 40, 400


def _fill(image: Dataset, pixels: npt.NDArray[np.int16]) -> None:
    """Pixels as signed 16 bit, and the file meta information."""
    image.SamplesPerPixel = 1
    image.PhotometricInterpretation = "MONOCHROME2"
    image.Rows, image.Columns = pixels.shape
    image.BitsAllocated, image.BitsStored, image.HighBit, image.PixelRepresentation = 16, 16, 15, 1
    image.PixelData = np.ascontiguousarray(pixels, dtype="<i2").tobytes()
    image.file_meta = FileMetaDataset()
    image.file_meta.TransferSyntaxUID = ExplicitVRLittleEndian
