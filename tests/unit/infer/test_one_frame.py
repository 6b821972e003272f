"""One frame by itself is the frame that reading all of them gives."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pydicom
import pytest
from pydicom.encaps import encapsulate
from pydicom.uid import RLELossless

from node.errors import NotFound, UndecodablePixelData
from node.infer.one_frame import read_frame
from node.infer.pictures import ImageFile, read_file, read_pictures
from tests import pictures
from tests.peers import data_dir

FRAMES = np.random.default_rng(5).integers(0, 255, (4, 6, 10), dtype=np.uint8)
REAL = ("xa-fodicom", "mini-series-dicom2nifti/philips_enhanced_anatomical_001")


def saved(folder: Path, compressed: bool) -> ImageFile:
    loop = pictures.us_loop(FRAMES)
    if compressed:
        loop.compress(RLELossless)
    (path,) = pictures.save(folder, [loop])
    return read_file(pictures.whole(path), 0)


@pytest.mark.parametrize("compressed", [False, True])
def test_each_frame_of_a_loop(compressed: bool, tmp_path: Path) -> None:
    file = saved(tmp_path, compressed)
    for number, values in enumerate(FRAMES, 1):
        picture = read_frame(file, number)
        np.testing.assert_array_equal(picture.array, values)
        assert picture.ref.frame == number


def test_a_frame_that_is_not_there(tmp_path: Path) -> None:
    file = saved(tmp_path, False)
    for number in (0, 5, -1):
        with pytest.raises(NotFound):
            read_frame(file, number)


def test_frames_that_cannot_be_found(tmp_path: Path) -> None:
    loop = pictures.us_loop(FRAMES)
    loop.compress(RLELossless)
    # One fragment where four frames are claimed.
    loop.PixelData = encapsulate([b"\0" * 100])
    (path,) = pictures.save(tmp_path, [loop])
    with pytest.raises(UndecodablePixelData):
        read_frame(read_file(pictures.whole(path), 0), 3)


@pytest.mark.parametrize("folder", REAL)
def test_frames_of_real_objects(folder: str) -> None:
    paths = [path for path in sorted(data_dir(folder).rglob("*")) if path.is_file()]
    seen = 0
    for path in paths:
        try:
            frames = int(pydicom.dcmread(path, stop_before_pixels=True).get("NumberOfFrames") or 1)
        except pydicom.errors.InvalidDicomError:
            continue
        if frames < 2 or seen == 2:
            continue
        file, seen = read_file(pictures.whole(path), 0), seen + 1
        wanted = {1: None, frames // 2 + 1: None}
        for number, picture in enumerate(read_pictures(file, frames), 1):
            if number in wanted:
                alone = read_frame(file, number)
                np.testing.assert_array_equal(alone.array, picture.array)
                assert alone.ref == picture.ref
            if number > max(wanted):
                break
    assert seen, "a multi-frame object among them"
