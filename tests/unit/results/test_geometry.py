"""The SEG lies on the images, however they lie in the patient."""

from __future__ import annotations

import io
from dataclasses import replace
from pathlib import Path

import numpy as np
import numpy.typing as npt
import pydicom
import pytest
from pydicom.dataset import Dataset
from pydicom.uid import DigitalXRayImageStorageForPresentation, EnhancedMRImageStorage

from node.domain.study import Grid, SopRef
from node.errors import ResultVerificationFailed
from node.results.writer import DicomResultWriter
from tests.unit.results.runs import draw, grid_of, header, not_evaluable, positive, run_on, save
from tests.unit.results.seen import label_map_of

Vector = npt.NDArray[np.float64]


def _turned(degrees: float) -> tuple[Vector, Vector]:
    """Row and column direction of a plane turned around two axes."""
    a, b = np.radians(degrees), np.radians(degrees / 3)
    row = np.array([np.cos(a), np.sin(a), 0.0])
    column = np.array([-np.sin(a) * np.cos(b), np.cos(a) * np.cos(b), np.sin(b)])
    return row, column


PLANES: dict[str, tuple[Vector, Vector]] = {
    "axial": (np.array([1.0, 0, 0]), np.array([0, 1.0, 0])),
    "sagittal": (np.array([0, 1.0, 0]), np.array([0, 0, -1.0])),
    "coronal": (np.array([1.0, 0, 0]), np.array([0, 0, -1.0])),
    "mirrored": (np.array([-1.0, 0, 0]), np.array([0, 1.0, 0])),
    "upside down": (np.array([1.0, 0, 0]), np.array([0, -1.0, 0])),
    "oblique": _turned(33.0),
}


def _series(plane: tuple[Vector, Vector], folder: Path, *, descending: bool) -> list[Path]:
    row, column = plane
    normal = np.cross(row, column)
    order = range(5)
    return save(
        [
            header(
                number,
                ImageOrientationPatient=[f"{value:.10f}" for value in (*row, *column)],
                ImagePositionPatient=[
                    f"{value:.8f}"
                    for value in np.array([7.5, -3, 40]) + normal * 2.5 * (-number if descending else number)
                ],
            )
            for number in order
        ],
        folder,
    )


@pytest.mark.parametrize("descending", [False, True])
@pytest.mark.parametrize("plane", PLANES)
def test_voxels_come_back(plane: str, descending: bool, tmp_path: Path, writer: DicomResultWriter) -> None:
    paths = _series(PLANES[plane], tmp_path, descending=descending)
    run = run_on(paths)
    assert run.grid is not None
    seg = pydicom.dcmread(io.BytesIO(writer.write(run)[0].part10))
    assert np.array_equal(label_map_of(seg, run.grid), draw(run.grid.shape))
    positions = {tuple(pydicom.dcmread(path).ImagePositionPatient) for path in paths}
    for item in seg.PerFrameFunctionalGroupsSequence:
        assert tuple(item.PlanePositionSequence[0].ImagePositionPatient) in positions
    assert float(seg.SharedFunctionalGroupsSequence[0].PixelMeasuresSequence[0].SpacingBetweenSlices) == 2.5


def test_a_grid_against_the_order_of_the_slices(tmp_path: Path, writer: DicomResultWriter) -> None:
    """A grid may count its slices from the far end: then its affine says so."""
    paths = _series(PLANES["axial"], tmp_path, descending=False)
    forward = grid_of([pydicom.dcmread(path) for path in paths])
    affine = forward.affine.copy()
    affine[:3, 3] += affine[:3, 0] * (forward.shape[0] - 1)
    affine[:3, 0] *= -1
    backward = Grid(forward.shape, affine, forward.frame_of_reference_uid, forward.sources[::-1])
    run = run_on(paths)
    seg = pydicom.dcmread(io.BytesIO(writer.write(replace(run, grid=backward))[0].part10))
    assert np.array_equal(label_map_of(seg, backward), draw(backward.shape))
    assert not np.array_equal(label_map_of(seg, forward), draw(backward.shape))


