"""Ensembles: means, views and their inverses, disagreement by hand-made numbers, one file, served as a package is."""

from __future__ import annotations

from math import log
from pathlib import Path
from typing import get_args

import numpy as np
import pytest
import torch
from safetensors.torch import load_file
from torch import Tensor, nn

from models.kit.ensemble import Ensemble, Vote, ensemble_of, split_report
from models.kit.explain.heat_map import heat_map
from models.kit.training.weights import save_weights
from models.kit.views import View, turned, turned_back
from node.errors import InvalidModelPackage
from tests.unit.models.kit import blobs
from tests.unit.models.kit.blobs import Small, SmallMask, trained, weights_of

VIEWS: tuple[View, ...] = get_args(View)
MIRRORS: tuple[View, ...] = ("identity", "flip_columns")


class Says(nn.Module):
    """Always the same probabilities."""

    def __init__(self, *probabilities: float) -> None:
        super().__init__()
        self.logits = nn.Parameter(torch.tensor(probabilities).log())

    def forward(self, x: Tensor) -> Tensor:
        return self.logits.expand(len(x), -1)


class Brighter(nn.Module):
    """A pixel is of class 1 where it is brighter than its left neighbour: knows left from right, and nothing else."""

    def forward(self, x: Tensor) -> Tensor:
        difference = x[:, 0] - torch.roll(x[:, 0], 1, dims=-1)
        return torch.stack((-difference, difference), dim=1)


def members(count: int = 3) -> list[Small]:
    made = []
    for seed in range(count):
        torch.manual_seed(seed)
        made.append(Small().eval())
    return made


def picture(seed: int = 1) -> Tensor:
    return torch.from_numpy(blobs.picture(1, seed)[0])[None]


@pytest.mark.parametrize("view", VIEWS)
def test_every_view_has_its_inverse(view: View) -> None:
    x = torch.arange(24.0).reshape(1, 2, 3, 4)
    assert torch.equal(turned_back(turned(x, view), view), x)
    assert view == "identity" or not torch.equal(turned(x, view), x)


def test_the_views_are_what_they_are_called() -> None:
    x = torch.tensor([[1.0, 2.0], [3.0, 4.0]])
    assert turned(x, "flip_columns").tolist() == [[2.0, 1.0], [4.0, 3.0]]
    assert turned(x, "flip_rows").tolist() == [[3.0, 4.0], [1.0, 2.0]]
    assert turned(x, "rotate_90").tolist() == [[2.0, 4.0], [1.0, 3.0]]
    assert turned(x, "rotate_180").tolist() == [[4.0, 3.0], [2.0, 1.0]]
    assert turned(x, "rotate_270").tolist() == [[3.0, 1.0], [4.0, 2.0]]


def test_probability_is_the_mean_over_members_and_views() -> None:
    networks = members()
    ensemble = Ensemble(networks, MIRRORS).eval()
    with torch.no_grad():
        said = [torch.softmax(network(turned(picture(), view)), 1) for network in networks for view in MIRRORS]
        found = torch.softmax(ensemble(picture()), 1)
    torch.testing.assert_close(found, torch.stack(said).mean(0))


def test_masks_are_turned_back() -> None:
    torch.manual_seed(0)
    x = torch.rand(2, 1, 6, 9)
    single = Ensemble([Brighter()]).eval()
    # Seen upside down, what is left stays left: every vote is the same.
    torch.testing.assert_close(Ensemble([Brighter()], ("identity", "flip_rows"))(x), single(x))
    assert float(Ensemble([Brighter()], ("identity", "flip_rows")).vote(x).mutual_information.max()) < 1e-6
    # Mirrored, it is the other neighbour that counts.
    mirrored = torch.softmax(turned(Brighter()(turned(x, "flip_columns")), "flip_columns"), 1)
    torch.testing.assert_close(Ensemble([Brighter()], ("flip_columns",)).vote(x).probability, mirrored)
    # A quarter turn exchanges the sides and comes back.
    assert Ensemble([Brighter()], ("rotate_90",))(x).shape == (2, 2, 6, 9)


