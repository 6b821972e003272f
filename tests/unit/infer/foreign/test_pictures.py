"""A classifier without code on pictures: grey and colour, size, and what it says of each."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import numpy.typing as npt
import pytest
import torch
from torch import nn

from node.domain.declared import Preprocessing, Rescale
from node.domain.result import Outcome
from node.domain.study import Picture, SopRef
from node.errors import UnsupportedImage
from node.infer.engine import Engine
from node.infer.foreign.model import DeclaredModel
from node.infer.registry import check_package
from tests.fakes import declared

REF = SopRef("1.2.840.10008.5.1.4.1.1.6.1", "1.2.3")
GREY: npt.NDArray[np.float32] = np.arange(12 * 10, dtype=np.float32).reshape(12, 10)
COLOUR = np.stack([GREY, GREY[::-1], 0 * GREY], axis=-1)

STEPS = """
[preprocess]
size = [6, 5]
channels = {channels}
intensity = [{{ kind = "range", values = [0, 120] }}]

[postprocess]
activation = "sigmoid"
threshold = 0.5

[[postprocess.classes]]
concept = {{ value = "BRIGHT", scheme = "99TEST", meaning = "Bright" }}
positive = true
"""


class Brightness(nn.Module):
    """One logit: above 0 where the mean of the first channel is above a half."""

    def forward(self, inputs: torch.Tensor) -> torch.Tensor:
        return 10 * (inputs[:, 0].mean().reshape(1, 1) - 0.5)


def model(root: Path, channels: int) -> DeclaredModel:
    described = check_package(package(root, channels))
    assert described.declared is not None
    return DeclaredModel(described, described.declared)


def package(root: Path, channels: int = 1) -> Path:
    content = declared.torchscript(Brightness())
    folder = declared.package(root, "torchscript", content, STEPS.format(channels=channels), segments="")
    text = (folder / "model.toml").read_text().replace("[input]", '[input]\nkind = "image"').replace('"MR"', '"US"')
    (folder / "model.toml").write_text(text)
    return folder


@pytest.mark.parametrize(("add", "outcome"), [(-40.0, Outcome.NEGATIVE), (40.0, Outcome.POSITIVE)])
def test_a_picture_through_the_engine(add: float, outcome: Outcome, tmp_path: Path) -> None:
    run = Engine().run(check_package(package(tmp_path)), Picture(GREY + add, REF, "US"), "cpu")
    assert run.result.outcome is outcome
    (finding,) = run.result.findings
    mean = float((GREY + add).mean()) / 120
    assert finding.probability == pytest.approx(1 / (1 + np.exp(-10 * (mean - 0.5))), abs=1e-4)
    assert (finding.present, finding.image) == (outcome is Outcome.POSITIVE, REF)


def test_grey_for_a_network_of_colour(tmp_path: Path) -> None:
    inputs = model(tmp_path, 3).preprocess(Picture(GREY, REF))
    assert tuple(inputs.shape) == (1, 3, 6, 5)
    assert torch.equal(inputs[0, 0], inputs[0, 1])
    assert torch.equal(inputs[0, 0], inputs[0, 2])


def test_colour_stays_colour(tmp_path: Path) -> None:
    inputs = model(tmp_path, 3).preprocess(Picture(COLOUR, REF))
    expected = nn.functional.interpolate(torch.from_numpy(COLOUR).permute(2, 0, 1)[None], (6, 5), mode="area") / 120
    assert tuple(inputs.shape) == (1, 3, 6, 5)
    assert torch.allclose(inputs[0, :, 2, 2], expected[0, :, 2, 2], atol=0.05)
    assert float(inputs[0, 2].abs().max()) == 0


def test_colour_for_a_network_of_grey_is_its_brightness(tmp_path: Path) -> None:
    one, three = model(tmp_path / "one", 1), model(tmp_path / "three", 3)
    of_colours = three.preprocess(Picture(COLOUR, REF))[0]
    brightness = 0.299 * of_colours[0] + 0.587 * of_colours[1] + 0.114 * of_colours[2]
    assert torch.allclose(one.preprocess(Picture(COLOUR, REF))[0, 0], brightness, atol=1e-4)


def test_colour_for_a_network_of_two_channels(tmp_path: Path) -> None:
    with pytest.raises(UnsupportedImage, match="a colour image for a network of 2 channels"):
        model(tmp_path, 2).preprocess(Picture(COLOUR, REF))


def test_padding_until_it_can_be_divided(tmp_path: Path) -> None:
    described = check_package(package(tmp_path))
    assert described.declared is not None
    steps = Preprocessing(divisible_by=8, intensity=(Rescale(0, 1, (5, 6), clip=False),))
    network = described.declared
    padded = DeclaredModel(
        described, type(network)(network.format, steps, network.postprocessing, dimensions=2)
    ).preprocess(Picture(GREY, REF))
    assert tuple(padded.shape) == (1, 1, 16, 16)
    assert torch.equal(padded[0, 0, 2:14, 3:13], torch.from_numpy(GREY) + 5)
    assert float(padded[0, 0, :2].abs().max()) == 0


def test_values_that_are_not_finite(tmp_path: Path) -> None:
    array = GREY.copy()
    array[3, 3] = np.nan
    with pytest.raises(UnsupportedImage, match="not finite"):
        model(tmp_path, 1).preprocess(Picture(array, REF))
