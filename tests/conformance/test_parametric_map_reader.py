"""Parametric maps as dcmqi reads them: the values in their places, the quantity, its unit and the anatomy."""

from __future__ import annotations

import io
from datetime import UTC
from pathlib import Path

import nibabel as nib
import numpy as np
import numpy.typing as npt
import pydicom
import pytest
from pydicom.dataset import Dataset

from node.domain.study import Grid
from node.ports import EncodedObject
from node.results.writer import DicomResultWriter
from tests.conformance import validators
from tests.unit.results.runs import MAKER, header, run_on, save
from tests.unit.results.test_parametric_maps import mapped


@pytest.mark.parametrize(
    ("said", "region", "side"),
    [
        ({"BodyPartExamined": "BRAIN"}, "12738006", "U"),
        ({"BodyPartExamined": "KNEE", "Laterality": "L"}, "72696002", "L"),
        ({}, "38866009", "U"),
    ],
)
def test_dcmqi_reads_a_map(said: dict[str, str], region: str, side: str, tmp_path: Path) -> None:
    run = mapped(run_on(save([header(number, **said) for number in range(4)], tmp_path)))
    assert run.grid is not None
    written, *_ = DicomResultWriter(MAKER, zone=UTC).write(run)
    path = tmp_path / "map.dcm"
    path.write_bytes(written.part10)
    assert validators.dciodvfy(path) == []
    image, meta = validators.paramap2itkimage(path, tmp_path / "read")
    assert meta["AnatomicRegionSequence"]["CodeValue"] == region
    assert meta["FrameLaterality"] == side
    assert meta["MeasurementUnitsCode"]["CodeValue"] == "um2/s"
    assert meta["QuantityValueCode"]["CodeValue"] == "113041"
    given = run.result.parametric_maps[0].array
    _same(image, given, run.grid)


@pytest.mark.parametrize("reverse", [False, True])
@pytest.mark.parametrize("orientation", [["1", "0", "0", "0", "1", "0"], ["-1", "0", "0", "0", "1", "0"]])
def test_dcmqi_has_every_slice_in_its_place(orientation: list[str], reverse: bool, tmp_path: Path) -> None:
    """It stacks frames as they come, whatever their positions say."""
    heights = [2.0 * number for number in range(4)]
    images = [
        header(number, ImageOrientationPatient=orientation, ImagePositionPatient=["-10", "-20", f"{z:.1f}"])
        for number, z in enumerate(reversed(heights) if reverse else heights)
    ]
    run = mapped(run_on(save(images, tmp_path)))
    assert run.grid is not None
    path = tmp_path / "map.dcm"
    path.write_bytes(DicomResultWriter(MAKER, zone=UTC).write(run)[0].part10)
    image, _ = validators.paramap2itkimage(path, tmp_path / "read")
    _same(image, run.result.parametric_maps[0].array, run.grid)


def _same(image: Path, given: npt.NDArray[np.float32], grid: Grid) -> None:
    """Each voxel of the grid has its value at its place in the patient."""
    read = nib.load(image)
    # NIfTI counts x and y of the patient against DICOM.
    to_voxel = np.linalg.inv(read.affine) @ np.diag([-1, -1, 1, 1]) @ grid.affine
    index = np.indices(given.shape).reshape(3, -1)
    voxels = np.rint(to_voxel[:3, :3] @ index + to_voxel[:3, 3:]).astype(int)
    np.testing.assert_array_equal(np.asarray(read.dataobj)[tuple(voxels)], given.ravel())


def test_a_reader_finds_no_series_laterality_beside_that_of_the_frame(tmp_path: Path) -> None:
    """PS3.3 C.7.3.1: Laterality is there only where no frame says it."""
    images = save([header(number, BodyPartExamined="KNEE", Laterality="L") for number in range(2)], tmp_path)
    first, _, report = map(_read, DicomResultWriter(MAKER, zone=UTC).write(mapped(run_on(images))))
    assert "Laterality" not in first
    assert report.Laterality == "L"


def _read(written: EncodedObject) -> Dataset:
    return pydicom.dcmread(io.BytesIO(written.part10))
