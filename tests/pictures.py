"""Images without a place in a volume, as valid DICOM objects: wraps an array into a DX, CR, US, OP or XC image.

For tests and for trials. Every object is complete as its IOD (PS3.3 annex A) wants it, of a patient who does not exist;
the same arguments give the same object. Arrays are (rows, columns) of uint8 or uint16, or (rows, columns, 3) of uint8.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
from pydicom.dataset import Dataset, FileMetaDataset
from pydicom.sequence import Sequence as Items
from pydicom.sr.codedict import codes
from pydicom.sr.coding import Code
from pydicom.uid import (
    UID,
    ComputedRadiographyImageStorage,
    DigitalXRayImageStorageForPresentation,
    ExplicitVRLittleEndian,
    OphthalmicPhotography8BitImageStorage,
    UltrasoundImageStorage,
    UltrasoundMultiFrameImageStorage,
    VLPhotographicImageStorage,
)

from node.domain.identity import derive_uid
from node.domain.study import ByteRange

Pixels = npt.NDArray[np.uint8] | npt.NDArray[np.uint16]
DETECTOR_MM, FILM_MM, ULTRASOUND_MM = 0.143, 0.2, 0.08


def dx(pixels: Pixels, number: int = 1, study: str = "dx", age: str = "004Y", **changes: Any) -> Dataset:
    """A chest radiograph from a digital detector (A.26), For Presentation, postero-anterior."""
    image = _image(DigitalXRayImageStorageForPresentation, "DX", pixels, number, study, age)
    image.ImageType = ["ORIGINAL", "PRIMARY", ""]
    image.PresentationIntentType = "FOR PRESENTATION"
    image.BodyPartExamined = "CHEST"
    _radiograph(image)
    image.PixelIntensityRelationship, image.PixelIntensityRelationshipSign = "LOG", -1
    image.ImagerPixelSpacing = [DETECTOR_MM, DETECTOR_MM]
    image.DetectorType = "DIRECT"
    image.ViewPosition = "PA"
    image.ViewCodeSequence = _coded(codes.cid4010.PosteroAnterior)
    image.ViewCodeSequence[0].ViewModifierCodeSequence = Items()
    image.AnatomicRegionSequence = _coded(Code("43799004", "SCT", "Chest"))
    image.ImageLaterality = "U"
    image.PositionerType = "NONE"
    image.AcquisitionContextSequence = Items()
    return _changed(image, changes)


def cr(pixels: Pixels, number: int = 1, study: str = "cr", age: str = "004Y", **changes: Any) -> Dataset:
    """A chest radiograph from an imaging plate (A.2)."""
    image = _image(ComputedRadiographyImageStorage, "CR", pixels, number, study, age)
    image.ImageType = ["ORIGINAL", "PRIMARY"]
    image.BodyPartExamined, image.ViewPosition = "CHEST", "AP"
    _radiograph(image)
    image.ImagerPixelSpacing = [FILM_MM, FILM_MM]
    image.PixelSpacing = [FILM_MM, FILM_MM]
    image.PlateType = "RIGID"
    return _changed(image, changes)


def us(pixels: Pixels, number: int = 1, study: str = "us", age: str = "052Y", **changes: Any) -> Dataset:
    """An ultrasound image of a breast (A.6), grey or RGB, with one calibrated 2D region."""
    image = _image(UltrasoundImageStorage, "US", pixels, number, study, age)
    _ultrasound(image)
    return _changed(image, changes)


def us_loop(frames: Pixels, number: int = 1, study: str = "us", age: str = "052Y", **changes: Any) -> Dataset:
    """A loop of ultrasound frames (A.7): an array with one more axis, in front."""
    image = _image(UltrasoundMultiFrameImageStorage, "US", frames[0], number, study, age)
    _ultrasound(image)
    image.NumberOfFrames = len(frames)
    image.FrameIncrementPointer = 0x00181063
    image.FrameTime = "40"
    image.PixelData = _padded(frames.tobytes())
    return _changed(image, changes)


def op(pixels: Pixels, number: int = 1, study: str = "op", age: str = "061Y", **changes: Any) -> Dataset:
    """A photograph of a fundus (A.41), 8 bits, from a fundus camera."""
    image = _image(OphthalmicPhotography8BitImageStorage, "OP", pixels, number, study, age)
    image.ImageType = ["ORIGINAL", "PRIMARY", "", "COLOR"]
    image.ImageLaterality = "R"
    image.AnatomicRegionSequence = _coded(codes.cid4209.Retina)
    image.AcquisitionDateTime = "20260303101500"
    image.SynchronizationFrameOfReferenceUID = derive_uid("test pictures", study, "synchronization")
    image.SynchronizationTrigger, image.AcquisitionTimeSynchronized = "NO TRIGGER", "N"
    image.NumberOfFrames, image.FrameIncrementPointer = 1, 0x00181063
    image.FrameTime = "0"
    image.PatientEyeMovementCommanded = "NO"
    image.RefractiveStateSequence = Items()
    image.EmmetropicMagnification = image.IntraOcularPressure = image.HorizontalFieldOfView = None
    image.PupilDilated = "YES"
    image.MydriaticAgentSequence = Items()
    image.DegreeOfDilation = None
    image.AcquisitionDeviceTypeCodeSequence = _coded(codes.cid4202.FundusCamera)
    image.IlluminationTypeCodeSequence = _coded(codes.cid4203.DiffuseDirectIllumination)
    for keyword in ("LightPathFilterTypeStackCode", "ImagePathFilterTypeStackCode", "LensesCode"):
        setattr(image, f"{keyword}Sequence", Items())
    image.DetectorType = "CCD"
    _photograph(image)
    return _changed(image, changes)


def xc(pixels: Pixels, number: int = 1, study: str = "xc", age: str = "061Y", **changes: Any) -> Dataset:
    """A photograph from a camera (VL Photographic Image, A.32.4), of an eye."""
    image = _image(VLPhotographicImageStorage, "XC", pixels, number, study, age)
    image.ImageType = ["ORIGINAL", "PRIMARY"]
    image.AnatomicRegionSequence = _coded(codes.cid4209.Eye)
    image.ImageLaterality = "R"
    image.AcquisitionContextSequence = Items()
    _photograph(image)
    return _changed(image, changes)


KINDS: Mapping[str, Callable[..., Dataset]] = {"DX": dx, "CR": cr, "US": us, "OP": op, "XC": xc}


def save(folder: Path, images: Sequence[Dataset]) -> list[Path]:
    """Each image as a Part 10 file of its own."""
    folder.mkdir(parents=True, exist_ok=True)
    paths = [folder / f"{number:04}.dcm" for number in range(len(images))]
    for path, image in zip(paths, images, strict=True):
        image.save_as(path, enforce_file_format=True)
    return paths


def whole(path: Path) -> ByteRange:
    return ByteRange(str(path), 0, path.stat().st_size)


# ---------------------------------------------------------------- what they have in common


def _image(sop_class: UID, modality: str, pixels: Pixels, number: int, study: str, age: str) -> Dataset:
    """Patient, study, series, equipment and pixels."""
    image = Dataset()
    image.file_meta = FileMetaDataset()
    image.file_meta.TransferSyntaxUID = ExplicitVRLittleEndian
    image.SpecificCharacterSet = "ISO_IR 192"
    image.SOPClassUID = sop_class
    image.SOPInstanceUID = derive_uid("test pictures", study, modality, str(number))
    image.file_meta.MediaStorageSOPClassUID = image.SOPClassUID
    image.file_meta.MediaStorageSOPInstanceUID = image.SOPInstanceUID
    image.StudyInstanceUID = derive_uid("test pictures", study)
    image.SeriesInstanceUID = derive_uid("test pictures", study, modality)
    image.PatientName, image.PatientID = "Test^Picture", f"PICTURE-{study}"
    image.PatientBirthDate, image.PatientSex, image.PatientAge = "", "O", age
    image.StudyDate = image.SeriesDate = image.AcquisitionDate = image.ContentDate = "20260303"
    image.StudyTime = image.SeriesTime = image.AcquisitionTime = image.ContentTime = "101500"
    image.StudyID, image.AccessionNumber, image.ReferringPhysicianName = "S1", "A1", None
    image.Modality, image.SeriesNumber, image.InstanceNumber = modality, 1, number
    image.Manufacturer, image.ManufacturerModelName = "Camera works", "Synthetic 1"
    image.DeviceSerialNumber, image.SoftwareVersions = "0001", "1.0"
    image.InstitutionName = None
    image.PatientOrientation = None
    image.BurnedInAnnotation = "NO"
    image.LossyImageCompression = "00"
    _set_pixels(image, pixels)
    return image


def _set_pixels(image: Dataset, pixels: Pixels) -> None:
    colour = pixels.ndim == 3
    image.Rows, image.Columns = pixels.shape[:2]
    image.SamplesPerPixel = 3 if colour else 1
    image.PhotometricInterpretation = "RGB" if colour else "MONOCHROME2"
    if colour:
        image.PlanarConfiguration = 0
    bits = 8 * pixels.itemsize
    image.BitsAllocated = image.BitsStored = bits
    image.HighBit, image.PixelRepresentation = bits - 1, 0
    image.PixelData = _padded(np.ascontiguousarray(pixels).tobytes())
    image["PixelData"].VR = "OW" if bits > 8 else "OB"


def _padded(data: bytes) -> bytes:
    return data + b"\0" * (len(data) % 2)


def _radiograph(image: Dataset) -> None:
    image.PatientOrientation = ["L", "F"]
    image.RescaleIntercept, image.RescaleSlope, image.RescaleType = 0, 1, "US"
    image.PresentationLUTShape = "IDENTITY"
    image.WindowCenter, image.WindowWidth = 2 ** (image.BitsStored - 1), 2**image.BitsStored


def _ultrasound(image: Dataset) -> None:
    image.ImageType = ["ORIGINAL", "PRIMARY", "SMALL PARTS", "0001"]
    image.BodyPartExamined, image.Laterality = "BREAST", "L"
    image.UltrasoundColorDataPresent = int(image.SamplesPerPixel == 3)
    region = Dataset()
    region.RegionSpatialFormat, region.RegionDataType, region.RegionFlags = 1, 1, 0
    region.RegionLocationMinX0 = region.RegionLocationMinY0 = 0
    region.RegionLocationMaxX1, region.RegionLocationMaxY1 = image.Columns - 1, image.Rows - 1
    region.PhysicalUnitsXDirection = region.PhysicalUnitsYDirection = 3
    region.PhysicalDeltaX = region.PhysicalDeltaY = ULTRASOUND_MM / 10
    image.SequenceOfUltrasoundRegions = Items([region])


def _photograph(image: Dataset) -> None:
    image.AcquisitionContextSequence = Items()
    if image.SamplesPerPixel == 1:
        image.PresentationLUTShape = "IDENTITY"


def _coded(code: Code) -> Items:
    item = Dataset()
    item.CodeValue, item.CodingSchemeDesignator, item.CodeMeaning = code.value, code.scheme_designator, code.meaning
    return Items([item])


def _changed(image: Dataset, changes: Mapping[str, Any]) -> Dataset:
    """``changes`` by keyword; None takes the attribute away."""
    for keyword, value in changes.items():
        if value is None:
            delattr(image, keyword)
        else:
            setattr(image, keyword, value)
    return image
