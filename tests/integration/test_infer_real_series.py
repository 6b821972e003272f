"""Real series: every codec decodes, equal images are equal, affines agree with highdicom's."""

from __future__ import annotations

import subprocess
import warnings
from pathlib import Path

import highdicom
import numpy as np
import pydicom
import pytest
from pydicom.data import get_testdata_file

from node.domain.study import ByteRange
from node.errors import GantryTilt, GeometryError, MissingSlices, UnsupportedImage
from node.infer.headers import read_image
from node.infer.pixels import stored_frames
from node.infer.volume import load_volume
from tests.fakes.series import whole
from tests.peers import data_dir, require_program

SERIES = [
    ("mini-series-dicom2nifti/generic_compressed_001", (4, 256, 256)),
    ("mini-series-dicom2nifti/generic_compressed_j2k_001", (4, 256, 256)),
    ("mini-series-dicom2nifti/generic_compressed_jpeg_001", (4, 256, 256)),
    ("mini-series-dicom2nifti/generic_compressed_jpegls_001", (4, 256, 256)),
    ("mini-series-dicom2nifti/generic_compressed_rle_001", (4, 256, 256)),
    ("mini-series-dicom2nifti/philips_enhanced_anatomical_001", (8, 256, 256)),
    ("hippocampus-dicom-study3", (40, 50, 34)),
    ("brain-mr-glioma-study3/11-T1post-18670", (22, 320, 280)),
    ("brain-mr-glioma-study3/26401-T1prereg-52906", (22, 320, 280)),
    ("brain-mr-glioma-study3/36468-FLAIRreg-58706", (22, 320, 280)),
    ("brain-mr-glioma-study3/37830-T2reg-78532", (22, 320, 280)),
    ("ct-20slice-totalseg/example_ct_dicom", (20, 512, 512)),
    ("chest-ct-ricord", (124, 512, 512)),
]


def images(name: str) -> list[Path]:
    return [path for path in sorted(data_dir(name).iterdir()) if path.is_file() and path.suffix != ".txt"]


def locations(name: str) -> list[ByteRange]:
    return [whole(path) for path in images(name)]


def frames(path: Path) -> list[np.ndarray]:
    return list(stored_frames(read_image(whole(path), 0)))


@pytest.mark.parametrize(("name", "shape"), SERIES)
def test_a_real_series_is_a_volume(name: str, shape: tuple[int, int, int]) -> None:
    volume = load_volume(locations(name))
    assert volume.shape == shape == volume.array.shape
    assert float(volume.array.std()) > 1


def test_the_same_series_in_five_codecs_has_the_same_values() -> None:
    names = [name for name, _ in SERIES if "generic_compressed" in name]
    volumes = [load_volume(locations(name)) for name in names]
    for volume in volumes[1:]:
        np.testing.assert_array_equal(volume.array, volumes[0].array)
        np.testing.assert_array_equal(volume.affine, volumes[0].affine)


@pytest.mark.parametrize("image", ["CT1", "XA1"])
def test_one_image_in_four_lossless_codecs_has_the_same_values(image: str) -> None:
    paths = [path for path in images("wg04-compressed") if path.name.startswith(image)]
    assert len(paths) == 4
    reference = frames(paths[0])[0]
    assert reference.std() > 1
    for path in paths[1:]:
        np.testing.assert_array_equal(frames(path)[0], reference)


def test_96_frames_of_jpeg_baseline_in_fragments() -> None:
    decoded = frames(data_dir("xa-fodicom") / "HasFragmentSequence.dcm")
    assert [frame.shape for frame in decoded] == [(512, 512)] * 96
    assert decoded[0].std() > 1


def test_jpeg_extended_with_12_bits_as_dcmtk_decodes_it(tmp_path: Path) -> None:
    path, decoded = Path(str(get_testdata_file("JPEG-lossy.dcm"))), tmp_path / "decoded.dcm"
    subprocess.run([require_program("dcmdjpeg"), str(path), str(decoded)], check=True, capture_output=True)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        expected = pydicom.dcmread(decoded).pixel_array
    np.testing.assert_array_equal(frames(path)[0], expected)


@pytest.mark.parametrize("name", ["US1_J2KR", "US1_RLE"])
def test_colour_is_refused(name: str) -> None:
    with pytest.raises(UnsupportedImage, match="colour"):
        read_image(whole(data_dir("wg04-compressed") / name), 0)


@pytest.mark.parametrize(
    ("name", "error", "words"),
    [
        ("mini-series-dicom2nifti/failing_gantrytilting_001", GantryTilt, r"14\.0 degrees"),
        ("mini-series-dicom2nifti/failing_sliceincrement_002", MissingSlices, "1 slice is missing"),
        ("cxr-dicom-nih", GeometryError, "no position in the patient"),
        ("xa-fodicom", GeometryError, "96 of 96 images have no position"),
    ],
)
def test_what_is_no_volume_says_why(name: str, error: type[GeometryError], words: str) -> None:
    with pytest.raises(error, match=words):
        load_volume(locations(name))


@pytest.mark.parametrize(
    "name",
    ["hippocampus-dicom-study3", "brain-mr-glioma-study3/11-T1post-18670", "ct-20slice-totalseg/example_ct_dicom"],
)
def test_geometry_and_values_agree_with_highdicom(name: str) -> None:
    volume = load_volume(locations(name))
    datasets = [completed(pydicom.dcmread(path)) for path in images(name)]
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        # highdicom counts slices down the normal, we count up.
        other = highdicom.get_volume_from_series(datasets).flip_spatial(0)
    np.testing.assert_allclose(other.affine, volume.affine, atol=1e-4)
    np.testing.assert_allclose(other.array, volume.array, rtol=1e-6)


def completed(image: pydicom.Dataset) -> pydicom.Dataset:
    """What highdicom asks for beyond geometry and pixels, where the real header lacks it."""
    for keyword, value in (("SOPClassUID", "1.2.840.10008.5.1.4.1.1.2"), ("FrameOfReferenceUID", "1.2.3")):
        if not image.get(keyword):
            setattr(image, keyword, value)
    return image
