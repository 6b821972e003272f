"""Small DICOM objects for tests."""

from __future__ import annotations

from io import BytesIO
from pathlib import Path

from pydicom.dataset import Dataset, FileMetaDataset
from pydicom.filewriter import dcmwrite
from pydicom.uid import (
    ComprehensiveSRStorage,
    ExplicitVRLittleEndian,
    MRImageStorage,
    SecondaryCaptureImageStorage,
    SegmentationStorage,
)

from node.domain.identity import derive_uid
from node.domain.study import ByteRange
from node.ports import Outgoing

MR = str(MRImageStorage)
SC = str(SecondaryCaptureImageStorage)
SEG = str(SegmentationStorage)
SR = str(ComprehensiveSRStorage)


def data_set(sop_class_uid: str = MR, number: int = 1, study: str = "study", size: int = 16) -> Dataset:
    """An image of ``size`` x ``size`` pixels without a patient's facts; the same arguments give the same UIDs."""
    made = Dataset()
    made.SpecificCharacterSet = "ISO_IR 192"
    made.SOPClassUID = sop_class_uid
    made.SOPInstanceUID = derive_uid("test", study, sop_class_uid, str(number))
    made.StudyInstanceUID = derive_uid("test", study)
    made.SeriesInstanceUID = derive_uid("test", study, sop_class_uid)
    made.PatientName = "Test^Synthetic"
    made.PatientID = "TEST-1"
    made.StudyDate, made.StudyTime, made.StudyID, made.AccessionNumber = "20300101", "120000", "1", "TEST"
    made.Modality = "MR" if sop_class_uid == MR else "OT"
    made.SeriesNumber, made.InstanceNumber = 1, number
    made.Rows = made.Columns = size
    made.SamplesPerPixel, made.PhotometricInterpretation = 1, "MONOCHROME2"
    made.BitsAllocated, made.BitsStored, made.HighBit, made.PixelRepresentation = 16, 16, 15, 0
    made.add_new("PixelData", "OW", bytes([number % 256, 0]) * (size * size))
    return made


def part10(made: Dataset, transfer_syntax_uid: str = ExplicitVRLittleEndian) -> bytes:
    """The data set as a Part 10 file; pixels are not encoded anew for compressed syntaxes."""
    meta = FileMetaDataset()
    meta.TransferSyntaxUID = transfer_syntax_uid
    meta.MediaStorageSOPClassUID = made.SOPClassUID
    meta.MediaStorageSOPInstanceUID = made.SOPInstanceUID
    made.file_meta = meta
    written = BytesIO()
    dcmwrite(written, made, enforce_file_format=True)
    return written.getvalue()


def outgoing(folder: Path, made: Dataset, transfer_syntax_uid: str = ExplicitVRLittleEndian) -> Outgoing:
    """The object as a file in ``folder``, ready to be sent."""
    data = part10(made, transfer_syntax_uid)
    path = folder / f"{made.SOPInstanceUID}.dcm"
    path.write_bytes(data)
    return Outgoing(str(made.SOPClassUID), str(made.SOPInstanceUID), ByteRange(str(path), 0, len(data)))
