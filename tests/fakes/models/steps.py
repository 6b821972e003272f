"""What the packages of this folder share: a network that marks every voxel above its one weight."""

from __future__ import annotations

import numpy as np
import torch

from node.domain.result import CodedConcept, Finding, InferenceResult, Measurement, Outcome, Segment, Segmentation
from node.domain.study import Volume

TISSUE = CodedConcept("85756007", "SCT", "Tissue")
VOLUME = CodedConcept("118565006", "SCT", "Volume")
MILLILITRE = CodedConcept("mL", "UCUM", "mL")
BRIGHT = Segment(1, "Bright", TISSUE, TISSUE, None, (255, 255, 0))


class Threshold(torch.nn.Module):
    """Logit (1, 1, k, r, c): the value's distance from the threshold."""

    def __init__(self) -> None:
        super().__init__()
        self.threshold = torch.nn.Parameter(torch.zeros(1))

    def forward(self, inputs: torch.Tensor) -> torch.Tensor:
        return inputs - self.threshold


def preprocess(volume: Volume) -> torch.Tensor:
    return torch.from_numpy(volume.array)[None, None]


def network() -> torch.nn.Module:
    return Threshold()


def postprocess(outputs: torch.Tensor, volume: Volume) -> InferenceResult:
    return marked((outputs[0, 0].numpy() > 0).astype(np.uint8), volume)


def marked(label_map: np.ndarray, volume: Volume) -> InferenceResult:
    """POSITIVE with one finding, or NEGATIVE where nothing is marked."""
    if not label_map.any():
        return InferenceResult(Outcome.NEGATIVE)
    size_ml = float(label_map.sum()) * volume.grid.voxel_volume_ml
    finding = Finding(TISSUE, (Measurement(VOLUME, size_ml, MILLILITRE),), probability=0.9, segment=1)
    return InferenceResult(Outcome.POSITIVE, (finding,), Segmentation((BRIGHT,), label_map))
