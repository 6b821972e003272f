"""What a MONAI bundle asks for: translated where it is known, a problem with its name where it is not, never run."""

from __future__ import annotations

import copy
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from node.domain.declared import Activation, Decision, Percentiles, Postprocessing, Preprocessing, Rescale, ZScore
from node.errors import InvalidModelPackage
from node.infer.package import read_description
from tests.fakes import declared


def changed(change: Callable[[dict[str, Any]], object]) -> dict[str, Any]:
    inference = copy.deepcopy(dict(declared.INFERENCE))
    change(inference)
    return inference


def before(*transforms: dict[str, Any]) -> dict[str, Any]:
    return changed(lambda inference: inference["preprocessing"].update(transforms=list(transforms)))


def behind(*transforms: dict[str, Any]) -> dict[str, Any]:
    return changed(lambda inference: inference["postprocessing"].update(transforms=list(transforms)))


def declaration(root: Path, inference: dict[str, Any]) -> tuple[Preprocessing, Postprocessing]:
    found = read_description(declared.bundle(root, b"weights", inference)).declared
    assert found is not None
    return found.preprocessing, found.postprocessing


def test_the_usual_steps_of_a_ct(tmp_path: Path) -> None:
    inference = before(
        {"_target_": "LoadImaged", "keys": "image", "image_only": True},
        {"_target_": "monai.transforms.EnsureChannelFirstd", "keys": "image"},
        {"_target_": "Orientationd", "keys": "image", "axcodes": "RAS"},
        {"_target_": "Spacingd", "keys": "image", "pixdim": [1.5, 1.5, -1], "mode": "bilinear"},
        {"_target_": "ScaleIntensityRanged", "keys": "image", "a_min": -57, "a_max": 164, "b_min": 0, "b_max": 1,
         "clip": True},
        {"_target_": "DivisiblePadd", "keys": "image", "k": 16},
        {"_target_": "EnsureTyped", "keys": "image"},
    )  # fmt: skip
    steps, _ = declaration(tmp_path, inference)
    assert steps == Preprocessing(
        "RAS", (1.5, 1.5, 0.0), None, (Rescale(-57, 164, (0, 1), clip=True),), divisible_by=16
    )


def test_other_steps_on_values(tmp_path: Path) -> None:
    inference = before(
        {"_target_": "Resized", "keys": ["image"], "spatial_size": [8, 8, 8], "mode": "trilinear"},
        {
            "_target_": "ScaleIntensityRangePercentilesd",
            "keys": "image",
            "lower": 1,
            "upper": 99,
            "b_min": -1,
            "b_max": 1,
        },
        {"_target_": "NormalizeIntensityd", "keys": "image", "nonzero": True, "channel_wise": True},
        {"_target_": "NormalizeIntensityd", "keys": "image", "subtrahend": 3, "divisor": [2.5]},
        {"_target_": "ScaleIntensityd", "keys": "image", "minv": -1, "maxv": 1},
    )
    steps, _ = declaration(tmp_path, inference)
    assert steps.size == (8, 8, 8)
    assert steps.intensity == (
        Percentiles(1, 99, (-1, 1), clip=False),
        ZScore(nonzero=True),
        ZScore((3.0,), (2.5,)),
        Percentiles(0, 100, (-1, 1), clip=False),
    )


def test_what_comes_behind(tmp_path: Path) -> None:
    inference = behind(
        {"_target_": "Activationsd", "keys": "pred", "sigmoid": True},
        {"_target_": "AsDiscreted", "keys": "pred", "threshold": 0.4},
        {"_target_": "KeepLargestConnectedComponentd", "keys": "pred", "applied_labels": [1]},
    )
    _, steps = declaration(tmp_path, inference)
    assert steps == Postprocessing(Activation.SIGMOID, Decision.THRESHOLD, threshold=0.4, largest_component=True)


def test_a_step_that_is_switched_off(tmp_path: Path) -> None:
    steps, _ = declaration(tmp_path, before({"_target_": "RandFlipd", "keys": "image", "_disabled_": True}))
    assert steps == Preprocessing()


def test_references_are_followed(tmp_path: Path) -> None:
    inference = before({"_target_": "Spacingd", "keys": "image", "pixdim": "@spacing#fine"}) | {
        "spacing": {"fine": "@one"},
        "one": [1.0, 1.0, 1.0],
    }
    assert declaration(tmp_path, inference)[0].spacing_mm == (1.0, 1.0, 1.0)


NETWORK = {"_target_": "torch.nn.Conv3d", "in_channels": 1, "out_channels": 3, "kernel_size": 3}


def network(**values: Any) -> dict[str, Any]:
    return changed(lambda inference: inference.update(network_def=NETWORK | values))


def inferer(target: str, **values: Any) -> dict[str, Any]:
    return changed(lambda inference: inference.update(inferer={"_target_": target, **values}))


