"""Single frames of stored objects, as they are stored and uncompressed."""

from __future__ import annotations

import io
from pathlib import Path

import numpy as np
import pytest
from pydicom import dcmread, dcmwrite
from pydicom.dataset import Dataset
from pydicom.encaps import encapsulate
from pydicom.uid import (
    DeflatedExplicitVRLittleEndian,
    ExplicitVRBigEndian,
    ExplicitVRLittleEndian,
    ImplicitVRLittleEndian,
    JPEG2000Lossless,
    RLELossless,
)

from node.domain.study import ByteRange
from node.errors import NoPixelData, NotFound, UndecodablePixelData, UnsupportedImage
from node.infer.encoded_frames import encoded_frames, frame_of
from node.infer.uncompressed import can_be_uncompressed, uncompressed_frame, uncompressed_object
from tests.objects import SR, data_set, part10
from tests.peers import data_dir


def frame(data: bytes, number: int) -> bytes:
    file = io.BytesIO(data)
    return frame_of(file, encoded_frames(file), number)


def multiframe(frames: int, **attributes: object) -> Dataset:
    made = data_set()
    made.NumberOfFrames = frames
    for keyword, value in attributes.items():
        setattr(made, keyword, value)
    return made


def test_frames_of_single_bits_begin_with_a_byte_each() -> None:
    rng = np.random.default_rng(1)
    bits = rng.integers(0, 2, (3, 5, 7), np.uint8)
    made = multiframe(3, Rows=5, Columns=7, BitsAllocated=1, BitsStored=1, HighBit=0)
    packed = np.packbits(bits.ravel(), bitorder="little").tobytes()
    made.PixelData = packed + bytes(len(packed) % 2)
    for number in (1, 2, 3):
        alone = np.frombuffer(frame(part10(made), number), np.uint8)
        assert (np.unpackbits(alone, bitorder="little")[:35].reshape(5, 7) == bits[number - 1]).all()


@pytest.mark.parametrize("syntax", [ExplicitVRLittleEndian, ImplicitVRLittleEndian, DeflatedExplicitVRLittleEndian])
def test_native_frames(syntax: str) -> None:
    made = multiframe(3, Rows=4, Columns=4)
    made.PixelData = np.arange(48, dtype="<u2").tobytes()
    written = io.BytesIO()
    made.file_meta = dcmread(io.BytesIO(part10(made))).file_meta
    made.file_meta.TransferSyntaxUID = syntax
    dcmwrite(written, made, enforce_file_format=True)
    assert np.frombuffer(frame(written.getvalue(), 2), "<u2").tolist() == list(range(16, 32))
    assert can_be_uncompressed(syntax)
    rewritten = dcmread(io.BytesIO(uncompressed_object(io.BytesIO(written.getvalue()))))
    assert rewritten.file_meta.TransferSyntaxUID == ExplicitVRLittleEndian
    assert (rewritten.PixelData, rewritten.PatientName) == (made.PixelData, made.PatientName)


def test_compressed_frames_are_found_with_and_without_an_offset_table() -> None:
    made = multiframe(2)
    for with_table in (True, False):
        made.PixelData = encapsulate([b"first stream", b"second"], has_bot=with_table)
        made["PixelData"].VR = "OB"
        data = part10(made, JPEG2000Lossless)
        assert frame(data, 2).startswith(b"second")


def test_what_is_not_there_is_named() -> None:
    with pytest.raises(NotFound, match="no frame 2 among 1"):
        frame(part10(data_set()), 2)
    report = data_set(SR)
    del report.PixelData
    with pytest.raises(NoPixelData):
        frame(part10(report), 1)
    with pytest.raises(UndecodablePixelData):
        frame(part10(data_set())[:-9], 1)
    with pytest.raises(UndecodablePixelData):
        frame(part10(multiframe(2)), 2)
    with pytest.raises(UnsupportedImage):
        frame(part10(multiframe(1, Rows=0)), 1)
    with pytest.raises(UnsupportedImage):
        encoded_frames(io.BytesIO(b"no DICOM at all" * 20))
    assert not can_be_uncompressed(ExplicitVRBigEndian)
    huge = multiframe(30000, Rows=60000, Columns=60000)
    huge.PixelData = encapsulate([b"few"])
    huge["PixelData"].VR = "OB"
    with pytest.raises(UnsupportedImage, match="bytes"):
        uncompressed_object(io.BytesIO(part10(huge, RLELossless)))
    broken = data_set()
    broken.PixelData = encapsulate([b"no stream of JPEG 2000"])
    broken["PixelData"].VR = "OB"
    with pytest.raises(UndecodablePixelData):
        uncompressed_object(io.BytesIO(part10(broken, JPEG2000Lossless)))


@pytest.mark.parametrize("name", ["CT1_J2KR", "CT1_JLSL", "CT1_JPLL", "CT1_RLE", "XA1_J2KR", "XA1_RLE"])
def test_real_images_uncompressed(name: str) -> None:
    """As pydicom decodes them by itself."""
    path = data_dir("wg04-compressed") / name
    expected = dcmread(path)
    values = expected.pixel_array.reshape(-1, expected.Rows, expected.Columns)
    assert uncompressed_frame(whole(path), 1) == values[0].astype(values.dtype.newbyteorder("<")).tobytes()
    with path.open("rb") as file:
        rewritten = dcmread(io.BytesIO(uncompressed_object(file)))
    assert (rewritten.pixel_array == expected.pixel_array).all()
    assert rewritten.SOPInstanceUID == expected.SOPInstanceUID


def test_colour_is_given_as_it_is_stored() -> None:
    with pytest.raises(UnsupportedImage, match="colour"):
        uncompressed_frame(whole(data_dir("wg04-compressed") / "US1_RLE"), 1)


def whole(path: Path) -> ByteRange:
    return ByteRange(str(path), 0, path.stat().st_size)
