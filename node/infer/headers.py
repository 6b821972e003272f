"""One stored object to the facts a volume needs: its planes, how its pixels are encoded, and where they lie."""

from __future__ import annotations

import io
import struct
import warnings
import zlib
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from pydicom import dcmread
from pydicom.dataset import Dataset
from pydicom.errors import InvalidDicomError
from pydicom.uid import DeflatedExplicitVRLittleEndian

from node.domain.study import ByteRange
from node.errors import NoPixelData, ObjectMissing, UndecodablePixelData, UnsupportedImage
from node.infer.encoding import Encoding, read_encoding, require_grey, require_room
from node.infer.geometry import Plane
from node.infer.planes import Rescale, read_planes

# Nearly every header ends before; a longer one costs a second reading.
HEADER_BYTES = 64 * 1024
UNDEFINED_LENGTH = 0xFFFFFFFF
PIXEL_DATA = b"\xe0\x7f\x10\x00"
PIXEL_DATA_BIG_ENDIAN = b"\x7f\xe0\x00\x10"
OTHER_PIXEL_DATA = (b"\xe0\x7f\x08\x00", b"\xe0\x7f\x09\x00")  # Float and Double Float Pixel Data
LONG_VRS = (b"OB", b"OW", b"UN")

TAGS: list[Any] = [
    "SOPClassUID", "SOPInstanceUID", "Modality", "ImageType", "FrameOfReferenceUID",
    "ImagePositionPatient", "ImageOrientationPatient", "PixelSpacing", "AcquisitionNumber", "AcquisitionTime",
    "TriggerTime", "EchoTime", "EchoNumbers", "TemporalPositionIdentifier", "DiffusionBValue", "ConvolutionKernel",
    "SharedFunctionalGroupsSequence", "PerFrameFunctionalGroupsSequence",
    "SamplesPerPixel", "PhotometricInterpretation", "NumberOfFrames", "Rows", "Columns",
    "BitsAllocated", "BitsStored", "HighBit", "PixelRepresentation",
    "RescaleIntercept", "RescaleSlope", "ModalityLUTSequence", "BurnedInAnnotation",
]  # fmt: skip

# What pydicom raises on a header it cannot make sense of.
UNREADABLE = (
    InvalidDicomError, ValueError, TypeError, AttributeError, KeyError, IndexError, OverflowError, EOFError,
    NotImplementedError, RecursionError, struct.error, zlib.error,
)  # fmt: skip


@dataclass(frozen=True, slots=True)
class PixelSpan:
    """Where the value of Pixel Data lies: ``length`` bytes at ``offset`` of the file, or ``held`` in memory."""

    path: str
    offset: int
    length: int
    held: bytes | None = None

    def read(self) -> bytes:
        """The bytes of the span.

        Raises:
            ObjectMissing: the file cannot be read.
        """
        return self.held if self.held is not None else _read(ByteRange(self.path, self.offset, self.length))


@dataclass(frozen=True, slots=True)
class Image:
    """One object: a plane and a (slope, intercept) for each frame; ``burned_in``: Burned In Annotation (0028,0301)."""

    planes: tuple[Plane, ...]
    rescale: tuple[Rescale, ...]
    encoding: Encoding
    pixels: PixelSpan
    modality: str
    burned_in: str = ""


def read_image(location: ByteRange, source: int) -> Image:
    """Read the header of one Part 10 file. ``source`` is the number that its planes carry.

    Raises:
        NoPixelData: the object is no image.
        UnsupportedImage: colour, bit depth, modality LUT, or a header that cannot be read.
        UndecodablePixelData: Pixel Data is shorter than the image.
        ObjectMissing: the file cannot be read.
    """
    with readable(source):
        header, pixels = parse(location, TAGS)
        return _describe(header, pixels, source)


