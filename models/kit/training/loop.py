"""Train a package, or go on with a training that was interrupted.

A package's ``train.py`` is ``main(TASK)``. The folder ``--out`` receives ``weights.safetensors``, ``metrics.json``,
``learning_curve.png``, ``checkpoint.pt``, from which the same command goes on, and ``train.log``.
"""

from __future__ import annotations

import argparse
import hashlib
import logging
import time
from collections.abc import Callable, Sequence
from dataclasses import asdict, replace
from itertools import zip_longest
from pathlib import Path
from typing import Any

import torch
from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn, TimeRemainingColumn

from models.kit.cases import Case
from models.kit.data.prepare import CASES, SPLIT, Prepared, prepare, read_prepared
from models.kit.task import Settings, Task
from models.kit.training.determinism import deterministic
from models.kit.training.epoch import Bench, train_epoch, validate
from models.kit.training.log import logged
from models.kit.training.losses import loss_of
from models.kit.training.record import draw_learning_curve, write_json
from models.kit.training.samples import Sample, read_samples
from models.kit.training.state import Epoch, State, load_checkpoint, new_state, save_checkpoint
from models.kit.training.weights import DivergedError, load_weights, save_weights

logger = logging.getLogger(__name__)

# The curve is drawn at the end, and now and then before, for who looks on.
EPOCHS_BETWEEN_CURVES = 5


def train(
    task: Task,
    data: Path,
    out: Path,
    settings: Settings,
    device: torch.device,
    limit: int = 0,
    stop_after: int = 0,
) -> None:
    """Train on the training part of ``data`` and write ``out``; an interrupted run goes on where it was.

    Args:
        limit: use only so many cases of each part, the classes in turn (a smoke run); 0 uses all.
        stop_after: end after this epoch of the schedule, to be resumed later; 0 goes to the end.

    Raises:
        DivergedError: something is no longer finite; the last good weights are in ``out``.
        FileNotFoundError: the data is not there.
        ValueError: ``out`` holds a run with other settings or cases, or nothing can be trained or selected on.
    """
    out.mkdir(parents=True, exist_ok=True)
    prepared = prepared_in(task, data, out)
    training, problems = read_samples(task, limited(prepared.part("train"), limit))
    validation, more = read_samples(task, limited(prepared.part("validation"), limit))
    bench = new_bench(task, settings, device, training, validation)
    passed_over = (*prepared.listing.problems, *problems, *more)
    logger.info(
        "%d training and %d validation cases; %d problems, which metrics.json lists with their reasons",
        *(len(training), len(validation), len(passed_over)),
    )
    facts = {"limit": limit, "problems": [asdict(problem) for problem in passed_over]}
    fit(bench, out, facts, stop_after)


def prepared_in(task: Task, data: Path, out: Path) -> Prepared:
    """The cases and their split as ``prepare`` left them in ``out``, or a fresh preparation there.

    The split does not depend on the seed of the training, so that an ensemble's members share their test cases.

    Raises:
        FileNotFoundError, ValueError: as ``prepare`` and ``read_prepared``.
    """
    if (out / CASES).is_file() and (out / SPLIT).is_file():
        return read_prepared(data, out)
    return prepare(task, data, out)


def limited(cases: Sequence[Case], limit: int) -> list[Case]:
    """The first ``limit`` cases with the labels in turn; all of them for 0."""
    if not limit:
        return list(cases)
    by_label = [[case for case in cases if case.label == label] for label in sorted({case.label for case in cases})]
    return [case for row in zip_longest(*by_label) for case in row if case is not None][:limit]


def new_bench(
    task: Task,
    settings: Settings,
    device: torch.device,
    training: Sequence[Sample],
    validation: Sequence[Sample],
) -> Bench:
    """What is trained on what.

    Raises:
        ValueError: there are no training cases, or ``patience`` has no validation cases to judge by.
    """
    if not training:
        raise ValueError("there are no training cases")
    if settings.patience and not validation:
        raise ValueError("patience needs validation cases; there are none")
    return Bench(task, settings, device, loss_of(task, settings, device), training, validation)


def fit(
    bench: Bench,
    out: Path,
    facts: dict[str, Any] | None = None,
    stop_after: int = 0,
    after_epoch: Callable[[int, Epoch], None] = lambda number, epoch: None,
) -> State:
    """Train epoch by epoch from the start or from the checkpoint in ``out``.

    Args:
        facts: written into ``metrics.json`` beside what the run knows itself.
        after_epoch: called with the epoch's number from 1 when it is on disk; may raise to end the run.

    Raises:
        DivergedError: as in ``train``.
        ValueError: the checkpoint belongs to another run; or a score to select by is not defined.
    """
    identity = {"settings": asdict(bench.settings), "cases": _digest(bench)}
    state = new_state(bench.task, bench.settings, bench.device)
    checkpoint = out / "checkpoint.pt"
    if checkpoint.exists():
        load_checkpoint(state, identity, checkpoint)
        logger.info("resumed after epoch %d", len(state.history))
    with deterministic(bench.device), _progress() as progress:
        bar = progress.add_task(
            bench.task.id, total=bench.settings.epochs * bench.steps, completed=len(state.history) * bench.steps
        )
        while not finished(state.history, bench.settings, stop_after):
            try:
                epoch = _one_epoch(bench, state, out, lambda: progress.advance(bar))
            except DivergedError as error:
                _record(bench, state, out, {**(facts or {}), "diverged": str(error)})
                raise
            save_checkpoint(state, identity, checkpoint)
            if len(state.history) % EPOCHS_BETWEEN_CURVES == 0:
                draw_learning_curve(bench.task, state.history, out / "learning_curve.png")
            after_epoch(len(state.history), epoch)
    _record(bench, state, out, facts or {})
    return state


