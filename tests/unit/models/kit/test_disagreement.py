"""Disagreement case by case: what is reported, what is passed over, and whether it points at errors."""

from __future__ import annotations

import csv
import dataclasses
from math import isnan
from pathlib import Path

import numpy as np
import pytest
import torch
from torch import Tensor, nn

from models.kit.cases import Case
from models.kit.disagreement import CaseVote, error_auc, votes, write_votes
from models.kit.ensemble import Ensemble
from tests.unit.models.kit import blobs
from tests.unit.models.kit.blobs import TASK, trained
from tests.unit.models.kit.test_ensemble import Says


class Square(nn.Module):
    """Class 1 in the columns from ``first`` to ``last``, class 0 elsewhere."""

    def __init__(self, first: int, last: int) -> None:
        super().__init__()
        self.first, self.last = first, last
        self.scale = nn.Parameter(torch.tensor(20.0))

    def forward(self, x: Tensor) -> Tensor:
        inside = torch.zeros_like(x[:, 0]) - 1.0
        inside[..., self.first : self.last] = 1.0
        return torch.stack((-inside, inside), dim=1) * self.scale


def masks(*spans: tuple[int, int]) -> CaseVote:
    task = dataclasses.replace(TASK, kind="segmentation")
    (found,), problems = votes(task, Ensemble([Square(*span) for span in spans]), [blobs.case(1, 1)])
    assert not problems
    return found


def test_classification() -> None:
    ensemble = Ensemble([Says(0.9, 0.1), Says(0.8, 0.2), Says(0.2, 0.8)])
    (found,), _ = votes(TASK, ensemble, [blobs.case(1, 1)])
    assert found.probabilities == pytest.approx((0.6333, 0.3667), abs=1e-4)
    assert found.agreement == pytest.approx(2 / 3)
    assert found.mutual_information > 0.1
    assert found.variance == pytest.approx(np.var([0.9, 0.8, 0.2]), abs=1e-6)


def test_segmentation_counts_the_pixels_in_dispute() -> None:
    agreed, shifted, apart = masks((4, 12), (4, 12)), masks((4, 12), (6, 14)), masks((4, 12), (16, 24))
    assert agreed.agreement == 1.0
    assert agreed.mutual_information == pytest.approx(0.0, abs=1e-5)
    assert shifted.agreement == pytest.approx(0.75)
    # Four of the ten columns that anybody marked.
    assert shifted.mutual_information == pytest.approx(0.4 * np.log(2), abs=1e-3)
    assert apart.agreement == 0.0
    assert apart.mutual_information == pytest.approx(np.log(2), abs=1e-3)


def test_segmentation_in_which_nobody_marks_anything() -> None:
    found = masks((0, 0), (0, 0))
    assert (found.mutual_information, found.variance, found.agreement) == (0.0, 0.0, 1.0)
    assert found.probabilities[1] < 1e-6


def test_what_cannot_be_read_is_listed() -> None:
    broken = Case("notes", Path("blobs/notes"), 0, "0")
    found, problems = votes(TASK, Ensemble([trained(0)]), [blobs.case(1, 1), broken])
    assert [vote.case.id for vote in found] == ["1/1"]
    assert [(problem.path, problem.reason) for problem in problems] == [("notes", "ValueError: not a picture")]


def test_table_has_the_most_doubtful_first(tmp_path: Path) -> None:
    found = [vote(0.01, 0), vote(0.4, 1), vote(0.2, 1)]
    write_votes(TASK, found, tmp_path / "votes.csv")
    with (tmp_path / "votes.csv").open(newline="", encoding="utf-8") as stream:
        lines = list(csv.DictReader(stream))
    assert [line["mutual_information"] for line in lines] == ["0.400000", "0.200000", "0.010000"]
    assert (lines[0]["label"], lines[0]["p(blob)"]) == ("blob", "0.300000")


def vote(doubt: float, label: int, group: int = 0) -> CaseVote:
    """The answer is always class 0."""
    return CaseVote(Case(f"{doubt}", Path("x"), label, f"{group}"), (0.7, 0.3), doubt, 0.0, 1.0)


def test_error_auc() -> None:
    pointing = [vote(0.1 + 0.001 * group, 0, group) for group in range(20)]
    pointing += [vote(0.5, 1, group) for group in range(20)]
    found = error_auc(pointing, samples=50)
    assert (found.value, found.low) == (1.0, 1.0)
    against = [vote(0.5, 0, group) for group in range(20)] + [vote(0.1, 1, group) for group in range(20)]
    assert error_auc(against, samples=50).value == 0.0
    assert isnan(error_auc([vote(0.1, 0), vote(0.2, 0, 1)]).value)


def test_members_disagree_most_where_the_truth_is_doubtful() -> None:
    # Blobs that fade out: clear ones are agreed upon, half ones are not.
    def faded(case: Case) -> np.ndarray:
        clear, _ = blobs.picture(1, int(case.image.name))
        without, _ = blobs.picture(0, int(case.image.name))
        share = float(case.image.parent.name)
        return share * clear + (1 - share) * without

    task = dataclasses.replace(TASK, image=faded)
    ensemble = Ensemble([trained(0), trained(1)])
    doubt = {
        share: np.mean(
            [
                vote.mutual_information
                for vote in votes(
                    task, ensemble, [Case("x", Path(share) / f"{seed}", 1, "0") for seed in range(1, 21, 2)]
                )[0]
            ]
        )
        for share in ("0.0", "0.35", "1.0")
    }
    assert doubt["0.35"] > 2 * max(doubt["0.0"], doubt["1.0"])
