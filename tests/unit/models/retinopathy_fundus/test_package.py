"""The package as the node and the kit see it, without data."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image

from models import retinopathy_fundus as package
from models.kit.cases import Case
from models.kit.explain.faithfulness import fall
from models.kit.preprocess.whole_picture import resized
from models.kit.trained import trained_network
from models.retinopathy_fundus.input import CONTROL_SIDE, SIDE, crop_of, disc_of, without_source
from models.retinopathy_fundus.model import THRESHOLD, heat_map, network, postprocess, preprocess
from models.retinopathy_fundus.task import CONTROL, TASK, patient_of
from node.domain.result import Outcome
from node.domain.study import Picture, SopRef
from node.errors import InvalidModelOutput, UnsupportedImage
from tests.unit.models.chance import fall_by_chance

REF = SopRef("1.2.840.10008.5.1.4.1.1.77.1.5.1", "2.25.1")
WEIGHTS = Path(package.__file__).with_name("weights.safetensors")
CENTRE, RADIUS = (140.0, 170.0), 110.0


def fundus(colour: tuple[float, float, float] = (170, 90, 40), cut: int = 0) -> np.ndarray:
    """Whole numbers of 0..255: a disc of light with vessels; ``cut`` rows of it are missing at top and bottom."""
    down, across = np.mgrid[0:290, 0:340].astype(np.float32)
    lit = (down - CENTRE[0]) ** 2 + (across - CENTRE[1]) ** 2 <= RADIUS**2
    lit &= (down >= CENTRE[0] - RADIUS + cut) & (down <= CENTRE[0] + RADIUS - cut)
    vessels = 1 - 0.3 * (np.sin(across / 9 + np.sin(down / 30)) > 0.95)
    return np.round(lit[..., None] * vessels[..., None] * np.array(colour, np.float32)).astype(np.float32)


def picture(array: np.ndarray | None = None) -> Picture:
    return Picture(fundus() if array is None else array, REF, "OP")


def logits(probability: float) -> torch.Tensor:
    return torch.tensor([[0.0, float(np.log(probability / (1 - probability)))]])


def test_a_patient_has_two_eyes_and_one_source() -> None:
    right, left = Path("set/normal/2331_right.jpg"), Path("set/normal/2331_left.jpg")
    assert patient_of(right) == patient_of(left) != patient_of(Path("set/diabetic_retinopathy/2331_left.jpeg"))


def test_training_and_node_see_the_same(tmp_path: Path) -> None:
    Image.fromarray(fundus().astype(np.uint8)).save(tmp_path / "one.png")
    trained_on = TASK.image(Case("one", tmp_path / "one.png", 0, "g"))
    on_the_node = preprocess(picture())
    assert on_the_node.shape == (1, 3, SIDE, SIDE)
    assert torch.equal(on_the_node[0], torch.from_numpy(trained_on))


@pytest.mark.parametrize("cut", [0, 25])
def test_the_disc_is_found_whole_or_cut(cut: int) -> None:
    disc = disc_of(fundus(cut=cut))
    assert (disc.row, disc.column) == pytest.approx(CENTRE, abs=3)
    assert disc.radius == pytest.approx(RADIUS, abs=5)
    rows, columns = crop_of(fundus(), disc)
    assert (fundus(cut=cut)[rows, columns].max(axis=2) > 0).mean() > 0.95, "no border in the crop"


def test_the_control_sees_neither_the_place_of_the_disc_nor_colour_and_exposure() -> None:
    plain = without_source(fundus())
    assert plain.shape == (1, CONTROL_SIDE, CONTROL_SIDE)
    assert np.abs(without_source(np.pad(fundus(), ((30, 0), (0, 40), (0, 0)))) - plain).mean() < 0.02
    assert np.abs(without_source(fundus((60, 60, 200))) - plain).mean() < 0.1
    assert np.abs(plain).mean() > 0.1, "the vessels are"


def test_the_control_is_measured_on_the_same_cases() -> None:
    assert (CONTROL.split, CONTROL.listing, CONTROL.classes) == (TASK.split, TASK.listing, TASK.classes)


def test_what_is_no_fundus_is_refused() -> None:
    with pytest.raises(UnsupportedImage, match="grey"):
        preprocess(picture(fundus()[..., 0]))
    small = np.zeros((300, 300, 3), np.float32)
    small[:100, :100] = 120
    with pytest.raises(UnsupportedImage, match="disc of light"):
        preprocess(picture(small))


@pytest.mark.parametrize(("probability", "outcome"), [(0.999, Outcome.POSITIVE), (0.001, Outcome.NEGATIVE)])
def test_what_the_output_means(probability: float, outcome: Outcome) -> None:
    result = postprocess(logits(probability), picture())
    (finding,) = result.findings
    assert (result.outcome, finding.present) == (outcome, outcome is Outcome.POSITIVE)
    assert finding.concept.meaning == "Diabetic retinopathy"
    assert finding.probability == pytest.approx(probability, abs=1e-5)


def test_the_operating_point_decides() -> None:
    assert postprocess(logits(THRESHOLD + 1e-3), picture()).outcome is Outcome.POSITIVE
    assert postprocess(logits(THRESHOLD - 1e-3), picture()).outcome is Outcome.NEGATIVE


@pytest.mark.parametrize("outputs", [torch.zeros(1, 3), torch.tensor([[0.0, torch.nan]])])
def test_an_output_that_is_none(outputs: torch.Tensor) -> None:
    with pytest.raises(InvalidModelOutput):
        postprocess(outputs, picture())


def test_the_heat_map_lies_on_the_picture() -> None:
    torch.manual_seed(0)
    shown = heat_map(network().eval(), preprocess(picture()), logits(0.9), picture())
    assert (shown.shape, shown.dtype) == ((290, 340), np.float32)
    assert 0 <= shown.min() <= shown.max() <= 1


def test_the_heat_map_marks_what_moves_the_answer() -> None:
    shipped, inputs = trained_network(TASK, WEIGHTS), preprocess(picture())
    marked = resized(heat_map(shipped, inputs, logits(0.9), picture()), SIDE, SIDE)
    assert fall(shipped, inputs, 1, marked) > 2 * fall_by_chance(shipped, inputs, 1)
