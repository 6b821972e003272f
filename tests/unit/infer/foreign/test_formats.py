"""Packages without code give the numbers of the same network with code; what is damaged gets a named error."""

from __future__ import annotations

import copy
import pickle
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from monai.inferers import utils as windows
from onnx import load_model_from_string, save_model
from torch import nn

from node.domain.model import ModelDescription
from node.domain.result import InferenceResult, Outcome
from node.errors import AinodeError, InvalidModelOutput, InvalidModelPackage, WeightsDigestMismatch
from node.infer.registry import check_package
from node.ports import InferenceRequest
from tests.fakes import declared
from tests.fakes.inline_executor import InlineExecutor
from tests.fakes.series import series, write


def run(model: ModelDescription, tmp_path: Path) -> InferenceResult:
    images = write(tmp_path / "series", series(range(6)))
    return InlineExecutor().run(InferenceRequest(model, images, "cpu", 60), lambda: None).result


def torchscript(root: Path) -> Path:
    return declared.package(root, "torchscript", declared.torchscript(declared.network()))


def onnx(root: Path) -> Path:
    return declared.package(root, "onnx", declared.onnx_convolution(declared.network()))


def bundle(root: Path) -> Path:
    return declared.bundle(root, declared.weights(declared.network()))


def bundle_with_torchscript(root: Path) -> Path:
    return declared.bundle(root, declared.torchscript(declared.network()), file="models/model.ts")


FORMATS = [torchscript, onnx, bundle, bundle_with_torchscript]


@pytest.mark.parametrize("make", FORMATS)
def test_the_numbers_of_the_package_with_code(make: Callable[[Path], Path], tmp_path: Path) -> None:
    expected = run(check_package(declared.with_code(tmp_path)), tmp_path)
    found = run(check_package(make(tmp_path)), tmp_path)
    assert expected.segmentation is not None
    assert found.segmentation is not None
    assert len(np.unique(expected.segmentation.label_map)) == declared.CLASSES
    np.testing.assert_array_equal(found.segmentation.label_map, expected.segmentation.label_map)
    assert found.findings == expected.findings
    assert found.segmentation.segments == expected.segmentation.segments


@pytest.mark.parametrize("make", FORMATS)
def test_a_changed_file_is_refused_before_it_is_loaded(make: Callable[[Path], Path], tmp_path: Path) -> None:
    folder = make(tmp_path)
    model = check_package(folder)
    file = folder / model.weights_file
    file.write_bytes(file.read_bytes() + b"x")
    with pytest.raises(WeightsDigestMismatch):
        check_package(folder)
    with pytest.raises(WeightsDigestMismatch):
        run(model, tmp_path)


@pytest.mark.parametrize("kind", ["torchscript", "onnx"])
@pytest.mark.parametrize("keep", [0, 100, 0.5])
def test_a_truncated_file_is_no_network(kind: str, keep: float, tmp_path: Path) -> None:
    network = declared.network()
    content = declared.torchscript(network) if kind == "torchscript" else declared.onnx_convolution(network)
    part = content[: int(keep if keep != 0.5 else len(content) * keep)]
    with pytest.raises(InvalidModelPackage, match="that can be read here"):
        run(check_package(declared.package(tmp_path, kind, part)), tmp_path)


