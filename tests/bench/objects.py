"""The instances that benchmarks send: drawn, with the header of a real one, as encoded data sets with unique UIDs."""

from __future__ import annotations

from dataclasses import dataclass
from io import BytesIO

import numpy as np
from pydicom.dataset import Dataset, FileMetaDataset
from pydicom.filebase import DicomBytesIO
from pydicom.filewriter import write_dataset, write_file_meta_info
from pydicom.sequence import Sequence
from pydicom.uid import CTImageStorage, DigitalXRayImageStorageForPresentation, EnhancedCTImageStorage, MRImageStorage

# A UID that is replaced in place by others of the same length.
PLACE = "1.2.826.0.1.3680043.10.1099.{kind}.1000000000.1000000000"
PLACED = ".1000000000.1000000000"


@dataclass(frozen=True, slots=True)
class Kind:
    """One sort of instance: ``data_set`` is explicit VR little endian and holds ``uid`` once; ``study`` likewise."""

    name: str
    sop_class_uid: str
    data_set: bytes
    uid: str
    study: str

    def numbered(self, run: int, number: int) -> tuple[str, str]:
        """Study and SOP Instance UID of one instance, as long as those in ``data_set``; a ``run`` is a study."""
        uid = self.uid.replace(PLACED, f".1{run % 10**9:09d}.1{number:09d}")
        return self.study.replace(PLACED, f".1{run % 10**9:09d}.1000000000"), uid

    def made(self, run: int, number: int) -> bytes:
        """The data set of one instance."""
        return self.renamed(self.data_set, run, number)

    def renamed(self, message: bytes, run: int, number: int) -> bytes:
        study, uid = self.numbered(run, number)
        return message.replace(self.uid.encode(), uid.encode()).replace(self.study.encode(), study.encode())


def ct() -> Kind:
    """512 x 512, 16 bit: 0.5 MB."""
    return _kind("CT", CTImageStorage, 1, (512, 512))


def small() -> Kind:
    """128 x 128, 16 bit: 33 KB."""
    return _kind("small", MRImageStorage, 2, (128, 128))


def radiograph() -> Kind:
    """2,800 x 2,700, 16 bit: 15 MB."""
    return _kind("15 MB", DigitalXRayImageStorageForPresentation, 3, (2800, 2700))


def multi_frame() -> Kind:
    """400 frames of 512 x 512, 16 bit: 210 MB."""
    return _kind("200 MB", EnhancedCTImageStorage, 4, (512, 512), frames=400)


KINDS = {"ct": ct, "small": small, "15mb": radiograph, "200mb": multi_frame}


def _kind(name: str, sop_class: str, number: int, shape: tuple[int, int], frames: int = 1) -> Kind:
    uid, study = PLACE.format(kind=f"1{number}"), PLACE.format(kind=f"2{number}")
    data_set = _header(sop_class, uid, study)
    data_set.Rows, data_set.Columns = shape
    if frames > 1:
        data_set.NumberOfFrames = frames
    rng = np.random.default_rng(number)
    frame = rng.integers(0, 4096, shape, dtype=np.uint16).tobytes()
    data_set.PixelData = frame * frames
    data_set["PixelData"].VR = "OW"
    buffer = DicomBytesIO()
    buffer.is_little_endian, buffer.is_implicit_VR = True, False
    write_dataset(buffer, data_set)
    return Kind(name, str(sop_class), buffer.getvalue(), uid, study)


