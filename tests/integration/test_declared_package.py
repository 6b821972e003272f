"""A TorchScript file becomes a package by commands, and its result becomes SEG and SR on a real series."""

from __future__ import annotations

import json
import subprocess
import sys
import warnings
from pathlib import Path
from typing import Any

import pydicom
import pytest
import safetensors.torch
import torch

from models.hippocampus_mr.network import ResidualUNet
from node.domain.study import ByteRange
from node.infer.registry import BUILT_IN, check_package
from node.ports import InferenceRequest
from tests.fakes.inline_executor import InlineExecutor
from tests.peers import REPOSITORY, data_dir

SERIES = "hippocampus-dicom-study3"
WITH_CODE = BUILT_IN / "hippocampus_mr"
STEPS = """
[preprocess]
orientation = "SPL"
spacing_mm = [1.0, 1.0, 1.0]
intensity = [{ kind = "percentiles", values = [0.5, 99.5] }, { kind = "z_score" }]
divisible_by = 8

[postprocess]
activation = "softmax"

[[segments]]
number = 1
label = "Anterior hippocampus"
category = { value = "91723000", scheme = "SCT", meaning = "Anatomical Structure" }
type = { value = "HIPP-ANT", scheme = "99TEST", meaning = "Anterior hippocampus" }

[[segments]]
number = 2
label = "Posterior hippocampus"
category = { value = "91723000", scheme = "SCT", meaning = "Anatomical Structure" }
type = { value = "HIPP-POST", scheme = "99TEST", meaning = "Posterior hippocampus" }
"""


def ainode(folder: Path, *arguments: str) -> tuple[int, Any]:
    """Exit code and JSON of a command that is run in ``folder``."""
    done = subprocess.run(
        [sys.executable, "-m", "node", *arguments, "--json"],
        cwd=folder,
        env={"PYTHONPATH": str(REPOSITORY), "PATH": "/usr/bin:/bin", "HOME": str(folder)},
        capture_output=True,
        text=True,
        timeout=240,
        check=False,
    )
    return done.returncode, json.loads(done.stdout) if done.stdout else done.stderr


@pytest.fixture(scope="module")
def exported(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Our network for the hippocampus as a TorchScript file, in a folder of its own."""
    folder = tmp_path_factory.mktemp("exported")
    stored = safetensors.torch.load_file(WITH_CODE / "weights.safetensors")
    network = ResidualUNet()
    network.load_state_dict({name.removeprefix("single."): tensor.float() for name, tensor in stored.items()})
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # deprecated, and sizes that are compared while it is traced
        torch.jit.save(torch.jit.trace(network.eval(), torch.zeros(1, 1, 32, 40, 48)), folder / "network.pt")
    return folder


def test_from_a_file_to_objects_by_commands(exported: Path) -> None:
    images = data_dir(SERIES)
    code, written = ainode(exported, "models", "new", "mine", "--format", "torchscript", "--file", "network.pt")
    assert (code, written["package"]) == (0, "mine")
    code, report = ainode(exported, "models", "check", "mine")
    assert code == 1
    assert all(step["detail"].startswith("still to fill in: ") for step in report["steps"])

    described = (exported / "mine" / "model.toml").read_text()
    filled = described[: described.index("# From the images to")].replace(
        '["FILL IN: the DICOM', '["MR", "FILL IN: the DICOM'
    )
    for step in report["steps"]:
        placeholder = '"FILL IN: ' + step["detail"].removeprefix("still to fill in: ") + '"'
        filled = filled.replace(f", {placeholder}", "").replace(placeholder, '"A test"')
    (exported / "mine" / "model.toml").write_text(filled + STEPS)
    code, report = ainode(exported, "models", "check", "mine")
    assert (code, [step["ok"] for step in report["steps"]]) == (0, [True, True]), report

    (exported / "ainode.toml").write_text(f'[models]\npath = ["{exported}"]\nenabled = ["mine"]\n')
    code, result = ainode(exported, "models", "predict", "mine", str(images), "--out", "results")
    assert (code, result["outcome"]) == (0, "POSITIVE"), result
    objects = {item.Modality: item for item in (pydicom.dcmread(exported / path) for path in result["objects"])}
    assert set(objects) == {"SEG", "SR"}
    assert [segment.SegmentLabel for segment in objects["SEG"].SegmentSequence] == [
        "Anterior hippocampus", "Posterior hippocampus",
    ]  # fmt: skip

    # The package with code averages over a mirror image and pads with the edge: a little apart, not more.
    files = sorted(images.glob("*.dcm"))
    locations = tuple(ByteRange(str(path), 0, path.stat().st_size) for path in files)
    with_code = InlineExecutor().run(InferenceRequest(check_package(WITH_CODE), locations, "cpu", 60), lambda: None)
    expected = [finding.measurements[0].value for finding in with_code.result.findings]
    found = [finding["measurements"][0]["value"] for finding in result["findings"]]
    assert found == pytest.approx(expected, rel=0.03)
