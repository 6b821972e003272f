"""The package as the node and the kit see it, without data."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image

from models.breast_us.input import SIDE, network_input
from models.breast_us.model import (
    CONCEPTS,
    MALIGNANT,
    TEMPERATURE,
    THRESHOLD,
    heat_map,
    postprocess,
    preprocess,
)
from models.breast_us.network import MEMBERS, PLACES, VIEWS, in_place, moved, network
from models.breast_us.task import MEMBER, TASK
from models.kit.cases import Case
from models.kit.ensemble import Ensemble
from models.kit.explain.faithfulness import fall
from models.kit.preprocess.whole_picture import resized
from node.domain.result import Outcome
from node.domain.study import Picture, SopRef
from node.errors import InvalidModelOutput, UnsupportedImage
from tests.unit.models.chance import fall_by_chance

REF = SopRef("1.2.840.10008.5.1.4.1.1.6.1", "2.25.1")


def scene(rows: int = 200, columns: int = 240) -> np.ndarray:
    """Whole numbers of 0..255: speckle with a dark spot."""
    down, across = np.mgrid[0:rows, 0:columns] / np.array([rows, columns]).reshape(2, 1, 1)
    speckle = np.random.default_rng(0).uniform(60, 160, (rows, columns))
    return np.round(speckle * (1 - 0.9 * np.exp(-((down - 0.5) ** 2 + (across - 0.4) ** 2) / 0.02))).astype(np.float32)


def picture(array: np.ndarray | None = None) -> Picture:
    return Picture(scene() if array is None else array, REF, "US")


def said(normal: float, benign: float, malignant: float) -> torch.Tensor:
    """What the networks say where these are the calibrated probabilities."""
    return torch.tensor([[normal, benign, malignant]]).log() * TEMPERATURE


def test_training_and_node_see_the_same(tmp_path: Path) -> None:
    Image.fromarray(scene().astype(np.uint8)).save(tmp_path / "one.png")
    trained_on = TASK.image(Case("one", tmp_path / "one.png", 0, "g"))
    on_the_node = preprocess(picture())
    assert on_the_node.shape == (1, 1, SIDE, SIDE)
    assert torch.equal(on_the_node[0], torch.from_numpy(trained_on))


def test_ultrasound_stored_as_colour_is_the_same_picture() -> None:
    assert np.allclose(network_input(scene()), network_input(np.repeat(scene()[..., None], 3, axis=2)), atol=1e-3)


def test_doppler_and_whole_screens_are_refused() -> None:
    doppler = np.repeat(scene()[..., None], 3, axis=2)
    doppler[80:120, 80:160] = (220, 30, 10)
    with pytest.raises(UnsupportedImage, match="coloured"):
        preprocess(picture(doppler))
    screen = np.zeros((480, 640), np.float32)
    screen[100:300, 150:390] = scene()
    with pytest.raises(UnsupportedImage, match="black"):
        preprocess(picture(screen))


@pytest.mark.parametrize(
    ("probabilities", "outcome", "present"),
    [
        ((0.01, 0.04, 0.95), Outcome.POSITIVE, "Malignant"),
        ((0.01, 0.97, 0.02), Outcome.NEGATIVE, "Benign"),
        ((0.97, 0.02, 0.01), Outcome.NEGATIVE, "Breast normal"),
    ],
)
def test_what_the_output_means(probabilities: tuple[float, float, float], outcome: Outcome, present: str) -> None:
    result = postprocess(said(*probabilities), picture())
    assert result.outcome is outcome
    assert result.findings[0].concept == CONCEPTS[MALIGNANT], "the positive class comes first"
    assert [finding.concept.meaning for finding in result.findings if finding.present] == [present]
    shown = {finding.concept.meaning: finding.probability for finding in result.findings}
    assert list(shown.values()) == pytest.approx([probabilities[2], probabilities[1], probabilities[0]], abs=1e-4)


def test_the_operating_point_decides() -> None:
    def outcome(malignant: float) -> Outcome:
        return postprocess(said((1 - malignant) / 3, 2 * (1 - malignant) / 3, malignant), picture()).outcome

    assert (outcome(THRESHOLD + 1e-3), outcome(THRESHOLD - 1e-3)) == (Outcome.POSITIVE, Outcome.NEGATIVE)


@pytest.mark.parametrize("outputs", [torch.zeros(1, 2), torch.tensor([[0.0, 0.0, torch.nan]])])
def test_an_output_that_is_none(outputs: torch.Tensor) -> None:
    with pytest.raises(InvalidModelOutput):
        postprocess(outputs, picture())


def test_members_are_trained_and_their_ensemble_is_shipped() -> None:
    torch.manual_seed(0)
    shipped = TASK.network().eval()
    assert isinstance(shipped, Ensemble)
    assert {name.split(".", 2)[2] for name in shipped.state_dict()} == set(MEMBER.network().state_dict())
    with torch.inference_mode():
        probabilities = shipped(preprocess(picture())).exp()
    assert probabilities.sum().item() == pytest.approx(1.0, abs=1e-5)


def test_the_heat_map_lies_on_the_picture() -> None:
    torch.manual_seed(0)
    joined = network().eval()
    assert isinstance(joined, Ensemble)
    shown = heat_map(joined, preprocess(picture()), said(0.1, 0.1, 0.8), picture())
    assert (shown.shape, shown.dtype) == ((200, 240), np.float32)
    assert 0 <= shown.min() <= shown.max() <= 1


def test_the_heat_map_marks_what_moves_the_answer() -> None:
    torch.manual_seed(0)
    fresh, inputs = network().eval(), preprocess(picture())
    marked = resized(heat_map(fresh, inputs, said(0.1, 0.1, 0.8), picture()), SIDE, SIDE)
    explained = in_place(fresh)
    assert fall(explained, inputs, MALIGNANT, marked) > 2 * fall_by_chance(explained, inputs, MALIGNANT)


def test_a_picture_is_looked_at_in_several_places() -> None:
    torch.manual_seed(0)
    shipped, inputs = network().eval(), torch.rand(2, 1, 32, 32)
    with torch.inference_mode():
        vote = shipped.vote(inputs)
        assert vote.each.shape == (MEMBERS * len(VIEWS) * len(PLACES), 2, 3)
        by_place = [in_place(shipped)(moved(inputs, *place)).exp() for place in PLACES]
        assert torch.allclose(shipped(inputs).exp(), torch.stack(by_place).mean(dim=0), atol=1e-6)
        assert not torch.allclose(by_place[0], by_place[1], atol=1e-6)
        assert torch.allclose(shipped(inputs[1:]), shipped(inputs)[1:], atol=1e-5)


def test_where_a_moved_picture_ends_its_border_goes_on() -> None:
    x = torch.arange(16.0 * 16).reshape(1, 1, 16, 16)
    down = moved(x, 12, -12)
    assert torch.equal(down[..., 12:, :4], x[..., :4, 12:])
    assert torch.equal(down[..., 0, :4], x[..., 0, 12:])
    assert torch.equal(down[..., 15, 15], x[..., 3, 15])
    assert torch.equal(moved(x, 0, 0), x)


def test_maps_explain_an_ensemble() -> None:
    with pytest.raises(TypeError, match="ensemble"):
        in_place(torch.nn.Identity())
