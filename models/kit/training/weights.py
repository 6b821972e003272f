"""Weight files: written whole or not at all, and never with a value that is not finite."""

from __future__ import annotations

from pathlib import Path
from typing import Literal

import torch
from safetensors.torch import load_file, save_file
from torch import nn

STORED = {"fp32": torch.float32, "bf16": torch.bfloat16}


class DivergedError(RuntimeError):
    """The loss, a gradient or a weight is no longer finite; the last good weights are on disk."""


def save_weights(network: nn.Module, file: Path, storage: Literal["fp32", "bf16"] = "fp32") -> None:
    """Write the state of ``network`` to ``file``, replaced atomically; ``bf16`` halves the file.

    Raises:
        DivergedError: a value is not finite, as stored; the file is as it was.
    """
    tensors = {}
    for key, value in network.state_dict().items():
        kept = value.detach().cpu()
        tensors[key] = (kept.to(STORED[storage]) if kept.is_floating_point() else kept).contiguous().clone()
    broken = sorted(key for key, value in tensors.items() if not bool(torch.isfinite(value).all()))
    if broken:
        raise DivergedError(f"weights that are not finite: {', '.join(broken[:3])}")
    partial = file.with_suffix(".partial")
    save_file(tensors, str(partial))
    partial.replace(file)


def load_weights(network: nn.Module, file: Path) -> None:
    """Put the weights of ``file`` into ``network``, in the network's own precision.

    Raises:
        RuntimeError: the file belongs to another network.
    """
    network.load_state_dict(load_file(str(file)))
