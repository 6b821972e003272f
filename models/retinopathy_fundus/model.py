"""The package's part on the node: preprocessing, the network, and what its output means. A demonstration."""

from __future__ import annotations

import torch
from torch import Tensor, nn

from models.kit.classification import calibrated
from models.kit.explain.input_map import input_map
from models.kit.networks.residual import ResidualClassifier
from models.kit.preprocess.whole_picture import Float, resized
from models.retinopathy_fundus.input import network_input
from node.domain.result import CodedConcept, Finding, InferenceResult, Outcome
from node.domain.study import Picture

# From validation data, which the network separates without an error: a temperature fitted to that says little.
THRESHOLD = 0.5

# No code for it stands in PS3.16 as pydicom's dictionaries have it.
RETINOPATHY = CodedConcept("DIAB-RETINOPATHY", "99AINODE", "Diabetic retinopathy")
RETINA = CodedConcept("5665001", "SCT", "Retina")


def network() -> ResidualClassifier:
    """(N, 3, 96, 96) to logits (N, 2) of no retinopathy and retinopathy."""
    return ResidualClassifier(channels=3, classes=2, width=16, blocks=(1, 1, 1, 1), dropout=0.2)


def preprocess(picture: Picture) -> Tensor:
    """The network's input, float32 (1, 3, 96, 96).

    Raises:
        UnsupportedImage: the picture is grey, tiny, without contrast, or shows no disc of light.
    """
    return torch.from_numpy(network_input(picture.array))[None]


def postprocess(outputs: Tensor, picture: Picture) -> InferenceResult:
    """The probability of diabetic retinopathy from logits (1, 2); POSITIVE from the operating point on.

    Raises:
        InvalidModelOutput: the outputs have another shape, or values that are not finite.
    """
    probability = calibrated(outputs, 2)[1]
    positive = probability >= THRESHOLD
    finding = Finding(RETINOPATHY, probability=probability, site=RETINA, present=positive)
    return InferenceResult(Outcome.POSITIVE if positive else Outcome.NEGATIVE, (finding,))


def heat_map(network: nn.Module, inputs: Tensor, outputs: Tensor, picture: Picture) -> Float:
    """Where the evidence for retinopathy lies: float32 in 0..1 on the grid of ``picture``."""
    return resized(input_map(network, inputs, class_index=1), *picture.shape).clip(0.0, 1.0)