def _header(sop_class: str, uid: str, study: str) -> Dataset:
    """About a hundred elements, as scanners write them; no patient."""
    data_set = Dataset()
    data_set.SpecificCharacterSet = "ISO_IR 100"
    data_set.ImageType = ["ORIGINAL", "PRIMARY", "AXIAL"]
    data_set.SOPClassUID, data_set.SOPInstanceUID = sop_class, uid
    data_set.StudyInstanceUID, data_set.SeriesInstanceUID = study, f"{study}.3"
    data_set.FrameOfReferenceUID = f"{study}.4"
    for keyword in ("StudyDate", "SeriesDate", "AcquisitionDate", "ContentDate"):
        setattr(data_set, keyword, "20300101")
    for keyword in ("StudyTime", "SeriesTime", "AcquisitionTime", "ContentTime"):
        setattr(data_set, keyword, "120000.000000")
    data_set.Modality, data_set.Manufacturer, data_set.ManufacturerModelName = "CT", "DRAWN", "BENCH"
    data_set.InstitutionName, data_set.StationName = "BENCH", "BENCH1"
    data_set.StudyDescription, data_set.SeriesDescription, data_set.ProtocolName = "BENCH", "AXIAL 1.0", "ROUTINE"
    data_set.PatientName, data_set.PatientID, data_set.PatientSex = "BENCH^NOBODY", "BENCH-0", "O"
    data_set.PatientBirthDate, data_set.PatientAge = "", "000Y"
    data_set.AccessionNumber, data_set.StudyID = "BENCH-0", "1"
    data_set.SeriesNumber, data_set.AcquisitionNumber, data_set.InstanceNumber = 1, 1, 1
    data_set.PatientPosition, data_set.BodyPartExamined = "HFS", "CHEST"
    data_set.ImagePositionPatient, data_set.ImageOrientationPatient = [-170.0, -170.0, 100.5], [1, 0, 0, 0, 1, 0]
    data_set.PixelSpacing, data_set.SliceThickness, data_set.SliceLocation = [0.664, 0.664], 1.0, 100.5
    data_set.KVP, data_set.ExposureTime, data_set.XRayTubeCurrent, data_set.Exposure = 120, 500, 200, 100
    data_set.DataCollectionDiameter, data_set.ReconstructionDiameter = 500, 340
    data_set.GantryDetectorTilt, data_set.TableHeight, data_set.RotationDirection = 0, 150, "CW"
    data_set.ConvolutionKernel, data_set.FilterType, data_set.SoftwareVersions = "B70f", "WEDGE", "1.0"
    data_set.SamplesPerPixel, data_set.PhotometricInterpretation = 1, "MONOCHROME2"
    data_set.BitsAllocated, data_set.BitsStored, data_set.HighBit, data_set.PixelRepresentation = 16, 12, 11, 0
    data_set.WindowCenter, data_set.WindowWidth = [40, -600], [400, 1500]
    data_set.RescaleIntercept, data_set.RescaleSlope, data_set.RescaleType = -1024, 1, "HU"
    code = Dataset()
    code.CodeValue, code.CodingSchemeDesignator, code.CodeMeaning = "24627-2", "LN", "Chest CT"
    data_set.ProcedureCodeSequence = Sequence([code])
    referenced = Dataset()
    referenced.ReferencedSOPClassUID, referenced.ReferencedSOPInstanceUID = sop_class, "1.2.826.0.1.3680043.10.1099.9"
    data_set.ReferencedImageSequence = Sequence([referenced])
    block = data_set.private_block(0x0029, "BENCH HEADER", create=True)
    for element in range(0x10, 0x30):
        block.add_new(element, "LO", f"PRIVATE VALUE {element}")
    block.add_new(0x40, "OB", bytes(4096))
    return data_set


def part10(kind: Kind, run: int, number: int) -> bytes:
    """The file of an instance, for senders that read files."""
    meta = FileMetaDataset()
    meta.MediaStorageSOPClassUID, meta.MediaStorageSOPInstanceUID = kind.sop_class_uid, kind.numbered(run, number)[1]
    meta.TransferSyntaxUID = "1.2.840.10008.1.2.1"
    buffer = BytesIO()
    buffer.write(bytes(128) + b"DICM")
    write_file_meta_info(buffer, meta)
    return buffer.getvalue() + kind.made(run, number)
