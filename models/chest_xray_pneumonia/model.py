"""The package's part on the node: preprocessing, the network, and what its output means."""

from __future__ import annotations

import torch
from torch import Tensor, nn

from models.chest_xray_pneumonia.input import network_input
from models.kit.classification import calibrated
from models.kit.explain.input_map import input_map
from models.kit.networks.residual import ResidualClassifier
from models.kit.preprocess.whole_picture import Float, resized
from node.domain.result import CodedConcept, Finding, InferenceResult, Outcome
from node.domain.study import Picture

# Both from validation data (MODEL_CARD.md, "Results").
TEMPERATURE = 1.2163
THRESHOLD = 0.156212

# No code for pneumonia as such stands in PS3.16 as pydicom's dictionaries have it.
PNEUMONIA = CodedConcept("PNEUMONIA", "99AINODE", "Pneumonia")
LUNG = CodedConcept("39607008", "SCT", "Lung")


def network() -> nn.Module:
    """(N, 1, 144, 144) to logits (N, 2) of no pneumonia and pneumonia."""
    return ResidualClassifier(channels=1, classes=2, width=24, blocks=(1, 1, 1, 1), dropout=0.3)


def preprocess(picture: Picture) -> Tensor:
    """The network's input, float32 (1, 1, 144, 144).

    Raises:
        UnsupportedImage: the picture is coloured, tiny, or without contrast.
    """
    return torch.from_numpy(network_input(picture.array))[None]


def postprocess(outputs: Tensor, picture: Picture) -> InferenceResult:
    """The probability of pneumonia from logits (1, 2); POSITIVE from the operating point on.

    Raises:
        InvalidModelOutput: the outputs have another shape, or values that are not finite.
    """
    probability = calibrated(outputs, 2, TEMPERATURE)[1]
    positive = probability >= THRESHOLD
    finding = Finding(PNEUMONIA, probability=probability, site=LUNG, present=positive)
    return InferenceResult(Outcome.POSITIVE if positive else Outcome.NEGATIVE, (finding,))


def heat_map(network: nn.Module, inputs: Tensor, outputs: Tensor, picture: Picture) -> Float:
    """Where the evidence for pneumonia lies: float32 in 0..1 on the grid of ``picture``."""
    return resized(input_map(network, inputs, class_index=1), *picture.shape).clip(0.0, 1.0)
