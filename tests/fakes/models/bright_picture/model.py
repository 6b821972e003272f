"""POSITIVE where more than half of a picture is brighter than 100; refuses pictures of one single value."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt
import torch

from node.domain.result import CodedConcept, Finding, InferenceResult, Outcome
from node.domain.study import Picture
from node.errors import UnsupportedImage
from tests.fakes.models.steps import network

__all__ = ["network", "postprocess", "preprocess"]

BRIGHT = CodedConcept("BRIGHT", "99AINODE", "Bright")


def preprocess(picture: Picture) -> torch.Tensor:
    """(1, 1, rows, columns): the mean of the channels."""
    if picture.array.min() == picture.array.max():
        raise UnsupportedImage("the picture is empty")
    grey = picture.array.mean(axis=2) if picture.is_colour else picture.array
    return torch.from_numpy(np.ascontiguousarray(grey, dtype=np.float32))[None, None]


def postprocess(outputs: torch.Tensor, picture: Picture) -> InferenceResult:
    probability = float((outputs > 0).float().mean())
    outcome = Outcome.POSITIVE if probability > 0.5 else Outcome.NEGATIVE
    return InferenceResult(outcome, (Finding(BRIGHT, probability=probability),))


def heat_map(
    network: torch.nn.Module, inputs: torch.Tensor, outputs: torch.Tensor, picture: Picture
) -> npt.NDArray[np.float32]:
    """1 where the picture is bright: the gradient of what lies above the threshold."""
    asked = inputs.clone().requires_grad_()
    network(asked).clamp(min=0).sum().backward()
    assert asked.grad is not None
    return asked.grad[0, 0].numpy()
