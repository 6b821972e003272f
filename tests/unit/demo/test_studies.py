"""The built-in studies: the same every time, synthetic, and valid enough to be sent."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pydicom

from node.demo.phantom import FLUID, GREY, MR_SHAPE, WHITE, hippocampus_mr
from node.demo.studies import STUDIES, instances, write_studies
from node.domain.identity import is_uid


def test_the_same_files_every_time(tmp_path: Path) -> None:
    first, second = write_studies(tmp_path / "first"), write_studies(tmp_path / "second")
    names = sorted(path.relative_to(first) for path in first.rglob("*.dcm"))
    assert names == sorted(path.relative_to(second) for path in second.rglob("*.dcm"))
    assert len(names) == 36 + 35 + 8
    assert all((first / name).read_bytes() == (second / name).read_bytes() for name in names)


def test_uids_are_uids_and_differ() -> None:
    made = [instance for seed, study in enumerate(STUDIES) for instance in instances(study, seed)]
    uids = [str(instance.SOPInstanceUID) for instance in made]
    assert len(set(uids)) == len(uids)
    assert all(is_uid(uid) for uid in uids)
    assert len({instance.StudyInstanceUID for instance in made}) == len(STUDIES)


def test_they_say_that_they_are_synthetic(tmp_path: Path) -> None:
    for path in write_studies(tmp_path).rglob("*.dcm"):
        header = pydicom.dcmread(path, stop_before_pixels=True)
        assert (header.PatientName, header.StudyDescription) == ("Demo^Synthetic", "Synthetic demonstration")


def test_the_gap_is_one_slice_wide() -> None:
    gap = next(study for study in STUDIES if study.missing)
    heights = [float(instance.ImagePositionPatient[2]) for instance in instances(gap, 1)]
    assert sorted(np.diff(heights).tolist()) == [1.0] * 33 + [2.0]


def test_the_crop_has_the_tissues_of_a_t1_image() -> None:
    image = hippocampus_mr(1)
    assert image.shape == MR_SHAPE
    shares = [float(np.mean(np.abs(image - level) < 80)) for level in (FLUID, GREY, WHITE)]
    assert all(share > 0.005 for share in shares), shares
    assert np.array_equal(image, hippocampus_mr(1))
    assert not np.array_equal(image, hippocampus_mr(2))
