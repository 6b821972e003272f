"""What a run is at one moment, and its checkpoint.

Everything stays in the default memory format: in "channels last", trainings of U-Nets on pictures of one channel ended
in aborts and segmentation faults on a processor with PyTorch 2.13 (the cause was not found); the default is no slower.
"""

from __future__ import annotations

import copy
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import torch
from torch import nn

from models.kit.task import Settings, Task

DROPOUT = (nn.Dropout, nn.Dropout1d, nn.Dropout2d, nn.Dropout3d)


@dataclass(frozen=True, slots=True)
class Epoch:
    """What one epoch came to. The score is the validation AUC or mean Dice; None where it is not defined."""

    loss: float
    validation_loss: float | None
    score: float | None
    learning_rate: float
    seconds: float


@dataclass(slots=True)
class State:
    """Networks, optimiser and the epochs done; ``average`` is the network that is evaluated and kept."""

    network: nn.Module
    average: nn.Module
    optimiser: torch.optim.Optimizer
    history: list[Epoch]


def set_dropout(network: nn.Module, probability: float) -> None:
    """Give every dropout layer of ``network`` this probability."""
    for module in network.modules():
        if isinstance(module, DROPOUT):
            module.p = probability


def new_state(task: Task, settings: Settings, device: torch.device) -> State:
    """A fresh network from the seed. Biases and the scales of norms are not decayed."""
    torch.manual_seed(settings.seed)
    network = task.network()
    set_dropout(network, settings.dropout)
    network = network.to(device)
    average = copy.deepcopy(network).requires_grad_(False)
    decayed = [parameter for parameter in network.parameters() if parameter.ndim > 1]
    plain = [parameter for parameter in network.parameters() if parameter.ndim <= 1]
    groups = [{"params": decayed, "weight_decay": settings.weight_decay}, {"params": plain, "weight_decay": 0.0}]
    return State(network, average, torch.optim.AdamW(groups, lr=settings.learning_rate), [])


def update_average(state: State, decay: float, step: int) -> None:
    """Move the averaged weights towards the current ones; the horizon grows with the steps done. Buffers are copied."""
    decay = min(decay, (1 + step) / (10 + step))
    with torch.no_grad():
        for averaged, current in zip(state.average.parameters(), state.network.parameters(), strict=True):
            averaged.lerp_(current, 1 - decay)
        for buffer, current_buffer in zip(state.average.buffers(), state.network.buffers(), strict=True):
            buffer.copy_(current_buffer)


def save_checkpoint(state: State, identity: dict[str, Any], file: Path) -> None:
    """Write everything that a resumed run needs; replaced atomically."""
    content = {
        "identity": identity,
        "network": state.network.state_dict(),
        "average": state.average.state_dict(),
        "optimiser": state.optimiser.state_dict(),
        "history": [asdict(epoch) for epoch in state.history],
    }
    partial = file.with_suffix(".partial")
    torch.save(content, partial)
    partial.replace(file)


def load_checkpoint(state: State, identity: dict[str, Any], file: Path) -> None:
    """Go on from ``file``.

    Raises:
        ValueError: it belongs to a run with other settings or other cases.
    """
    content = torch.load(file, map_location="cpu", weights_only=True)
    if content["identity"] != identity:
        raise ValueError(f"{file} belongs to a run with other settings or cases; choose another folder")
    state.network.load_state_dict(content["network"])
    state.average.load_state_dict(content["average"])
    state.optimiser.load_state_dict(content["optimiser"])
    state.history = [Epoch(**epoch) for epoch in content["history"]]
