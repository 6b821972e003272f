"""The package as the node and the kit see it, without data."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image

from models.chest_xray_pneumonia.input import SIDE, network_input
from models.chest_xray_pneumonia.model import TEMPERATURE, THRESHOLD, heat_map, network, postprocess, preprocess
from models.chest_xray_pneumonia.task import TASK, person_of
from models.kit.cases import Case
from models.kit.explain.faithfulness import fall
from models.kit.preprocess.whole_picture import resized
from node.domain.result import Outcome
from node.domain.study import Picture, SopRef
from node.errors import InvalidModelOutput, UnsupportedImage
from tests.unit.models.chance import fall_by_chance

REF = SopRef("1.2.840.10008.5.1.4.1.1.1.1", "2.25.1")


def scene(rows: int = 200, columns: int = 240) -> np.ndarray:
    """Whole numbers of 0..255, smooth with one bright spot."""
    down, across = np.mgrid[0:rows, 0:columns] / np.array([rows, columns]).reshape(2, 1, 1)
    spot = np.exp(-((down - 0.6) ** 2 + (across - 0.3) ** 2) / 0.02)
    return np.round(60 + 80 * across + 100 * spot).astype(np.float32)


def logits(probability: float) -> torch.Tensor:
    """What the network says where this is the calibrated probability."""
    return torch.tensor([[0.0, TEMPERATURE * float(np.log(probability / (1 - probability)))]])


@pytest.mark.parametrize(
    ("name", "person"),
    [
        ("person1003_bacteria_2934.jpeg", "person1003"),
        ("person1003_virus_1685.jpeg", "person1003"),
        ("IM-0439-0001.jpeg", "normal-0439"),
        ("IM-0439-0001-0002.jpeg", "normal-0439"),
        ("NORMAL2-IM-0439-0001.jpeg", "normal-0439"),
        ("scan7.jpeg", "file-scan7"),
    ],
)
def test_who_is_on_a_picture(name: str, person: str) -> None:
    assert person_of(Path(name)) == person


def test_training_and_node_see_the_same(tmp_path: Path) -> None:
    Image.fromarray(scene().astype(np.uint8)).save(tmp_path / "one.png")
    trained_on = TASK.image(Case("one", tmp_path / "one.png", 0, "g"))
    on_the_node = preprocess(Picture(scene(), REF, "DX"))
    assert on_the_node.shape == (1, 1, SIDE, SIDE)
    assert torch.equal(on_the_node[0], torch.from_numpy(trained_on))


def test_the_numbers_of_a_detector_do_not_matter() -> None:
    assert np.allclose(network_input(scene()), network_input(scene() * 16 + 300), atol=1e-3)
    assert np.allclose(network_input(scene()), network_input(np.repeat(scene()[..., None], 3, axis=2)), atol=1e-3)
    assert np.abs(network_input(scene()) - network_input(255 - scene())).mean() > 0.5


def test_colour_is_refused() -> None:
    coloured = np.stack([scene(), scene() * 0.5, scene() * 0.2], axis=2)
    with pytest.raises(UnsupportedImage, match="coloured"):
        preprocess(Picture(coloured, REF, "DX"))


@pytest.mark.parametrize(("probability", "outcome"), [(0.999, Outcome.POSITIVE), (0.001, Outcome.NEGATIVE)])
def test_what_the_output_means(probability: float, outcome: Outcome) -> None:
    result = postprocess(logits(probability), Picture(scene(), REF, "DX"))
    assert result.outcome is outcome
    (finding,) = result.findings
    assert (finding.concept.meaning, finding.present) == ("Pneumonia", outcome is Outcome.POSITIVE)
    assert finding.probability == pytest.approx(probability, abs=1e-5)


def test_the_operating_point_decides() -> None:
    picture = Picture(scene(), REF, "DX")
    assert postprocess(logits(THRESHOLD + 1e-3), picture).outcome is Outcome.POSITIVE
    assert postprocess(logits(THRESHOLD - 1e-3), picture).outcome is Outcome.NEGATIVE


@pytest.mark.parametrize("outputs", [torch.zeros(1, 3), torch.tensor([[0.0, torch.nan]])])
def test_an_output_that_is_none(outputs: torch.Tensor) -> None:
    with pytest.raises(InvalidModelOutput):
        postprocess(outputs, Picture(scene(), REF, "DX"))


def test_the_heat_map_lies_on_the_picture() -> None:
    torch.manual_seed(0)
    picture = Picture(scene(), REF, "DX")
    inputs = preprocess(picture)
    shown = heat_map(network().eval(), inputs, logits(0.9), picture)
    assert (shown.shape, shown.dtype) == ((200, 240), np.float32)
    assert 0 <= shown.min() <= shown.max() <= 1


def test_the_heat_map_marks_what_moves_the_answer() -> None:
    torch.manual_seed(0)
    fresh, picture = network().eval(), Picture(scene(), REF, "DX")
    inputs = preprocess(picture)
    marked = resized(heat_map(fresh, inputs, logits(0.9), picture), SIDE, SIDE)
    assert fall(fresh, inputs, 1, marked) > 2 * fall_by_chance(fresh, inputs, 1)
