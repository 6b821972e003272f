"""The package's part on the node: preprocessing, the networks, and what their output means."""

from __future__ import annotations

import torch
from torch import Tensor, nn

from models.breast_us.input import network_input
from models.breast_us.network import in_place, network
from models.kit.classification import calibrated
from models.kit.explain.input_map import input_map
from models.kit.preprocess.whole_picture import Float, resized
from node.domain.result import CodedConcept, Finding, InferenceResult, Outcome
from node.domain.study import Picture

__all__ = ["heat_map", "network", "postprocess", "preprocess"]

# Both from validation data (MODEL_CARD.md, "Results").
TEMPERATURE = 0.9345
THRESHOLD = 0.119900

NORMAL, BENIGN, MALIGNANT = range(3)
# PS3.16 CID 6063 and CID 6054.
CONCEPTS = {
    MALIGNANT: CodedConcept("21594007", "SCT", "Malignant"),
    BENIGN: CodedConcept("30807003", "SCT", "Benign"),
    NORMAL: CodedConcept("290084006", "SCT", "Breast normal"),
}
BREAST = CodedConcept("76752008", "SCT", "Breast")


def preprocess(picture: Picture) -> Tensor:
    """The networks' input, float32 (1, 1, 128, 128).

    Raises:
        UnsupportedImage: the picture is coloured, tiny, without contrast, or mostly black.
    """
    return torch.from_numpy(network_input(picture.array))[None]


def postprocess(outputs: Tensor, picture: Picture) -> InferenceResult:
    """The probabilities of malignant, benign and normal from (1, 3).

    POSITIVE means: malignant, from the operating point on. A benign lesion is NEGATIVE. Of the others the more
    probable one is called present.

    Raises:
        InvalidModelOutput: the outputs have another shape, or values that are not finite.
    """
    probabilities = calibrated(outputs, 3, TEMPERATURE)
    positive = probabilities[MALIGNANT] >= THRESHOLD
    other = BENIGN if probabilities[BENIGN] >= probabilities[NORMAL] else NORMAL
    present = MALIGNANT if positive else other
    findings = tuple(
        Finding(concept, probability=probabilities[index], site=BREAST, present=index == present)
        for index, concept in CONCEPTS.items()
    )
    return InferenceResult(Outcome.POSITIVE if positive else Outcome.NEGATIVE, findings)


def heat_map(network: nn.Module, inputs: Tensor, outputs: Tensor, picture: Picture) -> Float:
    """Where the evidence for a malignant lesion lies: float32 in 0..1 on the grid of ``picture``."""
    return resized(input_map(in_place(network), inputs, MALIGNANT), *picture.shape).clip(0.0, 1.0)
