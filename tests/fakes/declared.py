"""Packages without code, made when a test needs them: exports of one tiny network in every format."""

from __future__ import annotations

import hashlib
import io
import json
import warnings
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import onnx
import safetensors.torch
import torch
from torch import nn

CLASSES = 3

HEAD = """
[model]
id = "{name}"
version = "1.0.0"
title = "A declared network"
intended_use = "Tests."
demonstration = true

[algorithm]
name = "declared"
manufacturer = "ainode project"

[input]
modality = ["MR"]
"""

SEGMENTS = """
[[segments]]
number = 1
label = "First"
category = { value = "85756007", scheme = "SCT", meaning = "Tissue" }
type = { value = "FIRST", scheme = "99TEST", meaning = "First" }

[[segments]]
number = 2
label = "Second"
category = { value = "85756007", scheme = "SCT", meaning = "Tissue" }
type = { value = "SECOND", scheme = "99TEST", meaning = "Second" }
"""

STEPS = """
[preprocess]
intensity = [{ kind = "z_score" }]

[postprocess]
activation = "softmax"
"""

CLASSIFIER = """
[preprocess]
size = [4, 4, 4]
intensity = [{ kind = "z_score" }]

[postprocess]
activation = "softmax"
threshold = 0.5

[[postprocess.classes]]
concept = { value = "NONE", scheme = "99TEST", meaning = "Nothing" }

[[postprocess.classes]]
concept = { value = "SOME", scheme = "99TEST", meaning = "Something" }
positive = true
"""

INFERENCE: Mapping[str, Any] = {
    "imports": ["$import glob"],
    "device": "$torch.device('cuda:0')",
    "classes": CLASSES,
    "network_def": {
        "_target_": "torch.nn.Conv3d", "in_channels": 1, "out_channels": "@classes", "kernel_size": 3, "padding": 1,
    },
    "network": "$@network_def.to(@device)",
    "preprocessing": {
        "_target_": "Compose",
        "transforms": [
            {"_target_": "LoadImaged", "keys": "image", "reader": "$monai.data.ITKReader()"},
            {"_target_": "EnsureChannelFirstd", "keys": "image"},
            {"_target_": "NormalizeIntensityd", "keys": "image"},
            {"_target_": "EnsureTyped", "keys": "image", "device": "@device"},
        ],
    },
    "inferer": {"_target_": "SimpleInferer"},
    "postprocessing": {
        "_target_": "Compose",
        "transforms": [
            {"_target_": "Activationsd", "keys": "pred", "softmax": True},
            {"_target_": "Invertd", "keys": "pred", "transform": "@preprocessing", "orig_keys": "image"},
            {"_target_": "AsDiscreted", "keys": "pred", "argmax": True},
            {"_target_": "SaveImaged", "keys": "pred", "output_dir": "$@bundle_root + '/eval'"},
        ],
    },
}  # fmt: skip
METADATA: Mapping[str, Any] = {
    "version": "0.1.0",
    "network_data_format": {"inputs": {"image": {"type": "image", "num_channels": 1}}},
}

MODEL_PY = """
import numpy as np
import torch
from torch import nn

from node.domain.result import CodedConcept, Finding, InferenceResult, Measurement, Outcome, Segment, Segmentation

TISSUE = CodedConcept("85756007", "SCT", "Tissue")
SEGMENTS = (
    Segment(1, "First", TISSUE, CodedConcept("FIRST", "99TEST", "First")),
    Segment(2, "Second", TISSUE, CodedConcept("SECOND", "99TEST", "Second")),
)


def network():
    return nn.Conv3d(1, 3, 3, padding=1)


def preprocess(volume):
    return torch.from_numpy((volume.array - volume.array.mean()) / volume.array.std())[None, None]


def postprocess(outputs, volume):
    label_map = outputs[0].argmax(0).numpy().astype(np.uint8)
    findings = tuple(
        Finding(
            segment.type,
            (
                Measurement(
                    CodedConcept("118565006", "SCT", "Volume"),
                    round(int((label_map == segment.number).sum()) * volume.grid.voxel_volume_ml, 3),
                    CodedConcept("mL", "UCUM", "mL"),
                ),
            ),
            segment=segment.number,
        )
        for segment in SEGMENTS
    )
    return InferenceResult(Outcome.POSITIVE, findings, Segmentation(SEGMENTS, label_map))
"""


def network() -> nn.Conv3d:
    """Three channels out of one, the same weights every time."""
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(7)
        return nn.Conv3d(1, CLASSES, 3, padding=1).eval()