def test_a_grid_that_is_not_that_of_the_images_is_refused(tmp_path: Path, writer: DicomResultWriter) -> None:
    run = run_on(_series(PLANES["axial"], tmp_path, descending=False))
    assert run.grid is not None
    affine = run.grid.affine.copy()
    affine[:3, 3] += [0.0, 1.5, 0.0]  # one row
    wrong = Grid(run.grid.shape, affine, run.grid.frame_of_reference_uid, run.grid.sources)
    with pytest.raises(ResultVerificationFailed) as caught:
        writer.write(replace(run, grid=wrong))
    assert caught.value.details["check"] == "frames lie on the grid"


def enhanced(number: int, frames: int, *, shared: bool) -> Dataset:
    """An enhanced multi-frame MR; its frames run from the feet's end backwards, groups shared or in every frame."""
    dataset = header(number, SOPClassUID=EnhancedMRImageStorage, NumberOfFrames=frames)
    measures, orientation = Dataset(), Dataset()
    measures.PixelSpacing, measures.SliceThickness = dataset.PixelSpacing, 2
    orientation.ImageOrientationPatient = dataset.ImageOrientationPatient
    for keyword in ("PixelSpacing", "SliceThickness", "ImageOrientationPatient", "ImagePositionPatient"):
        del dataset[keyword]
    items = []
    for frame in range(frames):
        position, item = Dataset(), Dataset()
        position.ImagePositionPatient = [-10, -20, 30 - 2.5 * frame]
        item.PlanePositionSequence = [position]
        items.append(item)
    common = Dataset()
    for owner in [common] if shared else items:
        owner.PixelMeasuresSequence = [measures]
        owner.PlaneOrientationSequence = [orientation]
    dataset.SharedFunctionalGroupsSequence = [common]
    dataset.PerFrameFunctionalGroupsSequence = items
    return dataset


@pytest.mark.parametrize("shared", [True, False])
def test_an_enhanced_multi_frame_image(shared: bool, tmp_path: Path, writer: DicomResultWriter) -> None:
    run = run_on(save([enhanced(1, 6, shared=shared)], tmp_path))
    assert run.grid is not None
    assert [ref.frame for ref in run.grid.sources] == [6, 5, 4, 3, 2, 1]
    seg = pydicom.dcmread(io.BytesIO(writer.write(run)[0].part10))
    assert np.array_equal(label_map_of(seg, run.grid), draw(run.grid.shape))


def test_some_frames_of_a_multi_frame_image(tmp_path: Path, writer: DicomResultWriter) -> None:
    """Frames that the grid left out stay empty."""
    paths = save([enhanced(1, 6, shared=True)], tmp_path)
    run = run_on(paths)
    assert run.grid is not None
    part = Grid((4, *run.grid.shape[1:]), run.grid.affine, run.grid.frame_of_reference_uid, run.grid.sources[:4])
    seg = pydicom.dcmread(io.BytesIO(writer.write(replace(run, grid=part, result=positive(part)))[0].part10))
    assert np.array_equal(label_map_of(seg, part), draw(part.shape))


def test_a_projection_has_no_position(tmp_path: Path, writer: DicomResultWriter) -> None:
    absent = dict.fromkeys(("ImagePositionPatient", "ImageOrientationPatient", "FrameOfReferenceUID"))
    (path,) = save([header(0, Modality="DX", SOPClassUID=DigitalXRayImageStorageForPresentation, **absent)], tmp_path)
    image = pydicom.dcmread(path)
    grid = Grid(
        (1, 6, 8), np.diag([1, 1.5, 0.75, 1.0]), "", (SopRef(str(image.SOPClassUID), str(image.SOPInstanceUID)),)
    )
    run = replace(run_on([path], not_evaluable()), grid=grid, result=positive(grid))
    seg = pydicom.dcmread(io.BytesIO(writer.write(run)[0].part10))
    assert "FrameOfReferenceUID" not in seg
    assert np.array_equal(label_map_of(seg, grid), draw(grid.shape))