def test_disagreement_of_two_that_contradict_each_other() -> None:
    each = torch.tensor([[[1.0, 0.0]], [[0.0, 1.0]]])
    vote = Vote(each)
    assert vote.probability.tolist() == [[0.5, 0.5]]
    assert float(vote.mutual_information) == pytest.approx(log(2))
    assert float(vote.variance) == pytest.approx(0.25)


def test_two_that_share_a_doubt_do_not_disagree() -> None:
    vote = Vote(torch.full((2, 1, 4), 0.25))
    assert float(vote.mutual_information) == pytest.approx(0.0, abs=1e-6)
    assert float(vote.variance) == 0.0


def test_disagreement_by_hand() -> None:
    with torch.no_grad():
        vote = Ensemble([Says(0.9, 0.1), Says(0.5, 0.5)]).vote(torch.zeros(1, 1, 2, 2))
    entropy = -(0.7 * log(0.7) + 0.3 * log(0.3))
    own = (-(0.9 * log(0.9) + 0.1 * log(0.1)) + log(2)) / 2
    assert float(vote.mutual_information) == pytest.approx(entropy - own, abs=1e-6)
    assert float(vote.variance) == pytest.approx(0.04, abs=1e-6)


def test_reports_its_disagreement_as_one_more_channel() -> None:
    ensemble = Ensemble([Says(0.9, 0.1), Says(0.5, 0.5)], reports_disagreement=True)
    logits, disagreement = split_report(ensemble(torch.zeros(3, 1, 2, 2)))
    torch.testing.assert_close(torch.softmax(logits, 1), torch.tensor([[0.7, 0.3]]).expand(3, 2))
    torch.testing.assert_close(disagreement, ensemble.vote(torch.zeros(3, 1, 2, 2)).mutual_information)
    masks = Ensemble([SmallMask(), SmallMask()], reports_disagreement=True)(torch.rand(1, 1, 8, 8))
    logits, disagreement = split_report(masks)
    assert logits.shape == (1, 2, 8, 8)
    assert disagreement.shape == (1, 8, 8)


def test_a_class_that_no_vote_gives_anything_stays_finite() -> None:
    ensemble = Ensemble([Says(1.0, 0.0)])
    assert bool(torch.isfinite(ensemble(torch.zeros(1, 1, 2, 2))).all())


def test_folds_become_one_file_that_a_package_serves(tmp_path: Path) -> None:
    files = [weights_of(network, tmp_path / f"fold{index}.safetensors") for index, network in enumerate(members())]
    ensemble = ensemble_of(Small, files, MIRRORS)
    save_weights(ensemble, tmp_path / "weights.safetensors")
    # As a package declares it, and as the node loads it.
    served = Ensemble([Small() for _ in range(3)], MIRRORS)
    served.load_state_dict(load_file(tmp_path / "weights.safetensors"), strict=True)
    with torch.inference_mode():
        assert torch.equal(served.eval()(picture()), ensemble(picture()))
        alone = [torch.softmax(network(picture()), 1) for network in members()]
    assert not torch.allclose(alone[0], alone[1])
    with pytest.raises(InvalidModelPackage, match="does not fit SmallMask"):
        ensemble_of(SmallMask, files)


def test_needs_a_member_and_a_view() -> None:
    with pytest.raises(ValueError, match="at least one"):
        Ensemble([])
    with pytest.raises(ValueError, match="at least one"):
        Ensemble([Small()], ())


def test_features_make_the_cosine_the_mean_of_the_members() -> None:
    networks = [trained(0), *members(1)]
    ensemble = Ensemble(networks).eval()
    with torch.no_grad():
        whole = torch.cosine_similarity(ensemble.features(picture(1)), ensemble.features(picture(3)))
        each = [torch.cosine_similarity(one.features(picture(1)), one.features(picture(3))) for one in networks]
    torch.testing.assert_close(whole, torch.stack(each).mean(0))
    with pytest.raises(InvalidModelPackage, match="no features"):
        Ensemble([SmallMask()]).features(picture())


def test_heat_map_is_the_mean_of_the_members() -> None:
    networks = [trained(0), *members(1)]
    expected = (heat_map(networks[0], picture(), 1) + heat_map(networks[1], picture(), 1)) / 2
    found = Ensemble(networks).eval().heat_map(picture(), 1)
    np.testing.assert_allclose(found, expected / expected.max(), atol=1e-6)
    assert found.dtype == np.float32
