"""Stored pixel values of one object, in whichever transfer syntax it came.

Uncompressed values are read straight from the file; compressed ones by a named decoder for each transfer syntax, so
that a result does not depend on what else is installed. None of the decoders is under the GPL.
"""

from __future__ import annotations

import struct
import warnings
from collections.abc import Iterator, Mapping
from typing import Any

import gdcm
import numpy as np
import numpy.typing as npt
from pydicom import uid
from pydicom.encaps import generate_frames
from pydicom.pixels.decoders.base import get_decoder

from node.errors import UndecodablePixelData, UnsupportedImage
from node.infer.encoding import ITEM_HEADER_BYTES, Encoding
from node.infer.headers import Image

Stored = npt.NDArray[np.integer[Any]]

DECODERS: Mapping[str, str] = {
    uid.RLELossless: "pydicom",
    uid.JPEGBaseline8Bit: "gdcm",
    uid.JPEGExtended12Bit: "gdcm",
    uid.JPEGLossless: "gdcm",
    uid.JPEGLosslessSV1: "gdcm",
    uid.JPEGLSLossless: "pyjpegls",
    uid.JPEGLSNearLossless: "pyjpegls",
    uid.JPEG2000Lossless: "pylibjpeg",
    uid.JPEG2000: "pylibjpeg",
    uid.HTJ2KLossless: "pylibjpeg",
    uid.HTJ2KLosslessRPCL: "pylibjpeg",
    uid.HTJ2K: "pylibjpeg",
}

ITEM = b"\xfe\xff\x00\xe0"
SEQUENCE_DELIMITATION = b"\xfe\xff\xdd\xe0"


def stored_frames(image: Image) -> Iterator[Stored]:
    """The stored values of each frame as an integer array (rows, columns), sign and unused bits resolved.

    Raises:
        UndecodablePixelData: truncated or corrupt.
        UnsupportedImage: a transfer syntax without a decoder.
        ObjectMissing: the file is gone.
    """
    encoding = image.encoding
    if encoding.encapsulated:
        return _decoded_frames(image.pixels.read(), encoding)
    return _native_frames(image.pixels.read(), encoding)


def _native_frames(data: bytes, encoding: Encoding) -> Iterator[Stored]:
    if not encoding.little_endian and encoding.bits_allocated == 8:
        raise UnsupportedImage("8-bit pixel data in the retired Explicit VR Big Endian")
    kind = ("<" if encoding.little_endian else ">") + ("i" if encoding.signed else "u")
    pixels = encoding.rows * encoding.columns
    if len(data) < encoding.frame_bytes * encoding.frames:
        raise UndecodablePixelData("the pixel data of an image ends early", present=len(data))
    for frame in range(encoding.frames):
        values = np.frombuffer(
            data, f"{kind}{encoding.bits_allocated // 8}", count=pixels, offset=frame * encoding.frame_bytes
        )
        yield _without_unused_bits(values, encoding).reshape(encoding.rows, encoding.columns)


def _without_unused_bits(values: Stored, encoding: Encoding) -> Stored:
    """Only Bits Stored below High Bit count (PS3.5 section 8.1.1); the right shift carries the sign."""
    above = encoding.bits_allocated - 1 - encoding.high_bit
    unused = encoding.bits_allocated - encoding.bits_stored
    if unused == 0:
        return values
    return np.right_shift(np.left_shift(values, above), unused)


def _decoded_frames(data: bytes, encoding: Encoding) -> Iterator[Stored]:
    plugin = DECODERS.get(encoding.transfer_syntax_uid)
    if plugin is None:
        raise UnsupportedImage(f"no decoder for transfer syntax {encoding.transfer_syntax_uid}")
    require_whole(data)
    frames = _extended_12_bit(data, encoding) if _is_extended_12_bit(encoding) else _by_pydicom(data, encoding, plugin)
    for number in range(encoding.frames):
        yield next_frame(frames, encoding, number)


def next_frame(frames: Iterator[Stored], encoding: Encoding, number: int) -> Stored:
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            values = next(frames)
        return values.reshape((encoding.rows, encoding.columns, encoding.samples)[: 2 if encoding.samples == 1 else 3])
    except (StopIteration, RuntimeError, ValueError, TypeError, AttributeError, IndexError, struct.error) as error:
        # Each decoder has exceptions of its own; pydicom wraps most of them into RuntimeError.
        raise UndecodablePixelData(
            f"frame {number + 1} of an image cannot be decoded", frame=number + 1, error=type(error).__name__
        ) from error


def _by_pydicom(data: bytes, encoding: Encoding, plugin: str) -> Iterator[Stored]:
    decoder = get_decoder(uid.UID(encoding.transfer_syntax_uid))
    frames = decoder.iter_array(
        data,
        raw=True,
        decoding_plugin=plugin,
        rows=encoding.rows,
        columns=encoding.columns,
        number_of_frames=encoding.frames,
        samples_per_pixel=1,
        photometric_interpretation=encoding.photometric,
        bits_allocated=encoding.bits_allocated,
        bits_stored=encoding.bits_stored,
        pixel_representation=int(encoding.signed),
        pixel_keyword="PixelData",
    )
    for values, _ in frames:
        yield values


def _is_extended_12_bit(encoding: Encoding) -> bool:
    return encoding.transfer_syntax_uid == uid.JPEGExtended12Bit and encoding.bits_stored > 8


def _extended_12_bit(data: bytes, encoding: Encoding) -> Iterator[Stored]:
    """JPEG Extended with 12-bit samples, which pydicom's plugin declines and GDCM itself decodes."""
    gdcm.Trace.WarningOff()
    gdcm.Trace.ErrorOff()
    for frame in generate_frames(data, number_of_frames=encoding.frames):
        fragment = gdcm.Fragment()
        fragment.SetByteStringValue(frame)
        fragments = gdcm.SequenceOfFragments.New()
        fragments.AddFragment(fragment)
        element = gdcm.DataElement(gdcm.Tag(0x7FE0, 0x0010))
        element.SetValue(fragments.__ref__())
        image = gdcm.Image()
        image.SetNumberOfDimensions(2)
        image.SetDimensions((encoding.columns, encoding.rows, 1))
        image.SetDataElement(element)
        image.SetPhotometricInterpretation(
            gdcm.PhotometricInterpretation(gdcm.PhotometricInterpretation.GetPIType(encoding.photometric))
        )
        image.SetTransferSyntax(gdcm.TransferSyntax(gdcm.TransferSyntax.GetTSType(encoding.transfer_syntax_uid)))
        image.SetPixelFormat(gdcm.PixelFormat(1, 16, encoding.bits_stored, encoding.bits_stored - 1, encoding.signed))
        values = image.GetBuffer().encode("utf-8", "surrogateescape")
        yield np.frombuffer(values, "<i2" if encoding.signed else "<u2")


def require_whole(data: bytes) -> None:
    """The items of the encapsulated stream (PS3.5 section A.4) are whole up to its Sequence Delimitation Item."""
    at, present = 0, len(data)
    while data[at : at + 4] == ITEM and at + ITEM_HEADER_BYTES <= present:
        at += ITEM_HEADER_BYTES + int(struct.unpack_from("<L", data, at + 4)[0])
    if at > present or data[at : at + 4] != SEQUENCE_DELIMITATION:
        raise UndecodablePixelData("the compressed pixel data of an image is cut off", present=present)
