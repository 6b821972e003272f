"""A model package, written at test time, whose network waits while a file exists: a job is caught in mid-inference."""

from __future__ import annotations

import hashlib
from pathlib import Path

import torch
from safetensors.torch import save_file

MODEL_ID = "held_mr"

TOML = """
[model]
id = "{model}"
version = "1.0.0"
title = "Waits while a file exists"
intended_use = "A test of the node."

[algorithm]
name = "{model}"
manufacturer = "ainode tests"

[input]
modality = ["MR"]
description_include = ["HippoCrop"]

[weights]
file = "weights.safetensors"
sha256 = "{sha256}"

[[segments]]
number = 1
label = "Bright"
category = {{ value = "91723000", scheme = "SCT", meaning = "Anatomical Structure" }}
type = {{ value = "5366008", scheme = "SCT", meaning = "Hippocampus" }}
"""

CODE = """
import time
from pathlib import Path

import torch

from node.domain.result import CodedConcept, Finding, InferenceResult, Measurement, Outcome, Segment, Segmentation

HOLD = Path({hold!r})
STARTED = Path({started!r})
STRUCTURE = CodedConcept("91723000", "SCT", "Anatomical Structure")
HIPPOCAMPUS = CodedConcept("5366008", "SCT", "Hippocampus")
VOLUME = CodedConcept("118565006", "SCT", "Volume")
MILLILITRE = CodedConcept("mL", "UCUM", "mL")


class Waiting(torch.nn.Module):
    def __init__(self):
        super().__init__()
        self.scale = torch.nn.Parameter(torch.ones(1))

    def forward(self, batch):
        with STARTED.open("a") as file:
            file.write("started\\n")
        while HOLD.exists():
            time.sleep(0.05)
        return batch * self.scale


def network():
    return Waiting()


def preprocess(volume):
    return torch.from_numpy(volume.array)[None, None]


def postprocess(outputs, volume):
    bright = (outputs[0, 0] > outputs.mean()).numpy().astype("uint8")
    segment = Segment(1, "Bright", STRUCTURE, HIPPOCAMPUS)
    size = Measurement(VOLUME, float(bright.sum()) * volume.grid.voxel_volume_ml, MILLILITRE)
    finding = Finding(HIPPOCAMPUS, (size,), segment=1)
    return InferenceResult(Outcome.POSITIVE, (finding,), Segmentation((segment,), bright))
"""


class HeldModel:
    """The package in ``folder``; ``hold`` before sending, ``release`` to let it go."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder / "packages"
        self._hold = folder / "hold"
        self._started = folder / "started"
        package = self.folder / MODEL_ID
        package.mkdir(parents=True)
        save_file({"scale": torch.ones(1)}, package / "weights.safetensors")
        digest = hashlib.sha256((package / "weights.safetensors").read_bytes()).hexdigest()
        (package / "model.toml").write_text(TOML.format(model=MODEL_ID, sha256=digest), encoding="utf-8")
        code = CODE.format(hold=str(self._hold), started=str(self._started))
        (package / "model.py").write_text(code, encoding="utf-8")

    def hold(self) -> None:
        self._hold.touch()

    def release(self) -> None:
        self._hold.unlink(missing_ok=True)

    @property
    def runs(self) -> int:
        """How often the network was entered."""
        return len(self._started.read_text().splitlines()) if self._started.exists() else 0
