"""From the logits of a classifier to probabilities; on the node."""

from __future__ import annotations

import torch
from torch import Tensor

from node.errors import InvalidModelOutput


def calibrated(outputs: Tensor, classes: int, temperature: float = 1.0) -> tuple[float, ...]:
    """Probabilities of the classes from logits (1, ``classes``), divided by ``temperature``.

    Temperature scaling: Guo et al., "On Calibration of Modern Neural Networks", ICML 2017.

    Raises:
        InvalidModelOutput: the outputs have another shape, or values that are not finite.
    """
    if tuple(outputs.shape) != (1, classes):
        raise InvalidModelOutput(f"outputs of shape {tuple(outputs.shape)}", field="outputs.shape")
    if not bool(torch.isfinite(outputs).all()):
        raise InvalidModelOutput("outputs that are not finite", field="outputs")
    probabilities = torch.softmax(outputs[0].double() / temperature, dim=0)
    return tuple(round(float(probability), 6) for probability in probabilities)
