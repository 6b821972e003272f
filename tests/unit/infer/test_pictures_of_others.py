"""Colour images that other software wrote, against pydicom's own reading of them."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from pydicom import dcmread
from pydicom.data import get_testdata_file
from pydicom.pixels import apply_color_lut, pixel_array

from node.infer.pictures import read_file, read_pictures
from tests.pictures import whole

FILES = (
    "SC_rgb_dcmtk_+eb+cr.dcm", "SC_rgb_dcmtk_+eb+cy+np.dcm", "SC_rgb_dcmtk_+eb+cy+s4.dcm", "SC_rgb_gdcm_KY.dcm",
    "SC_rgb_jls_lossy_line.dcm", "SC_rgb_jls_lossy_sample.dcm", "SC_rgb_jpeg_app14_dcmd.dcm", "SC_rgb_jpeg_gdcm.dcm",
    "SC_rgb_jpeg_dcmtk.dcm", "SC_rgb_rle_2frame.dcm", "SC_rgb_small_odd.dcm", "SC_rgb_small_odd_jpeg.dcm",
    "SC_ybr_full_422_uncompressed.dcm", "examples_rgb_color.dcm", "examples_ybr_color.dcm", "examples_jpeg2k.dcm",
)  # fmt: skip


def path_of(name: str) -> Path:
    found = get_testdata_file(name, download=False)
    assert isinstance(found, str), f"pydicom came without {name}"
    return Path(found)


@pytest.mark.parametrize("name", FILES)
def test_colour(name: str) -> None:
    path = path_of(name)
    pictures = list(read_pictures(read_file(whole(path), 0), 60))
    expected = pixel_array(dcmread(path))
    expected = expected if expected.ndim == 4 else expected[None]
    assert len(pictures) == len(expected)
    for picture, wanted in zip(pictures, expected, strict=True):
        np.testing.assert_allclose(picture.array, wanted, atol=1e-3)


def test_a_palette_of_16_bits() -> None:
    path = path_of("examples_palette.dcm")
    (picture,) = read_pictures(read_file(whole(path), 0))
    image = dcmread(path)
    expected = apply_color_lut(pixel_array(image), image).astype(float) * 255 / 65535
    np.testing.assert_allclose(picture.array, expected, atol=1e-2)
