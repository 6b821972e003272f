"""The frames of a stored object as they are stored: compressed, or as the bits of one frame.

Nothing is decoded, and no more is read than the header and the frame itself.
"""

from __future__ import annotations

import io
import struct
from dataclasses import dataclass
from typing import BinaryIO

import numpy as np
from pydicom import dcmread
from pydicom.dataset import Dataset
from pydicom.encaps import get_frame
from pydicom.uid import UID, DeflatedExplicitVRLittleEndian

from node.errors import NoPixelData, NotFound, UndecodablePixelData, UnsupportedImage
from node.infer.headers import LONG_VRS, UNDEFINED_LENGTH, readable

TAGS = ["Rows", "Columns", "SamplesPerPixel", "BitsAllocated", "NumberOfFrames", "PhotometricInterpretation"]
# Pixel Data, Float Pixel Data, Double Float Pixel Data (PS3.3 C.7.6.3, C.7.6.24, C.7.6.25).
PIXELS = (0x7FE00010, 0x7FE00008, 0x7FE00009)


@dataclass(frozen=True, slots=True)
class EncodedFrames:
    """``count`` frames in the ``length`` bytes at ``start`` of the file (of ``inflated``, where it was deflated).

    ``bits`` is the length of a frame that is not compressed; ``tag`` and ``vr`` are those of the element.
    """

    transfer_syntax_uid: str
    tag: int
    vr: str
    start: int
    length: int
    count: int
    bits: int
    inflated: bytes | None = None

    @property
    def is_encapsulated(self) -> bool:
        return bool(UID(self.transfer_syntax_uid).is_encapsulated)


def encoded_frames(file: BinaryIO) -> EncodedFrames:
    """Where the frames of a Part 10 file lie, which is read from its beginning.

    Raises:
        NoPixelData: the object has none.
        UnsupportedImage: its header cannot be read.
        UndecodablePixelData: the pixels are cut off.
    """
    with readable(0):
        header = dcmread(file, stop_before_pixels=True, specific_tags=[*TAGS])
        syntax = header.file_meta.TransferSyntaxUID
        if syntax == DeflatedExplicitVRLittleEndian:
            return _inflated(file, header, syntax)
        at = file.tell()
        start = file.read(12)
        end = file.seek(0, io.SEEK_END)
        order = "<" if syntax.is_little_endian else ">"
        if len(start) < 8:
            raise NoPixelData("the object has no pixel data")
        tag = (struct.unpack(order + "H", start[:2])[0] << 16) | struct.unpack(order + "H", start[2:4])[0]
        if tag not in PIXELS:
            raise NoPixelData("the object has no pixel data")
        vr = "OW" if syntax.is_implicit_VR else start[4:6].decode("ascii", "replace")
        long = start[4:6] in LONG_VRS or tag != PIXELS[0]
        header_bytes = 12 if long and not syntax.is_implicit_VR else 8
        length = int(struct.unpack_from(order + "L", start, header_bytes - 4)[0])
        available = end - at - header_bytes
        if length != UNDEFINED_LENGTH and length > available:
            raise UndecodablePixelData("the pixel data of an image is cut off", present=available)
        count, bits = _shape(header, tag)
        return EncodedFrames(str(syntax), tag, vr, at + header_bytes, min(length, available), count, bits)


def frame_of(file: BinaryIO, frames: EncodedFrames, number: int) -> bytes:
    """Frame ``number`` (from 1): the compressed stream, or the packed values, padded to whole bytes.

    Raises:
        NotFound: there is no such frame.
        UndecodablePixelData: it is not where it should be.
    """
    if not 1 <= number <= frames.count:
        raise NotFound(f"no frame {number} among {frames.count}")
    if frames.inflated is not None:
        file = io.BytesIO(frames.inflated)
    if not frames.is_encapsulated:
        return _native(file, frames, number)
    file.seek(frames.start)
    try:
        return bytes(get_frame(file, number - 1, number_of_frames=frames.count))
    except (ValueError, IndexError, EOFError, struct.error) as error:
        raise UndecodablePixelData(f"frame {number} of an image cannot be found", frame=number) from error


def _inflated(file: BinaryIO, header: Dataset, syntax: UID) -> EncodedFrames:
    """A deflated data set (PS3.5 A.5) has no offsets: it is inflated as a whole."""
    file.seek(0)
    whole = dcmread(file)
    tag = next((one for one in PIXELS if one in whole), None)
    if tag is None:
        raise NoPixelData("the object has no pixel data")
    value = bytes(whole[tag].value)
    count, bits = _shape(header, tag)
    return EncodedFrames(str(syntax), tag, str(whole[tag].VR), 0, len(value), count, bits, value)


def _shape(header: Dataset, tag: int) -> tuple[int, int]:
    """Frames, and the bits of one that is not compressed; YBR_FULL_422 has two samples a pixel (C.7.6.3.1.2)."""
    samples = 2 if header.get("PhotometricInterpretation") == "YBR_FULL_422" else int(header.get("SamplesPerPixel", 1))
    allocated = int(header.BitsAllocated) if tag == PIXELS[0] else {PIXELS[1]: 32, PIXELS[2]: 64}[tag]
    count, bits = int(header.get("NumberOfFrames") or 1), int(header.Rows) * int(header.Columns) * samples * allocated
    if count < 1 or bits < 1:
        raise UnsupportedImage(f"an image of {count} frames of {bits} bits")
    return count, bits


def _native(file: BinaryIO, frames: EncodedFrames, number: int) -> bytes:
    first, last = (number - 1) * frames.bits, number * frames.bits
    begin, end = first // 8, -(-last // 8)
    if end > frames.length:
        raise UndecodablePixelData("the pixel data of an image ends early", present=frames.length)
    file.seek(frames.start + begin)
    data = file.read(end - begin)
    if len(data) != end - begin:
        raise UndecodablePixelData("the pixel data of an image ends early", present=len(data))
    if first % 8 == 0 and frames.bits % 8 == 0:
        return data
    # Frames of single bits follow each other without padding (PS3.5 section 8.1.1); alone each begins with a byte.
    bits = np.unpackbits(np.frombuffer(data, np.uint8), bitorder="little")[first % 8 :][: frames.bits]
    return np.packbits(bits, bitorder="little").tobytes()
