"""Images to pictures: every colour space, depth, encoding and lookup table, and what is refused with its name."""

from __future__ import annotations

import io
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import pytest
from PIL import Image
from pydicom import uid
from pydicom.dataset import Dataset
from pydicom.encaps import encapsulate
from pydicom.pixels import convert_color_space
from pydicom.sequence import Sequence

from node.domain.study import Picture, SopRef
from node.errors import InputError, NoPixelData, UndecodablePixelData, UnsupportedImage
from node.infer.pictures import read_file, read_pictures
from tests import pictures

GREY8 = (np.arange(64 * 48) % 251).astype(np.uint8).reshape(64, 48)
GREY12 = (np.arange(64 * 48) % 4096).astype(np.uint16).reshape(64, 48)
COLOUR = np.zeros((64, 48, 3), np.uint8)
COLOUR[:32], COLOUR[32:], COLOUR[:, 24:, 2] = (200, 30, 40), (20, 180, 90), 240


def read(tmp_path: Path, image: Dataset, frames_at_most: int = 1) -> list[Picture]:
    (path,) = pictures.save(tmp_path, [image])
    return list(read_pictures(read_file(pictures.whole(path), 0), frames_at_most))


def only(tmp_path: Path, image: Dataset) -> Picture:
    (picture,) = read(tmp_path, image)
    return picture


# ---------------------------------------------------------------- grey


def test_a_grey_image_is_its_stored_values(tmp_path: Path) -> None:
    image = pictures.us(GREY8)
    picture = only(tmp_path, image)
    assert (picture.array.dtype, picture.shape, picture.is_colour) == (np.float32, (64, 48), False)
    np.testing.assert_array_equal(picture.array, GREY8)
    assert picture.ref == SopRef(image.SOPClassUID, image.SOPInstanceUID)
    assert picture.modality == "US"


def test_rescale_and_monochrome1(tmp_path: Path) -> None:
    changes = {"BitsStored": 12, "HighBit": 11, "RescaleSlope": 2, "RescaleIntercept": -10}
    picture = only(tmp_path, pictures.dx(GREY12, PhotometricInterpretation="MONOCHROME1", **changes))
    np.testing.assert_array_equal(picture.array, 2.0 * (4095 - GREY12.astype(float)) - 10)


@pytest.mark.parametrize("inverted", [False, True])
@pytest.mark.parametrize("entry_bytes", [1, 2])
def test_a_modality_lookup_table(tmp_path: Path, inverted: bool, entry_bytes: int) -> None:
    """Four entries from the stored value 10 on; what lies outside takes the first and the last."""
    entries = np.array([0, 50, 60, 200])
    table = Dataset()
    table.LUTDescriptor = [4, 10, 8 * entry_bytes]
    table.add_new("LUTData", "OW", entries.astype(f"<u{entry_bytes}").tobytes())
    table.ModalityLUTType = "US"
    photometric = "MONOCHROME1" if inverted else "MONOCHROME2"
    image = pictures.cr(GREY8, PhotometricInterpretation=photometric, ModalityLUTSequence=Sequence([table]))
    expected = entries[np.clip(GREY8.astype(int) - 10, 0, 3)]
    np.testing.assert_array_equal(only(tmp_path, image).array, 200 - expected if inverted else expected)


def test_signed_values_have_a_signed_table(tmp_path: Path) -> None:
    table = Dataset()
    table.add_new("LUTDescriptor", "US", [3, 65535, 16])  # the first mapped value is -1
    table.add_new("LUTData", "US", [7, 8, 9])
    table.ModalityLUTType = "US"
    values = np.tile(np.array([-5, -1, 0, 1, 5, 0], np.int16), (4, 1))
    image = pictures.cr(values.view(np.uint16), PixelRepresentation=1, ModalityLUTSequence=Sequence([table]))
    np.testing.assert_array_equal(only(tmp_path, image).array[0], [7, 7, 8, 9, 9, 8])


# ---------------------------------------------------------------- colour


def _rgb(image: Dataset) -> None:
    del image


def _planar(image: Dataset) -> None:
    image.PlanarConfiguration = 1
    image.PixelData = np.moveaxis(COLOUR, 2, 0).tobytes()


def _ybr_full(image: Dataset) -> None:
    image.PhotometricInterpretation = "YBR_FULL"
    image.PixelData = convert_color_space(COLOUR, "RGB", "YBR_FULL").tobytes()


def _ybr_full_422(image: Dataset) -> None:
    """Y1 Y2 Cb Cr for each two neighbours (PS3.3 C.7.6.3.1.2)."""
    ybr = convert_color_space(COLOUR, "RGB", "YBR_FULL").reshape(-1, 2, 3)
    image.PhotometricInterpretation = "YBR_FULL_422"
    image.PixelData = np.stack([ybr[:, 0, 0], ybr[:, 1, 0], ybr[:, 0, 1], ybr[:, 0, 2]], axis=1).tobytes()


def _sixteen_bits(image: Dataset) -> None:
    image.BitsAllocated = image.BitsStored = 16
    image.HighBit = 15
    image.PixelData = (COLOUR.astype(np.uint16) * 257).tobytes()
    image["PixelData"].VR = "OW"