def finished(history: Sequence[Epoch], settings: Settings, stop_after: int = 0) -> bool:
    """Whether the schedule, the patience or ``stop_after`` is at its end."""
    if len(history) >= min(settings.epochs, stop_after or settings.epochs):
        return True
    return bool(settings.patience and history) and len(history) - kept_epoch(history, settings) >= settings.patience


def kept_epoch(history: Sequence[Epoch], settings: Settings) -> int:
    """The number, from 1, of the epoch whose weights are kept: the best score's with patience, else the last."""
    if not settings.patience:
        return len(history)
    scores = [epoch.score for epoch in history]
    known = [score for score in scores if score is not None]
    if len(known) < len(scores):
        raise ValueError("the validation score is not defined (it wants both classes); patience cannot select by it")
    return 1 + scores.index(max(known))


def _one_epoch(bench: Bench, state: State, out: Path, advance: Callable[[], None]) -> Epoch:
    """Train and look at the validation cases; the weights are on disk if they are the ones to keep."""
    weights, storage = out / "weights.safetensors", bench.settings.storage
    if not weights.exists():
        # Were the first epoch to diverge, these are the last good ones.
        save_weights(state.average, weights, storage)
    began = time.monotonic()
    loss = train_epoch(bench, state, advance)
    validation_loss, score = validate(bench, state.average)
    rate = float(state.optimiser.param_groups[0]["lr"])
    epoch = Epoch(loss, validation_loss, score, rate, round(time.monotonic() - began, 1))
    history = [*state.history, epoch]
    if kept_epoch(history, bench.settings) == len(history):
        save_weights(state.average, weights, storage)
    state.history = history
    logger.info(
        "epoch %d/%d loss %.4f validation loss %s score %s (%.0f s)",
        *(len(history), bench.settings.epochs, loss, _shown(validation_loss), _shown(score), epoch.seconds),
    )
    return epoch


def _record(bench: Bench, state: State, out: Path, facts: dict[str, Any]) -> None:
    """Draw the curve and write ``metrics.json``; its ``validation`` is measured with the weights as they are stored."""
    if state.history:
        draw_learning_curve(bench.task, state.history, out / "learning_curve.png")
    load_weights(state.average, out / "weights.safetensors")
    validation_loss, score = validate(bench, state.average)
    content = {
        "task": bench.task.id,
        "settings": asdict(bench.settings),
        "epochs_done": len(state.history),
        "kept_epoch": kept_epoch(state.history, bench.settings) if state.history else 0,
        "training_cases": len(bench.training),
        "validation_cases": len(bench.validation),
        "validation": {"loss": validation_loss, "auc" if bench.task.kind == "classification" else "dice": score},
        "history": [asdict(epoch) for epoch in state.history],
        "training_s": round(sum(epoch.seconds for epoch in state.history), 1),
        "parameters": sum(parameter.numel() for parameter in state.average.parameters()),
        "weights_sha256": hashlib.sha256((out / "weights.safetensors").read_bytes()).hexdigest(),
        "device": torch.cuda.get_device_name(bench.device) if bench.device.type == "cuda" else bench.device.type,
        "threads": torch.get_num_threads(),
        "torch": str(torch.__version__),
        **facts,
    }
    write_json(content, out / "metrics.json")


def _digest(bench: Bench) -> str:
    names = [sample.id for sample in bench.training] + [""] + [sample.id for sample in bench.validation]
    return hashlib.sha256("\n".join(names).encode()).hexdigest()


def _shown(value: float | None) -> str:
    return "-" if value is None else f"{value:.4f}"


def _progress() -> Progress:
    """A bar over the steps of the whole schedule, with the time left; silent where nobody looks."""
    console = Console(stderr=True)
    columns = (TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn(), TimeElapsedColumn())
    return Progress(*columns, TimeRemainingColumn(), console=console, disable=not console.is_terminal)


def parser() -> argparse.ArgumentParser:
    """What every package's ``train.py`` understands."""
    arguments = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    arguments.add_argument("--data", type=Path, required=True, help="folder with the data set's folder in it")
    arguments.add_argument("--out", type=Path, required=True, help="folder for weights, metrics, curve, checkpoint")
    arguments.add_argument("--epochs", type=int, help="of the whole schedule; the package's own without it")
    arguments.add_argument("--stop-after", type=int, default=0, help="stop after this epoch; may be resumed later")
    arguments.add_argument("--limit", type=int, default=0, help="only so many cases of each part (smoke run)")
    arguments.add_argument("--seed", type=int, help="the package's own without it")
    arguments.add_argument("--device", default="auto", help="auto, cpu, cuda or cuda:1")
    arguments.add_argument("--threads", type=int, default=0, help="CPU threads; 0 leaves it to torch")
    return arguments


def main(task: Task, arguments: Sequence[str] | None = None) -> None:
    """The command line of a package's ``train.py``."""
    chosen = parser().parse_args(arguments)
    chosen.out.mkdir(parents=True, exist_ok=True)
    if chosen.threads:
        torch.set_num_threads(chosen.threads)
    given = {name: getattr(chosen, name) for name in ("epochs", "seed") if getattr(chosen, name) is not None}
    settings = replace(task.settings, **given)
    with logged(chosen.out / "train.log"):
        train(task, chosen.data, chosen.out, settings, device_of(chosen.device), chosen.limit, chosen.stop_after)


def device_of(name: str) -> torch.device:
    """``auto`` is a GPU where there is one."""
    if name == "auto":
        name = "cuda" if torch.cuda.is_available() else "cpu"
    return torch.device(name)
