"""What the package lists: slices as sequences, and every file that is none."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from models.brain_tumour_mr.task import HEALTHY, TASK, TUMOUR
from models.kit.baselines.sequences import have_sequences, sequences_of
from tests.unit.models.kit.pictures import save, textured


@pytest.fixture
def data(tmp_path: Path) -> Path:
    """Two runs of tumour slices in two chunks, five healthy slices, and files that belong nowhere."""
    rows = ["index,run,chunk,split"]
    for index, run, chunk in ((9, 1, 1), (10, 1, 1), (11, 1, 1), (40, 2, 2)):
        rows.append(f"{index},{run},{chunk},train")
        save(textured(index, 64, 64), tmp_path / TUMOUR / f"{index}.jpg")
        mask = np.zeros((64, 64), dtype=np.uint8)
        mask[10:20, 10:20] = 255
        save(mask, tmp_path / TUMOUR / f"{index}_mask.png")
    (tmp_path / TUMOUR / "runs.csv").write_text("\n".join(rows) + "\n")
    for number in range(1, 6):
        save(textured(100 + number, 64, 64), tmp_path / HEALTHY / f"{number:04}.jpg")
    save(textured(200), tmp_path / TUMOUR / "77.jpg")
    save(textured(201), tmp_path / TUMOUR / "78_mask.png")
    save(textured(202), tmp_path / HEALTHY / "other.bmp")
    (tmp_path / HEALTHY / "SOURCE.txt").write_text("?")
    return tmp_path


def test_slices_are_sequences_in_their_order(data: Path) -> None:
    cases = TASK.listing(data).cases
    assert have_sequences(cases)
    positions = np.array([[float(case.facts["position"])] for case in cases], dtype=np.float32)
    found = sequences_of(cases, np.array([case.label == 1 for case in cases]), positions)
    # By name: the two healthy groups of at most four, then the two runs; names sort 10, 11, 9, slices do not.
    assert [one.ravel().tolist() for one in found.sequences] == [[0, 1, 2, 3], [4], [9, 10, 11], [40]]
    assert found.truth.tolist() == [False, False, True, True]


def test_no_sequence_is_in_two_groups(data: Path) -> None:
    groups: dict[object, set[str]] = {}
    for case in TASK.listing(data).cases:
        groups.setdefault(case.facts["sequence"], set()).add(case.group)
    assert all(len(names) == 1 for names in groups.values())


def test_every_other_file_is_listed(data: Path) -> None:
    assert {(problem.path, problem.reason) for problem in TASK.listing(data).problems} == {
        (f"{TUMOUR}/77", "not in runs.csv"),
        (f"{TUMOUR}/78_mask.png", "unlabelled: no row names it"),
        (f"{HEALTHY}/other.bmp", "unlabelled: no row names it"),
        (f"{HEALTHY}/SOURCE.txt", "no picture by its name or content"),
    }