@pytest.mark.parametrize(
    ("inference", "place", "words"),
    [
        (before({"_target_": "CropForegroundd", "keys": "image"}), "preprocessing", "CropForegroundd: known are"),
        (before({"_target_": "Lambdad", "keys": "image", "func": "$lambda x: x"}), "preprocessing.transforms[0].func",
         "'$lambda x: x' is code or a macro, which is never run"),
        (before({"_target_": "my.own.Thing"}), "preprocessing", "Thing: known are"),
        (before({"_target_": "Orientationd", "keys": "image", "axcodes": "XYZ"}), "preprocessing", "no orientation"),
        (before({"_target_": "Spacingd", "keys": "image", "pixdim": [1, 1, 1], "mode": "nearest"}), "preprocessing",
         "mode = 'nearest' is not supported"),
        (before({"_target_": "Spacingd", "keys": "image", "pixdim": [1, 1, 1], "diagonal": True}), "preprocessing",
         "diagonal = True is not supported"),
        (before({"_target_": "NormalizeIntensityd", "keys": "image"},
                {"_target_": "Spacingd", "keys": "image", "pixdim": [1, 1, 1]}), "preprocessing", "comes too late"),
        (before({"_target_": "ScaleIntensityd", "keys": "image", "strange": 1}), "preprocessing",
         "the parameter strange is not supported"),
        (before({"_target_": "Resized", "keys": "image", "spatial_size": [8, 8, 8]}), "preprocessing",
         "mode = 'area' is not supported"),
        (behind({"_target_": "VoteEnsembled", "keys": "pred"}), "postprocessing", "VoteEnsembled: known are"),
        (behind({"_target_": "Activationsd", "keys": "pred", "other": "@a"}) | {"a": "$torch.relu"},
         "postprocessing.transforms[0].other", "is code or a macro"),
        (network(_target_="os.system", command="true"), "network_def", "'os.system' is no network"),
        (network(_target_="builtins.eval"), "network_def", "is no network"),
        (network(_target_="$import os"), "network_def._target_", "is code or a macro"),
        (network(out_channels="$__import__('os').getpid()"), "network_def.out_channels", "is code or a macro"),
        (network(in_channels="%other.json::x"), "network_def.in_channels", "is code or a macro"),
        (network(kernel_size={"_target_": "subprocess.run", "args": "true"}), "network_def.kernel_size",
         "'subprocess.run' is no network"),
        (network(_mode_="callable"), "network_def", "_mode_ is not supported"),
        (network(pretrained=True), "network_def", "pretrained: nothing is downloaded"),
        (network(padding="@nowhere"), "network_def.padding", "@nowhere is not there"),
        (network(padding="@a") | {"a": "@b", "b": "@a"}, "network_def.padding", "refers to itself"),
        (inferer("SliceInferer", roi_size=[64, 64]), "inferer", "SliceInferer is not supported"),
        (inferer("SlidingWindowInferer", roi_size=[-1, 8, 8]), "inferer", "are not three numbers"),
        (inferer("SlidingWindowInferer", roi_size=[8, 8, 8], sigma_scale=0.3), "inferer",
         "the parameter sigma_scale is not supported"),
    ],
)  # fmt: skip
def test_what_is_not_supported(inference: dict[str, Any], place: str, words: str, tmp_path: Path) -> None:
    with pytest.raises(InvalidModelPackage) as caught:
        read_description(declared.bundle(tmp_path, b"weights", inference))
    ((path, problem),) = caught.value.details["problems"]  # type: ignore[misc, str-unpack]
    assert path == f"configs/inference.json: {place}"
    assert words in problem


def test_own_steps_stand_for_those_of_the_bundle(tmp_path: Path) -> None:
    inference = before({"_target_": "CropForegroundd", "keys": "image"})
    inference["postprocessing"] = "$strange"
    model = read_description(declared.bundle(tmp_path, b"weights", inference, steps=declared.STEPS))
    assert model.declared is not None
    assert model.declared.preprocessing == Preprocessing(intensity=(ZScore(),))


def test_several_channels_are_several_series(tmp_path: Path) -> None:
    metadata = {"network_data_format": {"inputs": {"image": {"num_channels": 4}}}}
    with pytest.raises(InvalidModelPackage, match="4 channels are wanted; a series of images gives one"):
        read_description(declared.bundle(tmp_path, b"weights", metadata=metadata))


def test_another_configuration_than_the_declared_one(tmp_path: Path) -> None:
    folder = declared.bundle(tmp_path, b"weights")
    (folder / "configs" / "inference.json").write_text("{}")
    with pytest.raises(
        InvalidModelPackage, match=r"network\.config_sha256: configs/inference\.json has the SHA-256 44136fa3"
    ):
        read_description(folder)


@pytest.mark.parametrize("name", ["inference.json", "metadata.json"])
def test_a_file_is_absent(name: str, tmp_path: Path) -> None:
    folder = declared.bundle(tmp_path, b"weights")
    (folder / "configs" / name).unlink()
    with pytest.raises(InvalidModelPackage, match=f"configs/{name}: is not there"):
        read_description(folder)


def test_no_json(tmp_path: Path) -> None:
    folder = declared.bundle(tmp_path, b"weights")
    (folder / "configs" / "metadata.json").write_text("{")
    with pytest.raises(InvalidModelPackage, match=r"configs/metadata\.json: not valid JSON"):
        read_description(folder)
