"""DICOM and NIfTI become what the node makes of them."""

from __future__ import annotations

from pathlib import Path

import nibabel
import numpy as np
import pytest

from models.kit.data.studies import read_dicom_picture, read_pixels, read_volume
from node.errors import InputError, ObjectMissing, UndecodablePixelData, UnsupportedImage
from tests.peers import data_dir
from tests.unit.models.kit.pictures import save, textured


def _nifti(path: Path, array: np.ndarray[tuple[int, ...], np.dtype[np.float32]], affine: list[list[float]]) -> Path:
    nibabel.Nifti1Image(array, np.array(affine)).to_filename(path)
    return path


AFFINE = [[-0.7, 0, 0, 30], [0, -0.8, 0, 40], [0, 0, 2.5, -50], [0, 0, 0, 1]]


@pytest.mark.parametrize("suffix", [".nii", ".nii.gz"])
def test_nifti_is_the_volume_of_a_faithful_series(tmp_path: Path, suffix: str) -> None:
    array = np.arange(24, dtype=np.float32).reshape(2, 3, 4)
    volume = read_volume(_nifti(tmp_path / f"a{suffix}", array, AFFINE))
    assert volume.array.dtype == np.float32
    assert volume.shape == (4, 3, 2)
    assert volume.array[3, 2, 1] == array[1, 2, 3]
    np.testing.assert_allclose(volume.spacing, (2.5, 0.8, 0.7))
    # RAS (30 - 0.7, 40 - 2 * 0.8, -50 + 3 * 2.5) is LPS with the first two signs turned.
    np.testing.assert_allclose(volume.affine @ [3, 2, 1, 1], [-29.3, -38.4, -42.5, 1])


def test_a_broken_nifti_is_undecodable(tmp_path: Path) -> None:
    path = _nifti(tmp_path / "a.nii.gz", np.ones((8, 8, 8), dtype=np.float32), AFFINE)
    path.write_bytes(path.read_bytes()[:-40])
    with pytest.raises(UndecodablePixelData):
        read_volume(path)
    (tmp_path / "b.nii").write_bytes(b"no NIfTI")
    with pytest.raises(UndecodablePixelData):
        read_volume(tmp_path / "b.nii")
    with pytest.raises(ObjectMissing):
        read_volume(tmp_path / "none.nii")


def test_an_array_of_four_dimensions_is_no_volume(tmp_path: Path) -> None:
    with pytest.raises(UnsupportedImage, match="is no volume"):
        read_volume(_nifti(tmp_path / "a.nii", np.ones((2, 2, 2, 2), dtype=np.float32), AFFINE))


def test_read_pixels_takes_whatever_there_is(tmp_path: Path) -> None:
    assert read_pixels(save(textured(0), tmp_path / "a.PNG")).shape == (96, 80)
    assert read_pixels(_nifti(tmp_path / "a.nii", np.ones((2, 3, 4), dtype=np.float32), AFFINE)).shape == (4, 3, 2)
    (tmp_path / "a.txt").write_text("?")
    with pytest.raises(UnsupportedImage, match=r"\.txt"):
        read_pixels(tmp_path / "a.txt")
    (tmp_path / "empty").mkdir()
    with pytest.raises(ObjectMissing, match="no DICOM"):
        read_pixels(tmp_path / "empty")


def test_a_header_alone_is_an_input_error(tmp_path: Path) -> None:
    (tmp_path / "a.dcm").write_bytes(bytes(128) + b"DICM")
    with pytest.raises(InputError):
        read_pixels(tmp_path / "a.dcm")


def test_a_real_series_is_a_volume_and_one_radiograph_a_picture() -> None:
    assert read_volume(data_dir("hippocampus-dicom-study3")).shape[0] == 40
    radiograph = data_dir("cxr-dicom-nih") / "test1.dcm"
    assert read_dicom_picture(radiograph).shape == (1024, 1024)
    assert read_pixels(radiograph).shape == (1024, 1024)
