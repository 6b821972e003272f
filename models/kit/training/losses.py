"""What is minimised."""

from __future__ import annotations

from collections.abc import Callable

import torch
from torch import Tensor
from torch.nn import functional

from models.kit.task import Settings, Task

Loss = Callable[[Tensor, Tensor], Tensor]


def cross_entropy(logits: Tensor, truth: Tensor, weights: Tensor | None, smoothing: float) -> Tensor:
    """The mean over cases or pixels of weight times cross-entropy.

    ``logits`` (N, classes, ...), ``truth`` int64 (N, ...). Divided by the count, not by the sum of the weights, so
    that batches that are accumulated give the loss of one larger batch.
    """
    total = functional.cross_entropy(logits, truth, weights, reduction="sum", label_smoothing=smoothing)
    return total / truth.numel()


def soft_dice_loss(logits: Tensor, truth: Tensor, by_image: bool = False) -> Tensor:
    """1 - soft Dice, the mean over the classes but background.

    Milletari et al., "V-Net", 3DV 2016. Over the whole batch, so that an image without a structure does not count as a
    failure; with ``by_image`` the mean over the images, so that a small structure weighs as much as a large one.
    """
    classes = logits.shape[1]
    probabilities = torch.softmax(logits, dim=1)[:, 1:]
    target = functional.one_hot(truth, classes).movedim(-1, 1)[:, 1:].to(probabilities.dtype)
    axes = [axis for axis in range(logits.ndim) if axis != 1 and not (by_image and axis == 0)]
    overlap = 2 * (probabilities * target).sum(axes)
    return 1 - ((overlap + 1) / (probabilities.sum(axes) + target.sum(axes) + 1)).mean()


def loss_of(task: Task, settings: Settings, device: torch.device) -> Loss:
    """Cross-entropy for a classification, cross-entropy plus Dice for a segmentation.

    Raises:
        ValueError: there are class weights, but not one for each class.
    """
    if settings.class_weights and len(settings.class_weights) != len(task.classes):
        raise ValueError(f"{len(settings.class_weights)} class weights for {len(task.classes)} classes")
    weights = torch.tensor(settings.class_weights, device=device) if settings.class_weights else None

    def loss(logits: Tensor, truth: Tensor) -> Tensor:
        value = cross_entropy(logits, truth, weights, settings.label_smoothing)
        if task.kind == "segmentation":
            value = value + soft_dice_loss(logits, truth, settings.dice_over == "image")
        return value

    return loss