def _palette(image: Dataset, bits: int = 16) -> None:
    """Index 10 is the first colour, 11 and 12 the others; indices outside take the ends."""
    colours = np.unique(COLOUR.reshape(-1, 3), axis=0)
    index = np.array([np.flatnonzero((colours == pixel).all(axis=1))[0] for pixel in COLOUR.reshape(-1, 3)])
    image.SamplesPerPixel, image.PhotometricInterpretation = 1, "PALETTE COLOR"
    del image.PlanarConfiguration
    image.PixelData = np.where(index == 0, 3, 10 + index).astype(np.uint8).tobytes()
    for channel, name in enumerate(("Red", "Green", "Blue")):
        values = colours[:, channel].astype(np.uint16) * (257 if bits == 16 else 1)
        setattr(image, f"{name}PaletteColorLookupTableDescriptor", [len(colours), 10, bits])
        image.add_new(f"{name}PaletteColorLookupTableData", "OW", values.astype("<u2").tobytes())


def _palette_8_bits(image: Dataset) -> None:
    _palette(image, 8)


def _rle_planar(image: Dataset) -> None:
    image.compress(uid.RLELossless, generate_instance_uid=False)


def _jpeg_2000(image: Dataset) -> None:
    """Reversible colour transform (YBR_RCT)."""
    image.PhotometricInterpretation = "YBR_RCT"
    image.compress(uid.JPEG2000Lossless, COLOUR, encoding_plugin="pylibjpeg", generate_instance_uid=False)


def _jpeg_ls(image: Dataset) -> None:
    image.compress(uid.JPEGLSLossless, encoding_plugin="pyjpegls", generate_instance_uid=False)


LOSSLESS: list[Callable[[Dataset], Any]] = [
    _rgb, _planar, _sixteen_bits, _palette, _palette_8_bits, _rle_planar, _jpeg_2000, _jpeg_ls,
]  # fmt: skip


@pytest.mark.parametrize("change", LOSSLESS)
def test_colour_as_rgb(tmp_path: Path, change: Callable[[Dataset], Any]) -> None:
    image = pictures.us(COLOUR)
    change(image)
    picture = only(tmp_path, image)
    assert (picture.is_colour, picture.array.dtype) == (True, np.float32)
    np.testing.assert_allclose(picture.array, COLOUR, atol=1e-4)


@pytest.mark.parametrize("change", [_ybr_full, _ybr_full_422])
def test_luminance_and_chrominance_become_rgb(tmp_path: Path, change: Callable[[Dataset], Any]) -> None:
    image = pictures.us(COLOUR)
    change(image)
    np.testing.assert_allclose(only(tmp_path, image).array, COLOUR, atol=2)  # rounding there and back


def _jpeg(**options: Any) -> bytes:
    buffer = io.BytesIO()
    Image.fromarray(COLOUR).save(buffer, "JPEG", quality=98, **options)
    return buffer.getvalue()


def _bare(jpeg: bytes) -> bytes:
    """Without application segments: nothing says which colour space it is."""
    at = 2
    while jpeg[at] == 0xFF and 0xE0 <= jpeg[at + 1] <= 0xEF:
        at += 2 + int.from_bytes(jpeg[at + 2 : at + 4], "big")
    return jpeg[:2] + jpeg[at:]


def _adobe(jpeg: bytes, transform: int) -> bytes:
    bare = _bare(jpeg)
    return bare[:2] + b"\xff\xee\x00\x0eAdobe\x00\x64\x00\x00\x00\x00" + bytes([transform]) + bare[2:]


JPEGS = {
    "JFIF, as it says": (_jpeg(), "YBR_FULL_422"),
    "bare, as it says": (_bare(_jpeg()), "YBR_FULL_422"),
    "JFIF that calls itself RGB": (_jpeg(), "RGB"),
    "thinned colours that call themselves RGB": (_bare(_jpeg()), "RGB"),
    "Adobe YCbCr": (_adobe(_jpeg(), 1), "YBR_FULL_422"),
    "Adobe YCbCr that calls itself RGB": (_adobe(_jpeg(), 1), "RGB"),
    "Adobe RGB": (_jpeg(keep_rgb=True, subsampling=0), "RGB"),
    "bare RGB": (_bare(_jpeg(keep_rgb=True, subsampling=0)), "RGB"),
    "RGB that calls itself YBR": (_jpeg(keep_rgb=True, subsampling=0), "YBR_FULL_422"),
}


@pytest.mark.parametrize(("jpeg", "photometric"), JPEGS.values(), ids=JPEGS.keys())
def test_jpeg_has_the_colours_that_were_meant(tmp_path: Path, jpeg: bytes, photometric: str) -> None:
    image = pictures.us(COLOUR, PhotometricInterpretation=photometric)
    image.file_meta.TransferSyntaxUID = uid.JPEGBaseline8Bit
    image.PixelData = encapsulate([jpeg])
    found = only(tmp_path, image).array
    # Far from the edges, where thinned colours run into one another.
    for place in ((8, 8), (8, 40), (56, 8), (56, 40)):
        np.testing.assert_allclose(found[place], COLOUR[place], atol=4)


