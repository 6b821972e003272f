"""Picture files of every kind become the same float32 values; what is wrong with a file has a name."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from models.kit.data.pictures import LUMA, read_grey, read_picture, read_rgb
from node.errors import ObjectMissing, UndecodablePixelData, UnsupportedImage
from tests.unit.models.kit.pictures import save, textured


def test_eight_bit_grey_is_read_as_it_is(tmp_path: Path) -> None:
    values = np.rint(textured(0))
    read = read_grey(save(values, tmp_path / "a.png"))
    assert read.dtype == np.float32
    np.testing.assert_array_equal(read, values)


def test_sixteen_bit_grey_keeps_its_fractions_in_0_to_255(tmp_path: Path) -> None:
    values = np.array([[0, 257, 65535], [1, 30000, 40001]], dtype=np.uint16)
    read = read_grey(save(values, tmp_path / "a.png"))
    np.testing.assert_allclose(read, values / 257.0, rtol=1e-6)
    np.testing.assert_allclose(read_grey(save(values, tmp_path / "a.tif")), values / 257.0, rtol=1e-6)


def test_colour_keeps_its_channels_and_its_grey_is_luma(tmp_path: Path) -> None:
    colour = np.stack([np.full((4, 6), level) for level in (200, 100, 50)], axis=2)
    path = save(colour, tmp_path / "a.png")
    np.testing.assert_array_equal(read_rgb(path), colour)
    np.testing.assert_allclose(read_grey(path), np.full((4, 6), 0.299 * 200 + 0.587 * 100 + 0.114 * 50), rtol=1e-5)


def test_grey_as_rgb_has_three_equal_channels(tmp_path: Path) -> None:
    read = read_rgb(save(textured(1), tmp_path / "a.png"))
    assert read.shape == (96, 80, 3)
    np.testing.assert_array_equal(read[:, :, 0], read[:, :, 2])


def test_a_palette_is_looked_up(tmp_path: Path) -> None:
    picture = Image.new("P", (2, 1))
    picture.putpalette([10, 20, 30, 200, 210, 220])
    picture.putpixel((1, 0), 1)
    picture.save(tmp_path / "a.png")
    np.testing.assert_array_equal(read_rgb(tmp_path / "a.png"), [[[10, 20, 30], [200, 210, 220]]])


def test_what_is_transparent_is_black(tmp_path: Path) -> None:
    pixels = np.array([[[200, 100, 50, 255], [200, 100, 50, 0]]])
    np.testing.assert_array_equal(read_rgb(save(pixels, tmp_path / "a.png")), [[[200, 100, 50], [0, 0, 0]]])
    Image.fromarray(np.array([[[80, 255], [80, 0]]], dtype=np.uint8), "LA").save(tmp_path / "b.png")
    np.testing.assert_array_equal(read_grey(tmp_path / "b.png"), [[80, 0]])


def test_one_bit_is_black_and_white(tmp_path: Path) -> None:
    Image.fromarray(np.array([[True, False]])).save(tmp_path / "a.png")
    np.testing.assert_array_equal(read_grey(tmp_path / "a.png"), [[255, 0]])


@pytest.mark.parametrize(("orientation", "turns"), [(1, 0), (6, 3), (3, 2), (8, 1)])
def test_exif_orientation_is_followed(tmp_path: Path, orientation: int, turns: int) -> None:
    values = textured(2, 24, 40)
    exif = Image.Exif()
    exif[274] = orientation
    path = save(values, tmp_path / "a.png", exif=exif)
    np.testing.assert_array_equal(read_grey(path), np.rot90(np.rint(values), turns))


def test_cmyk_is_converted(tmp_path: Path) -> None:
    Image.new("CMYK", (8, 8), (0, 255, 255, 0)).save(tmp_path / "a.jpg")
    read = read_rgb(tmp_path / "a.jpg")
    assert read[4, 4, 0] > 240
    assert read[4, 4, 1:].max() < 15


def _cut(path: Path) -> None:
    save(textured(3), path)
    path.write_bytes(path.read_bytes()[:-600])


def _flipped(path: Path) -> None:
    save(textured(3), path)
    data = bytearray(path.read_bytes())
    data[200:240] = bytes(40)
    path.write_bytes(bytes(data))


@pytest.mark.parametrize(
    "spoil",
    [_cut, _flipped, lambda path: path.write_bytes(b""), lambda path: path.write_text("no picture")],
    ids=["cut off", "corrupt", "empty file", "text"],
)
def test_a_broken_file_is_undecodable(tmp_path: Path, spoil: object) -> None:
    assert callable(spoil)
    spoil(tmp_path / "a.png")
    with pytest.raises(UndecodablePixelData):
        read_picture(tmp_path / "a.png")


def test_an_empty_file_is_said_to_be_empty(tmp_path: Path) -> None:
    (tmp_path / "a.jpg").touch()
    with pytest.raises(UndecodablePixelData, match="it is empty"):
        read_picture(tmp_path / "a.jpg")


def test_several_frames_and_32_bit_values_are_not_supported(tmp_path: Path) -> None:
    first, second = Image.new("L", (4, 4)), Image.new("L", (4, 4), 9)
    first.save(tmp_path / "a.tif", save_all=True, append_images=[second])
    with pytest.raises(UnsupportedImage, match="2 frames"):
        read_picture(tmp_path / "a.tif")
    Image.fromarray(np.zeros((4, 4), dtype=np.float32)).save(tmp_path / "b.tif")
    with pytest.raises(UnsupportedImage, match="mode F"):
        read_picture(tmp_path / "b.tif")


def test_a_picture_of_absurd_size_is_refused_before_it_is_decoded(tmp_path: Path) -> None:
    Image.new("1", (12_000, 10_000)).save(tmp_path / "a.png")
    with pytest.raises(UnsupportedImage, match="10000 x 12000"):
        read_picture(tmp_path / "a.png")


def test_what_is_not_there_is_missing(tmp_path: Path) -> None:
    for path in (tmp_path / "none.png", tmp_path):
        with pytest.raises(ObjectMissing):
            read_picture(path)


def test_luma_sums_to_one() -> None:
    assert float(LUMA.sum()) == pytest.approx(1)