@contextmanager
def readable(source: int) -> Iterator[None]:
    """What pydicom makes of a header it does not understand becomes UnsupportedImage; ``source`` numbers the image."""
    try:
        with warnings.catch_warnings():
            # pydicom warns of values that break their VR; what is needed is checked afterwards, the rest is not ours.
            warnings.simplefilter("ignore")
            yield
    except UNREADABLE as error:
        raise UnsupportedImage(
            f"the header of an image cannot be read ({type(error).__name__})", image=source, error=type(error).__name__
        ) from error


def parse(location: ByteRange, tags: list[Any]) -> tuple[Dataset, PixelSpan]:
    """The ``tags`` of one Part 10 file, and where its Pixel Data lies.

    Raises:
        NoPixelData, UnsupportedImage, UndecodablePixelData, ObjectMissing: as ``read_image``.
        Exception: one of ``UNREADABLE``.
    """
    data = _read(ByteRange(location.path, location.offset, min(HEADER_BYTES, location.length)))
    while True:
        stream = io.BytesIO(data)
        try:
            header = dcmread(stream, stop_before_pixels=True, specific_tags=tags)
        except UNREADABLE:
            if len(data) == location.length:
                raise
        else:
            if header.file_meta.TransferSyntaxUID == DeflatedExplicitVRLittleEndian:
                return _inflated(location)
            start = data[stream.tell() : stream.tell() + 12]
            # A header that goes on behind the first bytes ends them anywhere but at Pixel Data.
            if len(start) == 12 or len(data) == location.length:
                return header, _pixel_span(header, start, stream.tell(), location)
        data = _read(location)


def _pixel_span(header: Dataset, start: bytes, at: int, location: ByteRange) -> PixelSpan:
    if start[:4] in OTHER_PIXEL_DATA:
        raise UnsupportedImage("the image holds floating-point pixel data")
    if start[:4] not in (PIXEL_DATA, PIXEL_DATA_BIG_ENDIAN) or len(start) < 8:
        raise NoPixelData("an object of the series holds no pixel data")
    order = "<" if header.file_meta.TransferSyntaxUID.is_little_endian else ">"
    if start[4:6] in LONG_VRS:
        value, length = at + 12, int(struct.unpack(order + "L", start[8:12])[0])
    else:
        value, length = at + 8, int(struct.unpack(order + "L", start[4:8])[0])
    available = location.length - value
    if length != UNDEFINED_LENGTH and length > available:
        raise UndecodablePixelData(
            f"the pixel data of an image is cut off after {available} of {length} bytes", present=available
        )
    return PixelSpan(location.path, location.offset + value, min(length, available))


def _inflated(location: ByteRange) -> tuple[Dataset, PixelSpan]:
    # A deflated data set (PS3.5 A.5) has no offsets: it is inflated as a whole.
    header = dcmread(io.BytesIO(_read(location)))
    if "PixelData" not in header:
        raise NoPixelData("an object of the series holds no pixel data")
    return header, PixelSpan(location.path, 0, len(header.PixelData), bytes(header.PixelData))


def _describe(header: Dataset, pixels: PixelSpan, source: int) -> Image:
    encoding = read_encoding(header)
    require_grey(encoding, header)
    require_room(encoding, pixels.length)
    planes, rescale = read_planes(header, encoding, source)
    return Image(planes, rescale, encoding, pixels, *image_texts(header))


def image_texts(header: Dataset) -> tuple[str, str]:
    """Modality and Burned In Annotation, empty where they are absent; the latter is YES, NO or nothing."""
    burned_in = str(header.get("BurnedInAnnotation") or "").strip()
    return str(header.get("Modality") or ""), burned_in if burned_in in ("YES", "NO") else ""


def _read(location: ByteRange) -> bytes:
    try:
        with Path(location.path).open("rb") as file:
            file.seek(location.offset)
            return file.read(location.length)
    except OSError as error:
        raise ObjectMissing("a stored image cannot be read", path=location.path, reason=error.strerror) from error