class Classifier(nn.Module):
    """Two logits: 0, and ten times the mean of what it sees (after a z-score about 0) plus ``bias``."""

    def __init__(self, bias: float) -> None:
        super().__init__()
        self.bias = nn.Parameter(torch.tensor(bias))

    def forward(self, inputs: torch.Tensor) -> torch.Tensor:
        mean = inputs.flatten(1).mean(1, keepdim=True) + self.bias
        return torch.cat([torch.zeros_like(mean), mean], dim=1)


class TwoOutputs(nn.Module):
    """The network's output second, something else first."""

    def __init__(self) -> None:
        super().__init__()
        self.inner = network()

    def forward(self, inputs: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
        return inputs, self.inner(inputs)


def torchscript(module: nn.Module) -> bytes:
    """``module`` as a TorchScript file."""
    file = io.BytesIO()
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", DeprecationWarning)
        torch.jit.save(torch.jit.script(module), file)
    return file.getvalue()


def onnx_convolution(module: nn.Conv3d, inputs: int = 1) -> bytes:
    """``module`` as an ONNX file; more than one of the ``inputs`` are ignored by it."""
    helper, numpy_helper = onnx.helper, onnx.numpy_helper
    graph = helper.make_graph(
        [helper.make_node("Conv", ["image", "weight", "bias"], ["logits"], pads=[1] * 6)],
        "network",
        [
            helper.make_tensor_value_info(name, onnx.TensorProto.FLOAT, [1, 1, None, None, None])
            for name in ["image", "second"][:inputs]
        ],
        [helper.make_tensor_value_info("logits", onnx.TensorProto.FLOAT, None)],
        [
            numpy_helper.from_array(value.detach().numpy(), name)
            for name, value in (("weight", module.weight), ("bias", module.bias))
            if value is not None
        ],
    )
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 18)], ir_version=9)
    return bytes(model.SerializeToString())


def weights(module: nn.Module) -> bytes:
    """The weights of ``module`` as PyTorch saves them."""
    file = io.BytesIO()
    torch.save(module.state_dict(), file)
    return file.getvalue()


def package(
    root: Path, kind: str, content: bytes, steps: str = STEPS, segments: str = SEGMENTS, network_table: str = ""
) -> Path:
    """A package of the format ``kind`` whose file has this ``content``."""
    folder = root / f"{kind}_package"
    folder.mkdir(parents=True)
    file = {"torchscript": "network.pt", "onnx": "network.onnx"}[kind]
    (folder / file).write_bytes(content)
    table = f'[network]\nformat = "{kind}"\nfile = "{file}"\n{network_table}\n'
    _describe(folder, table, content, steps + segments)
    return folder


def bundle(
    root: Path,
    content: bytes,
    inference: Mapping[str, Any] = INFERENCE,
    metadata: Mapping[str, Any] = METADATA,
    steps: str = "",
    file: str = "models/model.pt",
    segments: str = SEGMENTS,
) -> Path:
    """A MONAI bundle with a ``model.toml`` in it."""
    folder = root / "monai_bundle_package"
    (folder / "configs").mkdir(parents=True)
    (folder / file).parent.mkdir(parents=True, exist_ok=True)
    (folder / file).write_bytes(content)
    described = json.dumps(inference).encode()
    (folder / "configs" / "inference.json").write_bytes(described)
    (folder / "configs" / "metadata.json").write_text(json.dumps(metadata))
    digest = hashlib.sha256(described).hexdigest()
    table = f'[network]\nformat = "monai_bundle"\nfile = "{file}"\nconfig_sha256 = "{digest}"\n'
    _describe(folder, table, content, steps + segments)
    return folder


def with_code(root: Path) -> Path:
    """The same network as a package with code."""
    folder = root / "code_package"
    folder.mkdir(parents=True)
    content = safetensors.torch.save(network().state_dict())
    (folder / "weights.safetensors").write_bytes(content)
    (folder / "model.py").write_text(MODEL_PY)
    (folder / "model.toml").write_text(
        HEAD.format(name=folder.name)
        + f'[weights]\nfile = "weights.safetensors"\nsha256 = "{_sha256(content)}"\n'
        + SEGMENTS
    )
    return folder


def _describe(folder: Path, table: str, content: bytes, rest: str) -> None:
    text = HEAD.format(name=folder.name) + table + f'[weights]\nsha256 = "{_sha256(content)}"\n' + rest
    (folder / "model.toml").write_text(text)


def _sha256(content: bytes) -> str:
    return hashlib.sha256(content).hexdigest()
