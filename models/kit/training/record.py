"""What a run leaves beside its weights: ``metrics.json`` and ``learning_curve.png``."""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from models.kit.task import Task
from models.kit.training.state import Epoch


def write_json(content: dict[str, Any], file: Path) -> None:
    """Write ``content``; replaced atomically."""
    partial = file.with_suffix(".partial")
    partial.write_text(json.dumps(content, indent=1) + "\n")
    partial.replace(file)


def draw_learning_curve(task: Task, history: Sequence[Epoch], file: Path) -> None:
    """Losses on the left axis, the validation score on the right, by epoch."""
    from matplotlib.figure import Figure  # noqa: PLC0415 - slow to import, and only needed at the end of an epoch

    figure = Figure(figsize=(7, 4), layout="constrained")
    axes = figure.subplots()
    epochs = range(1, len(history) + 1)
    lines = axes.plot(epochs, [epoch.loss for epoch in history], color="tab:blue", label="training loss")
    lines += axes.plot(epochs, _line(history, "validation_loss"), color="tab:orange", label="validation loss")
    axes.set(xlabel="epoch", ylabel="loss", title=task.id)
    axes.grid(alpha=0.3)
    score = axes.twinx()
    name = "validation Dice" if task.kind == "segmentation" else "validation AUC"
    lines += score.plot(epochs, _line(history, "score"), color="tab:green", label=name)
    score.set(ylabel=name)
    axes.legend(handles=lines, loc="center right")
    partial = file.with_suffix(".partial")
    figure.savefig(partial, dpi=120, format="png")
    partial.replace(file)


def _line(history: Sequence[Epoch], field: str) -> list[float]:
    return [float("nan") if getattr(epoch, field) is None else getattr(epoch, field) for epoch in history]
