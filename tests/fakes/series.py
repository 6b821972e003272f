"""Synthetic series as Part 10 files: regular by default, broken on purpose by each test."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from pathlib import Path

import numpy as np
from pydicom.dataset import Dataset, FileMetaDataset
from pydicom.uid import ExplicitVRLittleEndian, MRImageStorage

from node.domain.study import ByteRange

STUDY, SERIES, FRAME_OF_REFERENCE = "1.2.3.1", "1.2.3.2", "1.2.3.3"
ROWS, COLUMNS = 6, 5
AXIAL = [1, 0, 0, 0, 1, 0]


def stored_values(k: int) -> np.ndarray:
    """The pixels of slice k: unsigned 12 bits, different everywhere."""
    return (np.arange(ROWS * COLUMNS).reshape(ROWS, COLUMNS) + 100 * k).astype(np.uint16)


def mr_slice(k: int, spacing_mm: float = 2.5) -> Dataset:
    """Slice k of an axial MR series with 12 of 16 bits stored."""
    image = Dataset()
    image.file_meta = FileMetaDataset()
    image.file_meta.TransferSyntaxUID = ExplicitVRLittleEndian
    image.file_meta.MediaStorageSOPClassUID = image.SOPClassUID = MRImageStorage
    image.file_meta.MediaStorageSOPInstanceUID = image.SOPInstanceUID = f"1.2.3.4.{k}"
    image.StudyInstanceUID, image.SeriesInstanceUID, image.FrameOfReferenceUID = STUDY, SERIES, FRAME_OF_REFERENCE
    image.Modality = "MR"
    image.ImageType = ["ORIGINAL", "PRIMARY", "M", "ND"]
    image.InstanceNumber = k
    image.ImagePositionPatient = [-10, -20, round(k * spacing_mm, 4)]
    image.ImageOrientationPatient = AXIAL
    image.PixelSpacing = [0.5, 0.75]
    image.Rows, image.Columns, image.SamplesPerPixel = ROWS, COLUMNS, 1
    image.PhotometricInterpretation = "MONOCHROME2"
    image.BitsAllocated, image.BitsStored, image.HighBit, image.PixelRepresentation = 16, 12, 11, 0
    image.PixelData = stored_values(k).tobytes()
    image["PixelData"].VR = "OW"
    return image


def series(slices: Iterable[int] = range(4), change: Callable[[Dataset, int], object] | None = None) -> list[Dataset]:
    """Slices of an axial MR series, each handed to ``change`` with its number."""
    images = []
    for k in slices:
        image = mr_slice(k)
        if change is not None:
            change(image, k)
        images.append(image)
    return images


def write(folder: Path, images: Iterable[Dataset]) -> tuple[ByteRange, ...]:
    """Save each image as a file of its own."""
    folder.mkdir(parents=True, exist_ok=True)
    locations = []
    for number, image in enumerate(images):
        path = folder / f"{number:04}.dcm"
        image.save_as(path, enforce_file_format=True)
        locations.append(whole(path))
    return tuple(locations)


def whole(path: Path) -> ByteRange:
    return ByteRange(str(path), 0, path.stat().st_size)
