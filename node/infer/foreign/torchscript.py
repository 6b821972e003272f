"""A TorchScript file as a network. Its program runs: this happens in the inference child alone."""

from __future__ import annotations

import io
import warnings

import torch
from torch import Tensor, nn

from node.errors import InvalidModelPackage


def torchscript_network(content: bytes, name: str) -> nn.Module:
    """The network in ``content``; ``name`` is the file's, for messages.

    Raises:
        InvalidModelPackage: these bytes are no TorchScript, or only a part of one.
    """
    with warnings.catch_warnings():
        # PyTorch advises torch.export to those who write models; what others wrote is still to be read.
        warnings.filterwarnings("ignore", r"`torch\.jit\.", DeprecationWarning)
        try:
            return Script(torch.jit.load(io.BytesIO(content), map_location="cpu"))  # type: ignore[no-untyped-call]
        except (RuntimeError, ValueError, EOFError) as error:
            raise InvalidModelPackage(f"{name}: no TorchScript that can be read here: {_first_line(error)}") from error


class Script(nn.Module):
    """A TorchScript network; a frozen one has no mode, so that ``train`` and ``eval`` do not reach it."""

    def __init__(self, script: nn.Module) -> None:
        super().__init__()
        self.script = script

    def train(self, mode: bool = True) -> Script:
        """Training mode is refused in silence: a result never depends on it."""
        self.training = mode
        if hasattr(self.script, "training"):
            self.script.train(mode)
        return self

    def forward(self, inputs: Tensor) -> object:
        return self.script(inputs)


def _first_line(error: Exception) -> str:
    lines = [line.strip() for line in str(error).splitlines() if line.strip()]
    return lines[0][:200] if lines else type(error).__name__
