"""Stored objects and frames in Explicit VR Little Endian, whatever they were stored in."""

from __future__ import annotations

import io
import warnings
from typing import BinaryIO

from pydicom import dcmread, dcmwrite
from pydicom.uid import (
    UID,
    DeflatedExplicitVRLittleEndian,
    ExplicitVRBigEndian,
    ExplicitVRLittleEndian,
    ImplicitVRLittleEndian,
)

from node.domain.study import ByteRange
from node.errors import UndecodablePixelData, UnsupportedImage
from node.infer.headers import UNREADABLE
from node.infer.one_frame import read_stored
from node.infer.pictures import read_file
from node.infer.pixels import DECODERS

# Native encodings of which the pixels are the same bytes.
SAME_PIXELS = (ImplicitVRLittleEndian, ExplicitVRLittleEndian, DeflatedExplicitVRLittleEndian)
# An object that would become larger in memory is given as it is stored, or not at all.
LARGEST = 1 << 30


def can_be_uncompressed(transfer_syntax_uid: str) -> bool:
    """Explicit VR Big Endian is retired, and its pixels would have to be turned round: it is given as it is."""
    return transfer_syntax_uid in SAME_PIXELS or transfer_syntax_uid in DECODERS


def uncompressed_frame(location: ByteRange, number: int) -> bytes:
    """Frame ``number`` (from 1) of a compressed grey image, its stored values as little endian integers.

    Raises:
        NotFound: there is no such frame.
        UnsupportedImage: a colour image, whose values another colour space would have to be said of; no decoder.
        UndecodablePixelData: truncated or corrupt.
        ObjectMissing: the file cannot be read.
    """
    file = read_file(location, 0)
    encoding = file.encoding
    if encoding.samples != 1:
        raise UnsupportedImage("frames of a compressed colour image are given as they are stored")
    values = read_stored(file, number)
    kind = "i" if encoding.signed else "u"
    return values.astype(f"<{kind}{encoding.bits_allocated // 8}").tobytes()


def uncompressed_object(file: BinaryIO) -> bytes:
    """The Part 10 file, rewritten.

    Raises:
        UnsupportedImage: it cannot be read, or would become too large.
        UndecodablePixelData: its pixels cannot be decoded.
    """
    with warnings.catch_warnings():
        # Of values that break their VR: they go out as they came.
        warnings.simplefilter("ignore")
        try:
            data_set = dcmread(file)
            syntax = UID(data_set.file_meta.TransferSyntaxUID)
            if syntax == ExplicitVRBigEndian:
                raise UnsupportedImage("an object in the retired Explicit VR Big Endian is given as it is stored")
            if syntax.is_encapsulated:
                _require_small(data_set)
                data_set.decompress(decoding_plugin=DECODERS[syntax], generate_instance_uid=False)
            data_set.file_meta.TransferSyntaxUID = ExplicitVRLittleEndian
            buffer = io.BytesIO()
            dcmwrite(buffer, data_set, implicit_vr=False, little_endian=True, enforce_file_format=True)
        except RuntimeError as error:
            raise UndecodablePixelData(
                "the pixels of an object cannot be decoded", error=type(error).__name__
            ) from error
        except UNREADABLE as error:
            raise UnsupportedImage("an object cannot be read", error=type(error).__name__) from error
    return buffer.getvalue()


def _require_small(data_set: object) -> None:
    told = [int(getattr(data_set, name, 1) or 1) for name in ("Rows", "Columns", "SamplesPerPixel", "NumberOfFrames")]
    size = int(getattr(data_set, "BitsAllocated", 8)) // 8
    for number in told:
        size *= number
    if size > LARGEST:
        raise UnsupportedImage(f"uncompressed the object would have {size} bytes", size=size)