# ---------------------------------------------------------------- frames and spacing


def test_frames_are_pictures_where_that_is_declared(tmp_path: Path) -> None:
    image = pictures.us_loop(np.stack([COLOUR, 255 - COLOUR]))
    found = read(tmp_path, image, frames_at_most=2)
    assert [picture.ref.frame for picture in found] == [1, 2]
    np.testing.assert_array_equal(found[1].array, 255 - COLOUR)
    with pytest.raises(UnsupportedImage, match="multi-frame image of 2 frames; this model takes at most 1"):
        read(tmp_path, image)


def test_one_frame_of_a_multi_frame_class_is_one_image(tmp_path: Path) -> None:
    assert only(tmp_path, pictures.op(COLOUR)).ref.frame is None


@pytest.mark.parametrize(
    ("image", "spacing"),
    [
        (pictures.cr(GREY8), (0.2, 0.2)),
        (pictures.dx(GREY12, ImagerPixelSpacing=[0.1, 0.3]), (0.1, 0.3)),
        (pictures.us(GREY8), (0.08, 0.08)),
        (pictures.us(GREY8, SequenceOfUltrasoundRegions=None), None),
        (pictures.dx(GREY12, ImagerPixelSpacing=[0, 0]), None),
        (pictures.xc(COLOUR), None),
    ],
)
def test_spacing(tmp_path: Path, image: Dataset, spacing: tuple[float, float] | None) -> None:
    found = only(tmp_path, image).pixel_spacing_mm
    assert found == (None if spacing is None else pytest.approx(spacing))


# ---------------------------------------------------------------- what is refused


def _short(image: Dataset) -> None:
    image.PixelData = image.PixelData[:100]


def _hsv(image: Dataset) -> None:
    image.PhotometricInterpretation = "HSV"


def _signed(image: Dataset) -> None:
    image.PixelRepresentation = 1


def _no_blue(image: Dataset) -> None:
    _palette(image)
    del image.BluePaletteColorLookupTableData


def _short_palette(image: Dataset) -> None:
    _palette(image)
    image.RedPaletteColorLookupTableDescriptor = [200, 10, 16]


def _segmented(image: Dataset) -> None:
    _palette(image)
    image.SegmentedRedPaletteColorLookupTableData = b"\0\0\1\0\0\0"


def _no_decoder(image: Dataset) -> None:
    image.file_meta.TransferSyntaxUID = uid.MPEG2MPML
    image.PixelData = encapsulate([b"\0" * 20])


def _cut_jpeg(image: Dataset) -> None:
    image.file_meta.TransferSyntaxUID = uid.JPEGBaseline8Bit
    image.PhotometricInterpretation = "YBR_FULL_422"
    image.PixelData = encapsulate([_jpeg()[:40]])


def _no_image(image: Dataset) -> None:
    for keyword in ("PixelData", "PhotometricInterpretation"):
        delattr(image, keyword)


REFUSED: list[tuple[Callable[[Dataset], Any], type[InputError], str]] = [
    (_short, UndecodablePixelData, "100 bytes"),
    (_hsv, UnsupportedImage, "HSV with 3 samples"),
    (_signed, UnsupportedImage, "8 bits in 8"),
    (_no_blue, UnsupportedImage, "without a complete palette"),
    (_short_palette, UnsupportedImage, "that claims 200"),
    (_segmented, UnsupportedImage, "segmented palette"),
    (_no_decoder, UnsupportedImage, "no decoder for transfer syntax"),
    (_cut_jpeg, UndecodablePixelData, "frame 1"),
    (_no_image, NoPixelData, "no pixel data"),
]


@pytest.mark.parametrize(("change", "error", "words"), REFUSED)
def test_what_is_refused(tmp_path: Path, change: Callable[[Dataset], Any], error: type[InputError], words: str) -> None:
    image = pictures.us(COLOUR)
    change(image)
    with pytest.raises(error, match=words):
        read(tmp_path, image)


def test_pixels_are_read_one_picture_after_the_other(tmp_path: Path) -> None:
    """A second frame that cannot be decoded does not take the first away."""
    image = pictures.us_loop(np.stack([COLOUR, COLOUR]))
    image.file_meta.TransferSyntaxUID = uid.JPEGBaseline8Bit
    image.PhotometricInterpretation = "YBR_FULL_422"
    image.PixelData = encapsulate([_jpeg(), b"\xff\xd8" + b"\0" * 30])
    (path,) = pictures.save(tmp_path, [image])
    found = read_pictures(read_file(pictures.whole(path), 0), 2)
    assert next(found).shape == (64, 48)
    with pytest.raises(UndecodablePixelData, match="frame 2"):
        next(found)


def test_what_is_read_is_float32_in_range(tmp_path: Path) -> None:
    array: npt.NDArray[np.float32] = only(tmp_path, pictures.op(COLOUR)).array
    assert (float(array.min()), float(array.max())) == (20.0, 240.0)
