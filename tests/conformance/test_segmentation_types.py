"""A SEG of each type, and parametric maps, on real series: against dciodvfy, and read by highdicom and dcmqi."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC
from pathlib import Path

import highdicom as hd
import nibabel
import numpy as np
import numpy.typing as npt
import pytest
from highdicom.seg import segread

from node.domain.result import ParametricMap, SegmentationType
from node.domain.study import Grid
from node.ports import Run
from node.results.writer import DicomResultWriter
from tests.conformance import validators
from tests.conformance.test_results import _images
from tests.unit.results.runs import MAKER, run_on
from tests.unit.results.test_parametric_maps import DIFFUSION, UNIT
from tests.unit.results.test_seg_types import typed

SERIES = ("hippocampus", "enhanced")
CASES = [(name, kind) for name in SERIES for kind in SegmentationType]
Voxels = npt.NDArray[np.float64]


def _write(name: str, kind: SegmentationType, folder: Path, *, with_map: bool = False) -> tuple[Run, dict[str, Path]]:
    run = typed(run_on(_images(name)), kind)
    assert run.grid is not None
    if with_map:
        array = np.random.default_rng(1).normal(size=run.grid.shape).astype(np.float32)
        made = ParametricMap("Apparent diffusion", DIFFUSION, UNIT, array)
        run = replace(run, result=replace(run.result, parametric_maps=(made,)))
    files = {}
    for written in DicomResultWriter(MAKER, zone=UTC).write(run):
        files[written.modality] = folder / f"{written.modality}.dcm"
        files[written.modality].write_bytes(written.part10)
    return run, files


def _on_grid(volume: hd.Volume, grid: Grid) -> Voxels:
    """What highdicom read, at the centre of every voxel of the grid."""
    index = np.indices(grid.shape).reshape(3, -1).T
    in_patient = (grid.affine @ np.c_[index, np.ones(len(index))].T)[:3].T
    at = np.rint(volume.map_reference_to_indices(in_patient)).astype(int)
    inside = ((at >= 0) & (at < volume.spatial_shape)).all(axis=1)  # empty slices at the ends are no frames
    found = np.zeros((len(index), *volume.array.shape[3:]))
    found[inside] = volume.array[tuple(at[inside].T)]
    return found.reshape(*grid.shape, *volume.array.shape[3:])


@pytest.mark.parametrize(("name", "kind"), CASES)
def test_highdicom_reads_the_segments(name: str, kind: SegmentationType, tmp_path: Path) -> None:
    run, files = _write(name, kind, tmp_path)
    assert run.grid is not None
    assert run.result.segmentation is not None
    read = segread(files["SEG"])
    assert read.segmentation_type.value == kind
    assert list(read.segment_numbers) == [1, 2]
    shown = _on_grid(read.get_volume(combine_segments=False, rescale_fractional=True, dtype=np.float32), run.grid)
    if kind is SegmentationType.FRACTIONAL:
        assert run.result.segmentation.fractions is not None
        np.testing.assert_allclose(np.moveaxis(shown, -1, 0), run.result.segmentation.fractions, atol=1 / 255)
    else:
        for number in (1, 2):
            np.testing.assert_array_equal(shown[..., number - 1], run.result.segmentation.label_map == number)


def test_dcmqi_reads_a_label_map(tmp_path: Path) -> None:
    run, files = _write("hippocampus", SegmentationType.LABELMAP, tmp_path)
    assert run.result.segmentation is not None
    segments = validators.segimage2itkimage(files["SEG"], tmp_path / "read")
    numbers = {one.attributes["labelID"]: one.attributes["SegmentLabel"] for one in segments}
    assert numbers.items() >= {one.number: one.label for one in run.model.segments}.items()
    values = np.asarray(nibabel.Nifti1Image.from_filename(segments[0].nifti).dataobj)
    for number in (1, 2):
        assert np.count_nonzero(values == number) == np.count_nonzero(run.result.segmentation.label_map == number)


@pytest.mark.parametrize("name", SERIES)
@pytest.mark.parametrize("kind", [SegmentationType.BINARY, SegmentationType.FRACTIONAL])
def test_dciodvfy_finds_no_error(name: str, kind: SegmentationType, tmp_path: Path) -> None:
    """Of LABELMAP it knows nothing yet: a BINARY twin stands for it here, its voxels are read above."""
    _, files = _write(name, kind, tmp_path, with_map=True)
    assert set(files) == {"SEG", "OT", "SR"}
    complaints = {path.name: validators.dciodvfy(path) for path in files.values()}
    assert {name: found for name, found in complaints.items() if found} == {}


@pytest.mark.parametrize("name", SERIES)
def test_highdicom_reads_the_map(name: str, tmp_path: Path) -> None:
    run, files = _write(name, SegmentationType.BINARY, tmp_path, with_map=True)
    assert run.grid is not None
    shown = _on_grid(hd.imread(files["OT"]).get_volume(apply_real_world_transform=True), run.grid)
    np.testing.assert_array_equal(shown, run.result.parametric_maps[0].array)


def test_dciodvfy_notices_a_map_without_its_unit(tmp_path: Path) -> None:
    """Else nobody would know that it was really asked."""
    _, files = _write("hippocampus", SegmentationType.BINARY, tmp_path, with_map=True)
    spoilt = hd.imread(files["OT"])
    del spoilt.SharedFunctionalGroupsSequence[0].RealWorldValueMappingSequence[0].MeasurementUnitsCodeSequence
    spoilt.save_as(tmp_path / "spoilt.dcm")
    assert validators.dciodvfy(tmp_path / "spoilt.dcm")
