"""Train the hippocampus network.

    python -m models.hippocampus_mr.train --data $AINODE_DATA --out DIR

The schedule is fixed (cosine, exponential moving average of the weights, no epoch selection), so nothing is chosen
on held-out cases. `--out` receives weights.safetensors, metrics.json, learning_curve.png, a log and a checkpoint
from which the same command resumes.
"""

import argparse
import copy
import hashlib
import json
import logging
import math
import time
from dataclasses import asdict, dataclass
from pathlib import Path

import torch
from safetensors.torch import load_file, save_file
from torch import Tensor, nn
from torch.nn import functional

from models.hippocampus_mr import data, evaluate
from models.hippocampus_mr.augment import MIRROR_AXES, augment
from models.hippocampus_mr.network import CLASSES, DIVISOR, OrientationSearch, ResidualUNet

logger = logging.getLogger(__name__)

# An epoch of a tiny subset repeats its cases, so that a smoke run still makes steps.
MINIMUM_STEPS = 16
WARM_UP_STEPS = 100
GRADIENT_NORM = 5.0


class DivergedError(RuntimeError):
    """The loss or the weights are no longer finite; the last good weights are on disk."""


@dataclass(frozen=True)
class Settings:
    """Everything that determines a run; written into metrics.json.

    Until the fraction `whole_from` of the epochs, patches of the size `patch` are trained on; then whole cases, padded
    as on the node. Small patches make the early epochs cheap; but instance norm sees other statistics in them, and
    a network trained on nothing else draws the structures too large on whole cases. `start` is the SHA-256 of the
    weights a second training goes on from.
    """

    epochs: int
    fold: int
    validation: int
    limit: int
    seed: int
    mirror: str
    batch: int
    learning_rate: float
    weight_decay: float
    ema: float
    patch: tuple[int, int, int]
    whole_from: float
    start: str = ""


@dataclass
class State:
    """What a checkpoint holds: networks, optimiser, epochs done and the mean loss of each."""

    network: nn.Module
    average: nn.Module
    optimiser: torch.optim.Optimizer
    losses: list[float]


def segmentation_loss(logits: Tensor, truth: Tensor) -> Tensor:
    """Cross-entropy plus 1 - soft Dice of the two structures over the batch.

    `logits` [N, 3, D, H, W], `truth` int64 [N, D, H, W].
    """
    probabilities = torch.softmax(logits, dim=1)[:, 1:]
    target = functional.one_hot(truth, CLASSES).movedim(-1, 1)[:, 1:].to(probabilities.dtype)
    axes = (0, 2, 3, 4)
    overlap = 2 * (probabilities * target).sum(axes)
    dice = (overlap + 1) / (probabilities.sum(axes) + target.sum(axes) + 1)
    return functional.cross_entropy(logits, truth) + 1 - dice.mean()


