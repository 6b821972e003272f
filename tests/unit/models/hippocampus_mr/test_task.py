"""The package as the kit evaluates it, on crops that are drawn: two blocks, the one brighter than the other."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch
from nibabel.nifti1 import Nifti1Image

from models.hippocampus_mr import data
from models.hippocampus_mr.report import on_the_node
from models.hippocampus_mr.task import TASK
from models.kit.data.splits import read_split
from models.kit.evaluation.outlining import outline
from models.kit.evaluation.parts import Part
from models.kit.evaluation.run import Run
from models.kit.training.samples import read_samples

SHAPE = (28, 38, 30)
# Index to RAS of a crop whose first two axes run against the patient's.
TURNED = np.diag([-1.0, -1.0, 1.0, 1.0])


class ByBrightness(torch.nn.Module):
    """Sure of both blocks whichever way round they lie; ``blind`` to all."""

    def __init__(self, blind: bool) -> None:
        super().__init__()
        self.blind = blind

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        first, second = (x > 0.5) & (x < 2.0), x >= 2.0
        found = torch.cat((~(first | second), first, second), dim=1).float()
        return torch.zeros_like(found) if self.blind else 20 * found


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """Three crops in two orientations, one without labels, and a file that does not belong."""
    generator = np.random.default_rng(0)
    for number, affine in enumerate((np.eye(4), TURNED, np.eye(4), np.eye(4))):
        labels = np.zeros(SHAPE, dtype=np.uint8)
        labels[8:20, 6:16, 8 : 20 + number] = 1
        labels[8:20, 16:28, 8:20] = 2
        image = np.array([0.0, 100.0, 200.0])[labels] + generator.normal(0, 2, SHAPE)
        for kind, array in (("images", image.astype(np.float32)), ("labels", labels)):
            (tmp_path / data.DATASET / kind).mkdir(parents=True, exist_ok=True)
            Nifti1Image(array, affine).to_filename(tmp_path / data.DATASET / kind / f"case_{number}.nii.gz")
    (tmp_path / data.DATASET / "labels" / "case_3.nii.gz").unlink()
    (tmp_path / data.DATASET / "SOURCE.txt").write_text("where it comes from")
    return tmp_path


def run_on(folder: Path, network: torch.nn.Module) -> Run:
    cases = TASK.listing(folder).cases
    samples, _ = read_samples(TASK, cases)
    part = Part(cases, tuple(samples))
    return Run(TASK, network.eval(), torch.device("cpu"), part, part, None, folder, [], 20, "")


def test_the_stored_split_is_that_of_the_training() -> None:
    assert TASK.split is not None
    stored = read_split(TASK.split)
    assert [sorted(part) for part in (stored.train, stored.validation, stored.test)] == list(data.split(0, 30))


def test_what_is_no_case_is_listed(folder: Path) -> None:
    listing = TASK.listing(folder)
    assert [case.group for case in listing.cases] == ["case_0", "case_1", "case_2"]
    assert {problem.path.rsplit("/", 1)[-1]: problem.reason for problem in listing.problems} == {
        "case_3": "there are no labels",
        "SOURCE.txt": "no picture by its name or content",
    }


def test_image_and_mask_are_those_of_the_training_padded(folder: Path) -> None:
    assert TASK.mask is not None
    for case in TASK.listing(folder).cases:
        known = data.read_case(data.set_folder(folder), case.group)
        image, mask = TASK.image(case), TASK.mask(case)
        assert image.shape[1:] == mask.shape == (32, 40, 32)
        inner = (slice(1, 31), slice(1, 39), slice(2, 30))
        np.testing.assert_allclose(image[0][inner], known.image, atol=1e-6)
        np.testing.assert_array_equal(mask[inner], known.labels)
        assert mask.sum() == known.labels.sum()


def test_however_a_crop_was_written_the_node_finds_the_same(folder: Path) -> None:
    run = run_on(folder, ByBrightness(blind=False))
    document, sections = on_the_node(run, outline(TASK, run.network, run.validation, run.part, run.device))
    found = document["on_the_node"]
    assert set(found["wrappings"]) == {"faithful", "naive", "untransposed"}
    for structures in found["wrappings"].values():
        for figures in structures.values():
            assert figures["dice"]["value"] == figures["surface_dice"]["value"] == 1.0
            assert figures["volume_error"]["value"] == figures["hausdorff95"]["value"] == 0.0
    assert found["shift"] == 0.0
    # 12 x 10 x 12, 13 and 14 voxels of 1 mm3.
    assert found["wrappings"]["faithful"]["anterior"]["expert_volume"]["value"] == 1.56
    assert [len(table.rows) for section in sections for table in section.tables] == [6, 2, 2]


def test_what_the_node_refuses_is_counted_and_costs(folder: Path) -> None:
    run = run_on(folder, ByBrightness(blind=True))
    document, (orientation, _) = on_the_node(run, outline(TASK, run.network, run.validation, run.part, run.device))
    found = document["on_the_node"]
    assert found["refused"] == {"faithful": 3, "naive": 3, "untransposed": 3}
    assert found["wrappings"]["naive"]["posterior"]["dice"]["value"] == 0.0
    assert "faithful 3" in orientation.note


def test_a_set_is_found_in_its_folder_and_by_itself(folder: Path) -> None:
    assert data.set_folder(folder) == data.set_folder(folder / data.DATASET) == folder / data.DATASET


def test_while_it_is_trained_the_network_does_not_search() -> None:
    network = TASK.network().train()
    x = torch.randn((2, 1, 16, 16, 16), generator=torch.Generator().manual_seed(0))
    single = network.get_submodule("single")
    torch.testing.assert_close(network(x), torch.log_softmax(single(x), dim=1))
