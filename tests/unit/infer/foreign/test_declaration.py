"""The tables of a package without code: every contradiction is listed with its key path."""

from __future__ import annotations

from pathlib import Path

import pytest

from node.domain.declared import (
    Activation,
    Decision,
    DeclaredNetwork,
    NetworkFormat,
    Percentiles,
    Postprocessing,
    Preprocessing,
    Rescale,
    ZScore,
)
from node.domain.model import InputKind
from node.errors import InvalidModelPackage
from node.infer.package import read_description
from tests.fakes import declared

FULL = """
[preprocess]
orientation = "LPS"
spacing_mm = [1.0, 0, 2.5]
intensity = [
    { kind = "window", centre = 40, width = 400 },
    { kind = "range", values = [0, 1], to = [-1, 1] },
    { kind = "percentiles", values = [1, 99] },
    { kind = "z_score", nonzero = true },
    { kind = "z_score", mean = [0.5, 0.5, 0.5], deviation = [0.2, 0.2, 0.2] },
]
divisible_by = 32
channels = 3

[postprocess]
activation = "sigmoid"
threshold = 0.3
labels = [4, 1]
largest_component = true
minimum_volume_ml = 0.25
"""


def problems(folder: Path) -> dict[str, str]:
    with pytest.raises(InvalidModelPackage) as caught:
        read_description(folder)
    return dict(caught.value.details["problems"])  # type: ignore[call-overload, no-any-return]


def test_everything_that_can_be_declared(tmp_path: Path) -> None:
    model = read_description(declared.package(tmp_path, "torchscript", b"x", FULL, network_table="output = 1"))
    assert model.weights_file == "network.pt"
    assert model.declared == DeclaredNetwork(
        NetworkFormat.TORCHSCRIPT,
        Preprocessing(
            orientation="LPS",
            spacing_mm=(1.0, 0.0, 2.5),
            intensity=(
                Rescale(-160, 240, (0, 1), clip=True),
                Rescale(0, 1, (-1, 1), clip=False),
                Percentiles(1, 99, (0, 1), clip=True),
                ZScore(nonzero=True),
                ZScore((0.5,) * 3, (0.2,) * 3),
            ),
            divisible_by=32,
            channels=3,
        ),
        Postprocessing(
            Activation.SIGMOID,
            Decision.THRESHOLD,
            threshold=0.3,
            labels=(4, 1),
            largest_component=True,
            minimum_volume_ml=0.25,
        ),
        output=1,
    )


def test_a_classifier_of_pictures(tmp_path: Path) -> None:
    steps = declared.CLASSIFIER.replace("[4, 4, 4]", "[4, 4]")
    folder = declared.package(tmp_path, "onnx", b"x", steps, segments="")
    text = (folder / "model.toml").read_text().replace("[input]", '[input]\nkind = "image"')
    (folder / "model.toml").write_text(text)
    model = read_description(folder)
    assert model.kind is InputKind.IMAGE
    assert model.declared is not None
    assert model.declared.dimensions == 2


@pytest.mark.parametrize(
    ("change", "path", "words"),
    [
        (('"z_score"', '"magic"'), "preprocess.intensity[0]", "magic"),
        (("[preprocess]", '[preprocess]\norientation = "RAX"'), "preprocess.orientation", "such as RAS"),
        (("[preprocess]", '[preprocess]\norientation = "RLS"'), "preprocess.orientation", "such as RAS"),
        (("[preprocess]", "[preprocess]\nspacing_mm = [1.0, -1.0, 1.0]"), "preprocess.spacing_mm[1]", "greater"),
        (("[preprocess]", "[preprocess]\nsize = [4, 4]"), "preprocess.size", "3 numbers"),
        (('kind = "z_score"', 'kind = "range", values = [3, 1]'), "preprocess.intensity[0].range.values", "lower one"),
        (('kind = "z_score"', 'kind = "z_score", mean = [1]'), "preprocess.intensity[0].z_score", "as many numbers"),
        (('kind = "z_score"', 'kind = "z_score", mean = [1, 2], deviation = [1, 2]'), "preprocess.intensity[0].mean",
         "one for each of 1 channels"),
        (('"softmax"', '"relu"'), "postprocess.activation", "'softmax', 'sigmoid'"),
        (("[postprocess]", "[postprocess]\nlabels = [1]"), "postprocess.labels", "1 labels for 2 segments"),
        (("[postprocess]", "[postprocess]\nlabels = [1, 1]"), "postprocess.labels", "twice"),
        (('activation = "softmax"', ""), "postprocess.activation", "required"),
        (('"network.pt"', '"../network.pt"'), "network.file", "pattern"),
        (('"network.pt"', '"/etc/passwd"'), "network.file", "pattern"),
        (('"network.pt"', '"other.pt"'), "network.file", "other.pt is not there"),
        (("[network]", f'[network]\nconfig_sha256 = "{64 * "0"}"'), "network", "belongs to a monai_bundle"),
        (('"torchscript"', '"pickle"'), "network.format", "torchscript"),
        (("[weights]", '[weights]\nfile = "b"'), "", "weights.file: is network.file where"),
        ((declared.SEGMENTS, ""), "segments", "either [[segments]] or [[postprocess.classes]]"),
    ],
)  # fmt: skip
def test_contradictions(change: tuple[str, str], path: str, words: str, tmp_path: Path) -> None:
    folder = declared.package(tmp_path, "torchscript", b"x")
    text = (folder / "model.toml").read_text()
    assert change[0] in text
    (folder / "model.toml").write_text(text.replace(*change))
    found = problems(folder)
    assert words in found[path]


def test_a_network_without_postprocessing_says_nothing(tmp_path: Path) -> None:
    folder = declared.package(tmp_path, "torchscript", b"x", steps="")
    assert problems(folder) == {"postprocess": "is absent: nothing says what the network's output means"}


def test_a_classifier_of_slices_needs_pictures(tmp_path: Path) -> None:
    steps = declared.CLASSIFIER.replace("[4, 4, 4]", "[4, 4]")
    folder = declared.package(tmp_path, "onnx", b"x", steps, segments="", network_table="dimensions = 2")
    assert problems(folder) == {"network.dimensions": 'a classifier of single images needs [input] kind = "image"'}


def test_steps_belong_to_a_network_without_code(tmp_path: Path) -> None:
    folder = declared.with_code(tmp_path)
    with (folder / "model.toml").open("a") as file:
        file.write(declared.STEPS)
    assert problems(folder) == {"": "preprocess, postprocess: only where [network] names a network without code"}


def test_what_is_still_to_fill_in_comes_first_and_once(tmp_path: Path) -> None:
    folder = declared.package(tmp_path, "torchscript", b"x")
    text = (folder / "model.toml").read_text()
    text = text.replace('version = "1.0.0"', 'version = "FILL IN: the version"').replace('"Tests."', '"FILL IN"')
    (folder / "model.toml").write_text(text.replace('"First"', '"FILL IN: what it is"', 1))
    assert problems(folder) == {
        "model.version": "still to fill in: the version",
        "model.intended_use": "still to fill in: a text",
        "segments[0].label": "still to fill in: what it is",
    }
