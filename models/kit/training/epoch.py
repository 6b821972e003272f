"""One epoch: steps on augmented samples, and a look at the validation cases."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from itertools import groupby

import numpy as np
import torch
from torch import Tensor, nn

from models.kit.task import Settings, Task
from models.kit.training.losses import Loss
from models.kit.training.samples import Sample
from models.kit.training.scores import dice, mean_dice, roc_auc
from models.kit.training.state import State, update_average
from models.kit.training.weights import DivergedError

# An epoch of a tiny set repeats its cases, so that a smoke run still makes steps.
MINIMUM_STEPS = 16
WARM_UP_STEPS = 100
GRADIENT_NORM = 5.0


@dataclass(frozen=True, slots=True)
class Bench:
    """What stays the same from epoch to epoch."""

    task: Task
    settings: Settings
    device: torch.device
    loss: Loss
    training: Sequence[Sample]
    validation: Sequence[Sample]

    @property
    def steps(self) -> int:
        """Steps of the optimiser in an epoch."""
        return max(MINIMUM_STEPS, len(self.training) // (self.settings.batch * self.settings.accumulate))


def learning_rate_factor(step: int, steps: int) -> float:
    """Linear warm-up, then half a cosine down to one percent (Loshchilov and Hutter, ICLR 2017)."""
    warm_up = min(WARM_UP_STEPS, steps // 10 + 1)
    if step < warm_up:
        return (step + 1) / warm_up
    return 0.01 + 0.99 * 0.5 * (1 + math.cos(math.pi * (step - warm_up) / max(1, steps - warm_up)))


def train_epoch(bench: Bench, state: State, advance: Callable[[], None]) -> float:
    """Run one epoch; returns its mean loss. ``advance`` is called after every step.

    All random numbers of an epoch come from (seed, epoch), so that a resumed run equals an uninterrupted one.

    Raises:
        DivergedError: a loss or a gradient is not finite; the weights are those of the step before.
    """
    settings, epoch = bench.settings, len(state.history)
    seed = settings.seed * 100_003 + epoch
    generator = torch.Generator().manual_seed(seed)
    torch.manual_seed(seed)  # dropout
    batches = _batches(bench, generator)
    state.network.train()
    total = 0.0
    for number in range(bench.steps):
        step = epoch * bench.steps + number
        for group in state.optimiser.param_groups:
            group["lr"] = settings.learning_rate * learning_rate_factor(step, settings.epochs * bench.steps)
        state.optimiser.zero_grad(set_to_none=True)
        for _ in range(settings.accumulate):
            total += _backward(bench, state.network, *next(batches))
        norm = nn.utils.clip_grad_norm_(state.network.parameters(), GRADIENT_NORM)
        if not bool(torch.isfinite(norm)):
            raise DivergedError(f"a gradient is {float(norm)} in epoch {epoch + 1}, step {number + 1}")
        state.optimiser.step()
        update_average(state, settings.ema, step)
        advance()
    return total / (bench.steps * settings.accumulate)


def _backward(bench: Bench, network: nn.Module, images: Tensor, truth: Tensor) -> float:
    """Add one batch's share to the gradients; returns its loss."""
    loss = bench.loss(_logits(bench, network, images), truth)
    value = float(loss.detach())
    if not math.isfinite(value):
        raise DivergedError(f"the loss is {value}")
    (loss / bench.settings.accumulate).backward()  # type: ignore[no-untyped-call]
    return value


def _logits(bench: Bench, network: nn.Module, images: Tensor) -> Tensor:
    """float32 logits of the network, run in the precision of the settings."""
    with torch.autocast(bench.device.type, torch.bfloat16, enabled=bench.settings.precision == "bf16"):
        logits: Tensor = network(images)
    return logits.float()


def _batches(bench: Bench, generator: torch.Generator) -> Iterator[tuple[Tensor, Tensor]]:
    """Augmented images and truth on the device: each case once before any is seen twice."""
    size = bench.settings.batch
    order: list[int] = []
    while True:
        while len(order) < size:
            order += torch.randperm(len(bench.training), generator=generator).tolist()
        chosen, order = [bench.training[index] for index in order[:size]], order[size:]
        drawn = [bench.task.augment(sample.image.float(), sample.mask, generator) for sample in chosen]
        if len({image.shape for image, _ in drawn}) > 1:
            raise ValueError("images of several sizes in one batch: let Task.augment crop them to one")
        truth = _truth(chosen, [mask for _, mask in drawn])
        yield torch.stack([image for image, _ in drawn]).to(bench.device), truth.to(bench.device)


def _truth(samples: Sequence[Sample], masks: Sequence[Tensor | None]) -> Tensor:
    """int64: masks (N, ...) where there are any, else labels (N,)."""
    present = [mask for mask in masks if mask is not None]
    if present:
        return torch.stack(present).long()
    return torch.tensor([sample.label for sample in samples])


@torch.no_grad()
def validate(bench: Bench, network: nn.Module) -> tuple[float | None, float | None]:
    """Mean loss and score over the validation cases, not augmented; None where undefined or without any case."""
    network.eval()
    losses: list[float] = []
    dices: list[float] = []
    positive: list[bool] = []
    scores: list[float] = []
    for samples in _same_size(bench.validation, bench.settings.batch):
        images = torch.stack([sample.image for sample in samples]).float().to(bench.device)
        truth = _truth(samples, [sample.mask for sample in samples]).to(bench.device)
        logits = _logits(bench, network, images)
        losses += [float(bench.loss(logits, truth))] * len(samples)
        if bench.task.kind == "segmentation":
            found = logits.argmax(1).to(torch.uint8).cpu().numpy()
            wanted = truth.to(torch.uint8).cpu().numpy()
            dices += [dice(one, other, len(bench.task.classes)) for one, other in zip(wanted, found, strict=True)]
        else:
            probabilities = torch.softmax(logits, dim=1)[:, list(bench.task.positive)].sum(1)
            scores += probabilities.cpu().tolist()
            positive += [sample.label in bench.task.positive for sample in samples]
    score = mean_dice(dices) if bench.task.kind == "segmentation" else roc_auc(np.array(positive), np.array(scores))
    return _known(float(np.mean(losses)) if losses else math.nan), _known(score)


def _same_size(samples: Sequence[Sample], batch: int) -> Iterator[list[Sample]]:
    ordered = sorted(samples, key=lambda sample: tuple(sample.image.shape))
    for _, group in groupby(ordered, key=lambda sample: sample.image.shape):
        same = list(group)
        for start in range(0, len(same), batch):
            yield same[start : start + batch]


def _known(value: float) -> float | None:
    return value if math.isfinite(value) else None
