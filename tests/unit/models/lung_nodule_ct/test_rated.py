"""The rating by the outlines of the network, on nodules that are drawn."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch

from models.kit.evaluation.outlining import Segmentation, outline
from models.kit.evaluation.parts import Part
from models.kit.evaluation.run import Parts, Run
from models.kit.evaluation.similarity import similarity
from models.kit.training.samples import read_samples
from models.lung_nodule_ct import crops, rated
from models.lung_nodule_ct.network import network
from models.lung_nodule_ct.task import RATED, TASK
from tests.unit.models.lung_nodule_ct.test_package import data_folder


class Bright(torch.nn.Module):
    """Sure of every bright pixel; ``blind`` to all."""

    def __init__(self, blind: bool) -> None:
        super().__init__()
        self.blind = blind

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        sure = torch.zeros_like(x) if self.blind else (x > 1.5).float()
        return torch.cat((1 - sure, sure), dim=1).clamp_min(1e-6).log()


def measured(folder: Path, blind: bool) -> tuple[Run, Segmentation]:
    cases = TASK.listing(data_folder(folder)).cases
    samples, _ = read_samples(TASK, cases)
    part, device, network = Part(cases, tuple(samples)), torch.device("cpu"), Bright(blind)
    run = Run(TASK, network, device, part, part, None, folder, [], 50, "")
    return run, outline(TASK, network, part, part, device)


def test_larger_nodules_that_are_rated_higher_are_told_apart(tmp_path: Path) -> None:
    document, (section,) = rated.malignancy_figures(*measured(tmp_path, blind=False))
    found = document["malignancy"]
    # Of eight patients the two with the rating 3 are left out.
    assert (found["nodules"], found["outlined"]) == (6, 6)
    assert found["roc_auc"]["area alone by outlines of the network"]["value"] == 1.0
    assert found["roc_auc"]["area alone by outlines of the readers"]["value"] == 1.0
    assert "6 nodules" in section.note
    assert [row[0] for row in section.tables[0].rows] == list(rated.FIGURES)


def test_what_the_network_did_not_see_has_no_rating(tmp_path: Path) -> None:
    document, _ = rated.malignancy_figures(*measured(tmp_path, blind=True))
    found = document["malignancy"]
    assert (found["nodules"], found["outlined"]) == (6, 0)
    assert found["roc_auc"]["rating by outlines of the network"]["value"] is None
    assert found["roc_auc"]["area alone by outlines of the readers"]["value"] == 1.0


def test_nothing_is_measured_of_nodules_of_one_side(tmp_path: Path) -> None:
    run, found = measured(tmp_path, blind=False)
    unrated = [index for index, image in enumerate(found.images) if float(image.case.facts["malignancy"]) < 3]
    images = tuple(found.images[index] for index in unrated)
    part = Part(tuple(run.part.cases[index] for index in unrated), tuple(run.part.samples[index] for index in unrated))
    fewer = Run(TASK, run.network, run.device, part, part, None, tmp_path, [], 50, "")
    assert rated.malignancy_figures(fewer, Segmentation(part, images, found.truth, found.scores, None, found.held)) == (
        {},
        (),
    )


def test_only_pieces_that_touch_the_truth_count() -> None:
    drawn = np.zeros((8, 8), dtype=bool)
    drawn[1:3, 1:3] = drawn[5:8, 5:8] = True
    truth = np.zeros_like(drawn)
    truth[6, 6] = True
    assert rated.touching(drawn, truth).sum() == 9
    assert not rated.touching(drawn, np.zeros_like(drawn)).any()


@pytest.mark.parametrize("name", ["one", "another"])
def test_a_window_goes_back_to_its_place(name: str) -> None:
    mask = np.random.default_rng(0).random((128, 128)) > 0.5
    window = np.asarray(crops.window(mask, name), dtype=bool)
    back = rated.whole_crop(window, name, mask.shape)
    assert np.array_equal(crops.window(back, name), window)
    assert back.sum() == window.sum()


def test_similar_cases_are_judged_by_the_rating(tmp_path: Path) -> None:
    run, _ = measured(tmp_path, blind=False)
    parts = Parts(run.part, run.part, run.part)
    seeing = Run(TASK, network().eval(), run.device, run.part, run.part, parts, tmp_path, [], 50, "")
    document, _ = similarity(seeing)
    found = document["similar"]
    assert set(found["precision_at_1"]) == {*RATED, "all"}
    # Of eight patients four are rated 1 or 2, two 3, two 4.
    assert [found["chance"][name]["value"] for name in RATED] == [0.5, 0.25, 0.25]