def test_a_truncated_bundle(tmp_path: Path) -> None:
    content = declared.weights(declared.network())
    with pytest.raises(InvalidModelPackage, match="no weights that can be read without running code"):
        run(check_package(declared.bundle(tmp_path, content[: len(content) // 2])), tmp_path)


class Attack:
    """What a pickle could do when it is read."""

    def __reduce__(self) -> tuple[Any, ...]:
        return (Path.touch, (Path("attacked"),))


def test_code_in_a_checkpoint_is_never_run(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    with pytest.raises(InvalidModelPackage, match="without running code"):
        run(check_package(declared.bundle(tmp_path, pickle.dumps(Attack(), protocol=2))), tmp_path)
    assert not (tmp_path / "attacked").exists()


def test_weights_of_another_network(tmp_path: Path) -> None:
    with pytest.raises(InvalidModelPackage, match="do not fit network_def"):
        run(check_package(declared.bundle(tmp_path, declared.weights(nn.Conv3d(1, 2, 3)))), tmp_path)


def test_weights_within_a_checkpoint_of_training(tmp_path: Path) -> None:
    network = declared.network()
    torch.save({"model": network.state_dict(), "epoch": 3}, tmp_path / "model.pt")
    folder = declared.bundle(tmp_path, (tmp_path / "model.pt").read_bytes())
    assert run(check_package(folder), tmp_path).outcome is Outcome.POSITIVE


def test_a_network_of_monai(tmp_path: Path) -> None:
    from monai.networks.nets import UNet  # noqa: PLC0415  takes seconds

    arguments: dict[str, Any] = {
        "spatial_dims": 3, "in_channels": 1, "out_channels": 3, "channels": [4, 8], "strides": [2],
    }  # fmt: skip
    torch.manual_seed(1)
    network = UNet(**arguments).eval()
    inference = dict(copy.deepcopy(declared.INFERENCE))
    inference["network_def"] = {"_target_": "UNet", **arguments}
    steps = declared.STEPS.replace("intensity", "divisible_by = 2\nintensity")
    from_bundle = run(
        check_package(declared.bundle(tmp_path, declared.weights(network), inference, steps=steps)), tmp_path
    )
    from_script = run(
        check_package(declared.package(tmp_path, "torchscript", declared.torchscript(network), steps=steps)), tmp_path
    )
    assert from_bundle.segmentation is not None
    assert from_script.segmentation is not None
    np.testing.assert_array_equal(from_bundle.segmentation.label_map, from_script.segmentation.label_map)


def test_windows_of_a_bundle_blend_as_it_says(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    inference = dict(copy.deepcopy(declared.INFERENCE))
    inference["inferer"] = {
        "_target_": "SlidingWindowInferer", "roi_size": [4, 4, 4], "sw_batch_size": 3, "overlap": 0.5,
        "sw_device": "@device",
    }  # fmt: skip
    model = check_package(declared.bundle(tmp_path, declared.weights(declared.network()), inference))
    assert model.runtime.window == (4, 4, 4)
    assert (model.runtime.overlap, model.runtime.batch, model.runtime.blend) == (0.5, 3, "constant")

    used: list[dict[str, Any]] = []
    real = windows.sliding_window_inference
    monkeypatch.setattr(
        windows, "sliding_window_inference", lambda *given, **how: used.append(how) or real(*given, **how)
    )
    assert run(model, tmp_path).outcome is Outcome.POSITIVE
    ((size, batch, overlap, mode),) = [
        tuple(how[name] for name in ("roi_size", "sw_batch_size", "overlap", "mode")) for how in used
    ]
    assert (size, batch, overlap, mode) == ((4, 4, 4), 3, 0.5, "constant")


def wrong_channels(root: Path) -> Path:
    torch.manual_seed(0)
    return declared.package(root, "torchscript", declared.torchscript(nn.Conv3d(1, 2, 3, padding=1)))


def wrong_shape(root: Path) -> Path:
    return declared.package(root, "torchscript", declared.torchscript(nn.Conv3d(1, 3, 3)))


def not_a_number(root: Path) -> Path:
    network = declared.network()
    with torch.no_grad():
        network.weight.fill_(float("nan"))
    return declared.package(root, "onnx", declared.onnx_convolution(network))


def two_tensors(root: Path) -> Path:
    return declared.package(root, "torchscript", declared.torchscript(declared.TwoOutputs()))


def too_few_dimensions(root: Path) -> Path:
    return declared.package(root, "onnx", declared.onnx_convolution(declared.network()), network_table="dimensions = 2")


@pytest.mark.parametrize(
    ("make", "words"),
    [
        (wrong_channels, r"2 channels, wanted are 3 \(channel 0 is the background\)"),
        (wrong_shape, r"the shape \(1, 3, 4, 4, 3\), wanted is \(1, channels, 6, 6, 5\)"),
        (not_a_number, "not finite"),
        (two_tensors, r"2 tensors; say which one counts: \[network\] output = 0"),
        (too_few_dimensions, "ONNX Runtime refuses the input of shape"),
    ],
)
def test_output_that_is_none(make: Callable[[Path], Path], words: str, tmp_path: Path) -> None:
    with pytest.raises(InvalidModelOutput, match=words):
        run(check_package(make(tmp_path)), tmp_path)


def test_the_tensor_that_counts(tmp_path: Path) -> None:
    content = declared.torchscript(declared.TwoOutputs())
    folder = declared.package(tmp_path, "torchscript", content, network_table="output = 1")
    assert (
        run(check_package(folder), tmp_path).findings
        == run(check_package(torchscript(tmp_path / "one")), tmp_path).findings
    )


def test_an_onnx_with_two_inputs(tmp_path: Path) -> None:
    content = declared.onnx_convolution(declared.network(), inputs=2)
    with pytest.raises(InvalidModelPackage, match="wants the inputs"):
        run(check_package(declared.package(tmp_path, "onnx", content)), tmp_path)


def test_an_onnx_with_weights_in_another_file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    model = load_model_from_string(declared.onnx_convolution(declared.network()))
    save_model(model, tmp_path / "outer.onnx", save_as_external_data=True, location="inner.bin", size_threshold=0)
    content = (tmp_path / "outer.onnx").read_bytes()
    assert (tmp_path / "inner.bin").is_file()
    monkeypatch.chdir(tmp_path)  # where it would be found
    with pytest.raises(InvalidModelPackage, match="External data"):
        run(check_package(declared.package(tmp_path, "onnx", content)), tmp_path)


def test_slices_one_at_a_time(tmp_path: Path) -> None:
    flat = nn.Conv2d(1, 3, 3, padding=1)
    deep = nn.Conv3d(1, 3, (1, 3, 3), padding=(0, 1, 1))
    deep.load_state_dict({"weight": flat.weight.data[:, :, None], "bias": flat.bias.data})  # type: ignore[union-attr]
    one, other = (
        run(check_package(declared.package(tmp_path / name, "torchscript", content, network_table=table)), tmp_path)
        for name, content, table in (
            ("flat", declared.torchscript(flat), "dimensions = 2"),
            ("deep", declared.torchscript(deep), ""),
        )
    )
    assert one.segmentation is not None
    assert other.segmentation is not None
    np.testing.assert_array_equal(one.segmentation.label_map, other.segmentation.label_map)


@pytest.mark.parametrize(
    ("bias", "outcome", "probability"), [(-3.0, Outcome.NEGATIVE, 0.0474), (3.0, Outcome.POSITIVE, 0.9526)]
)
def test_a_classifier(bias: float, outcome: Outcome, probability: float, tmp_path: Path) -> None:
    content = declared.torchscript(declared.Classifier(bias))
    model = check_package(declared.package(tmp_path, "torchscript", content, declared.CLASSIFIER, segments=""))
    result = run(model, tmp_path)
    (finding,) = result.findings
    assert (result.outcome, finding.concept.value, finding.present) == (outcome, "SOME", outcome is Outcome.POSITIVE)
    assert finding.probability == pytest.approx(probability, abs=1e-3)


def test_a_classifier_with_another_number_of_classes(tmp_path: Path) -> None:
    content = declared.torchscript(nn.Flatten())
    model = check_package(declared.package(tmp_path, "torchscript", content, declared.CLASSIFIER, segments=""))
    with pytest.raises(InvalidModelOutput, match=r"wanted is \(1, 2\): one number for each class"):
        run(model, tmp_path)


def test_without_onnx_runtime(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(__import__("sys").modules, "onnxruntime", None)
    with pytest.raises(AinodeError, match="ONNX Runtime is not installed"):
        run(check_package(onnx(tmp_path)), tmp_path)