def learning_rate_factor(step: int, steps: int) -> float:
    """Linear warm-up, then half a cosine down to one percent."""
    warm_up = min(WARM_UP_STEPS, steps // 10 + 1)
    if step < warm_up:
        return (step + 1) / warm_up
    return 0.01 + 0.99 * 0.5 * (1 + math.cos(math.pi * (step - warm_up) / max(1, steps - warm_up)))


def train_epoch(state: State, cases: list[data.Case], settings: Settings, device: torch.device) -> float:
    """Run one epoch; returns its mean loss. Raises DivergedError on a loss that is not finite.

    All random numbers of an epoch come from (seed, epoch), so that a resumed run equals an uninterrupted one.
    """
    epoch = len(state.losses)
    generator = torch.Generator().manual_seed(settings.seed * 100_003 + epoch)
    steps = max(MINIMUM_STEPS, len(cases) // settings.batch)
    order: list[int] = []
    while len(order) < steps * settings.batch:
        order += torch.randperm(len(cases), generator=generator).tolist()
    state.network.train()
    total = 0.0
    for step in range(steps):
        chosen = [cases[index] for index in order[step * settings.batch : (step + 1) * settings.batch]]
        size = settings.patch if epoch < settings.whole_from * settings.epochs else whole_size(chosen)
        patches = [
            augment(torch.from_numpy(case.image), torch.from_numpy(case.labels), size, settings.mirror, generator)
            for case in chosen
        ]
        images = torch.stack([image for image, _ in patches])[:, None].to(device)
        truth = torch.stack([labels for _, labels in patches]).to(device)
        for group in state.optimiser.param_groups:
            group["lr"] = settings.learning_rate * learning_rate_factor(epoch * steps + step, settings.epochs * steps)
        loss = segmentation_loss(state.network(images.contiguous(memory_format=torch.channels_last_3d)), truth)
        if not torch.isfinite(loss):
            raise DivergedError(f"loss is {loss.item()} in epoch {epoch + 1}, step {step + 1}")
        state.optimiser.zero_grad(set_to_none=True)
        loss.backward()  # type: ignore[no-untyped-call]
        nn.utils.clip_grad_norm_(state.network.parameters(), GRADIENT_NORM)
        state.optimiser.step()
        update_average(state, settings.ema, epoch * steps + step)
        total += loss.item()
    return total / steps


def whole_size(cases: list[data.Case]) -> tuple[int, int, int]:
    """The smallest size that holds every one of the cases and that the network takes."""
    depth, rows, columns = (-(-max(case.image.shape[axis] for case in cases) // DIVISOR) * DIVISOR for axis in range(3))
    return depth, rows, columns


def update_average(state: State, decay: float, step: int) -> None:
    """Move the averaged weights towards the current ones; the horizon grows with the steps done."""
    decay = min(decay, (1 + step) / (10 + step))
    with torch.no_grad():
        for averaged, current in zip(state.average.parameters(), state.network.parameters(), strict=True):
            averaged.lerp_(current, 1 - decay)


def save_weights(average: nn.Module, file: Path, dtype: torch.dtype = torch.bfloat16) -> None:
    """Write the averaged weights with the key prefix of `network.network()`; replaced atomically."""
    tensors = {
        f"single.{key}": value.detach().cpu().to(dtype).contiguous() for key, value in average.state_dict().items()
    }
    if not all(bool(torch.isfinite(value).all()) for value in tensors.values()):
        raise DivergedError("weights are not finite")
    partial = file.with_suffix(".partial")
    save_file(tensors, str(partial))
    partial.replace(file)


def read_weights(file: Path) -> dict[str, Tensor]:
    """The weights of `ResidualUNet` as float32 from a file that `save_weights` wrote."""
    return {key.removeprefix("single."): value.float() for key, value in load_file(str(file)).items()}


def new_state(settings: Settings, device: torch.device) -> State:
    """Fresh networks and optimiser from the seed."""
    torch.manual_seed(settings.seed)
    network = ResidualUNet().to(device, memory_format=torch.channels_last_3d)  # type: ignore[call-overload]
    average = copy.deepcopy(network).requires_grad_(False)
    decayed = [parameter for parameter in network.parameters() if parameter.ndim > 1]
    plain = [parameter for parameter in network.parameters() if parameter.ndim <= 1]
    groups = [{"params": decayed, "weight_decay": settings.weight_decay}, {"params": plain, "weight_decay": 0.0}]
    return State(network, average, torch.optim.AdamW(groups, lr=settings.learning_rate), [])


def save_checkpoint(state: State, settings: Settings, file: Path) -> None:
    """Write everything a resumed run needs; replaced atomically."""
    partial = file.with_suffix(".partial")
    content = {
        "settings": asdict(settings),
        "network": state.network.state_dict(),
        "average": state.average.state_dict(),
        "optimiser": state.optimiser.state_dict(),
        "losses": state.losses,
    }
    torch.save(content, partial)
    partial.replace(file)


def load_checkpoint(state: State, settings: Settings, file: Path) -> None:
    """Continue from `file`. Raises ValueError when it belongs to a run with other settings."""
    content = torch.load(file, map_location="cpu", weights_only=True)
    if content["settings"] != asdict(settings):
        raise ValueError(f"{file} belongs to a run with other settings; choose another --out")
    state.network.load_state_dict(content["network"])
    state.average.load_state_dict(content["average"])
    state.optimiser.load_state_dict(content["optimiser"])
    state.losses = list(content["losses"])


def draw_learning_curve(losses: list[float], file: Path) -> None:
    """Training loss per epoch as a PNG."""
    from matplotlib.figure import Figure  # noqa: PLC0415 - for training only, not installed on a node

    figure = Figure(figsize=(6, 4), layout="constrained")
    axes = figure.subplots()
    axes.plot(range(1, len(losses) + 1), losses, marker=".")
    axes.set(xlabel="epoch", ylabel="training loss (cross-entropy + 1 - Dice)", title="hippocampus_mr")
    axes.grid(alpha=0.3)
    figure.savefig(file, dpi=120)


def run(
    data_folder: Path, out: Path, settings: Settings, device: torch.device, start: Path | None, last: int
) -> dict[str, object]:
    """Train, or resume, and evaluate; returns what is written to metrics.json.

    `start`: first weights; `last`: the epoch after which to stop, at most that of the schedule's end.
    """
    training, validation, test = data.split(settings.fold, settings.validation)
    if settings.limit:
        training, validation, test = training[: settings.limit], validation[: settings.limit], test[: settings.limit]
    cases, problems = data.read_cases(data_folder, training, out / "cache")
    if not cases:
        raise ValueError(f"none of {len(training)} training cases could be read")
    state = new_state(settings, device)
    if start:
        for part in (state.network, state.average):
            part.load_state_dict(read_weights(start))
    checkpoint = out / "checkpoint.pt"
    if checkpoint.exists():
        load_checkpoint(state, settings, checkpoint)
        logger.info("resumed after epoch %d", len(state.losses))
    started = time.monotonic()
    while len(state.losses) < last:
        began = time.monotonic()
        loss = train_epoch(state, cases, settings, device)
        save_weights(state.average, out / "weights.safetensors")
        state.losses.append(loss)
        save_checkpoint(state, settings, checkpoint)
        draw_learning_curve(state.losses, out / "learning_curve.png")
        logger.info(
            "epoch %d/%d loss %.4f (%.0f s)", len(state.losses), settings.epochs, loss, time.monotonic() - began
        )
    metrics: dict[str, object] = {
        "settings": asdict(settings),
        "losses": state.losses,
        "training_cases": len(cases),
        "problems": [asdict(one) for one in problems],
        "training_s": round(time.monotonic() - started),
        "device": device.type,
        "torch": torch.__version__,
    }
    held_out = "validation" if validation else "test"
    # Crops in their known orientation: searching for it takes minutes with a network that knows little.
    declared = OrientationSearch(state.average, clear=math.inf)
    scores = evaluate.score_cases(declared, data_folder, validation or test, device, ("faithful",))
    metrics[held_out] = evaluate.as_json(evaluate.figures(scores, {score.case: score.case for score in scores}))
    (out / "metrics.json").write_text(json.dumps(metrics, indent=1) + "\n")
    return metrics


def main() -> None:
    """Command line."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data", type=Path, required=True, help="folder with the data set's folder in it, or that one")
    parser.add_argument("--out", type=Path, required=True, help="folder for weights, metrics, curve, checkpoint")
    parser.add_argument("--epochs", type=int, default=28)
    parser.add_argument("--stop-after", type=int, help="stop after this epoch of the schedule; may be resumed later")
    parser.add_argument("--fold", type=int, default=0, choices=range(data.FOLD_COUNT), help="test fold")
    parser.add_argument("--validation", type=int, default=0, help="training cases set aside to compare recipes")
    parser.add_argument("--limit", type=int, default=0, help="use only so many cases of each part (smoke run)")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--mirror", choices=sorted(MIRROR_AXES), default="lr", help="axes mirrored at random")
    parser.add_argument("--batch", type=int, default=2)
    parser.add_argument("--learning-rate", type=float, default=2e-3)
    parser.add_argument("--whole-from", type=float, default=0.6, help="fraction of the epochs on patches")
    parser.add_argument("--start", type=Path, help="go on from these weights, in a new schedule")
    parser.add_argument("--device", default="auto", help="auto, cpu or cuda")
    parser.add_argument("--threads", type=int, default=0, help="CPU threads; 0 leaves it to torch")
    arguments = parser.parse_args()
    arguments.out.mkdir(parents=True, exist_ok=True)
    logging.basicConfig(
        level=logging.INFO,
        format="%(asctime)s %(message)s",
        handlers=[logging.StreamHandler(), logging.FileHandler(arguments.out / "train.log")],
    )
    if arguments.threads:
        torch.set_num_threads(arguments.threads)
    name = arguments.device
    if name == "auto":
        name = "cuda" if torch.cuda.is_available() else "cpu"
    settings = Settings(
        epochs=arguments.epochs,
        fold=arguments.fold,
        validation=arguments.validation,
        limit=arguments.limit,
        seed=arguments.seed,
        mirror=arguments.mirror,
        batch=arguments.batch,
        learning_rate=arguments.learning_rate,
        weight_decay=1e-2,
        ema=0.995,
        patch=(32, 48, 32),
        whole_from=arguments.whole_from,
        start=hashlib.sha256(arguments.start.read_bytes()).hexdigest() if arguments.start else "",
    )
    last = min(arguments.epochs, arguments.stop_after or arguments.epochs)
    metrics = run(data.set_folder(arguments.data), arguments.out, settings, torch.device(name), arguments.start, last)
    logger.info("%s", json.dumps(metrics.get("validation") or metrics.get("test")))


if __name__ == "__main__":
    main()
