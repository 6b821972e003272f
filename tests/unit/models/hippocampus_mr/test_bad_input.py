"""A folder of volumes with everything wrong in it: what cannot be read is passed over and listed, the rest is read."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from nibabel.nifti1 import Nifti1Image

from models.hippocampus_mr import data

SHAPE = (30, 40, 28)


def write(folder: Path, case: str, values: np.ndarray, labels: np.ndarray) -> None:
    for kind, array in (("images", values), ("labels", labels)):
        (folder / kind).mkdir(exist_ok=True)
        Nifti1Image(array, np.eye(4)).to_filename(folder / kind / f"{case}.nii.gz")


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    generator = np.random.default_rng(0)
    labels = np.zeros(SHAPE, dtype=np.uint8)
    labels[10:20, 10:20, 10:20] = 1
    for case in ("cut", "empty_file", "good", "no_labels", "noise"):
        write(tmp_path, case, generator.normal(100, 20, SHAPE).astype(np.float32), labels)
    write(tmp_path, "flat", np.full(SHAPE, 7, dtype=np.float32), labels)
    write(tmp_path, "nan", np.full(SHAPE, np.nan, dtype=np.float32), labels)
    write(tmp_path, "other_grid", generator.normal(100, 20, SHAPE).astype(np.float32), labels[:-1])
    images = tmp_path / "images"
    (images / "cut.nii.gz").write_bytes((images / "cut.nii.gz").read_bytes()[:2000])
    (images / "empty_file.nii.gz").write_bytes(b"")
    (images / "noise.nii.gz").write_bytes(generator.bytes(5000))
    (tmp_path / "labels" / "no_labels.nii.gz").unlink()
    return tmp_path


def test_what_cannot_be_read_is_listed_with_its_reason(folder: Path, tmp_path: Path) -> None:
    ids = [*data.case_ids(folder), "not_there"]
    cases, problems = data.read_cases(folder, ids, tmp_path / "cache")
    assert [case.id for case in cases] == ["good"]
    assert cases[0].labels.sum() == 1000
    reasons = {problem.path: problem.reason for problem in problems}
    assert set(reasons) == set(ids) - {"good"}
    assert (
        reasons["flat"] == reasons["nan"] == "ValueError: an image without contrast, or with values that are not finite"
    )
    assert "not one 3D grid" in reasons["other_grid"]
    assert all("FileNotFoundError" in reasons[name] for name in ("no_labels", "not_there"))


def test_the_cache_keeps_nothing_of_what_cannot_be_read(folder: Path, tmp_path: Path) -> None:
    for _ in range(2):
        cases, problems = data.read_cases(folder, data.case_ids(folder), tmp_path / "cache")
        assert len(cases) == 1
        assert len(problems) == 7
    assert len(list((tmp_path / "cache").iterdir())) == 1
