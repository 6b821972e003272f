"""Search for settings: an Optuna study over a package's ``Task.space``, by cross-validation over groups.

The cases of the test part are never looked at. ``out`` receives ``study.db`` (SQLite), from which the same command
goes on, and ``tuning.json`` with every trial and the best settings. Akiba et al., "Optuna", KDD 2019; the
tree-structured Parzen estimator of Bergstra et al., NeurIPS 2011.
"""

from __future__ import annotations

import argparse
import hashlib
import inspect
import json
import logging
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass, replace
from functools import partial
from pathlib import Path
from typing import Any, Literal, cast

import optuna
import torch
from optuna.trial import FrozenTrial, TrialState
from torch import nn

from models.kit.cases import Case
from models.kit.data.splits import folds as fold_groups
from models.kit.space import Space
from models.kit.task import Augment, Settings, Task
from models.kit.training.epoch import Bench, train_epoch, validate
from models.kit.training.log import logged
from models.kit.training.loop import device_of, limited, new_bench, prepared_in
from models.kit.training.record import write_json
from models.kit.training.samples import Sample, read_samples
from models.kit.training.state import Epoch, new_state
from models.kit.training.weights import DivergedError

logger = logging.getLogger(__name__)

Pruner = Literal["median", "hyperband"]
Round = tuple[list[Sample], list[Sample]]
STARTUP_TRIALS = 4
TRIED = (TrialState.COMPLETE, TrialState.PRUNED)


@dataclass(frozen=True, slots=True)
class Plan:
    """How a study is made; ``settings`` are what the space does not vary, and the epochs of a trial."""

    space: Space
    settings: Settings
    trials: int = 20
    folds: int = 3
    pruner: Pruner = "median"


def tune(task: Task, data: Path, out: Path, plan: Plan, device: torch.device, limit: int = 0) -> dict[str, Any]:
    """Make the study, or go on with it until it has ``plan.trials`` trials; returns what ``tuning.json`` holds.

    What a trial draws comes from the seed and the trials before it, so that a study that was interrupted goes on as
    if it had not been; only the trial in hand is made again.

    Args:
        limit: use only so many cases (a smoke run); 0 uses all.

    Raises:
        FileNotFoundError: the data is not there.
        ValueError: the space asks for what the task cannot vary, ``out`` holds another study, there are fewer groups
            than folds, or no trial came to a score.
    """
    out.mkdir(parents=True, exist_ok=True)
    _check(task, plan.space)
    prepared = prepared_in(task, data, out)
    cases = limited([*prepared.part("train"), *prepared.part("validation")], limit)
    samples, unread = read_samples(task, cases)
    rounds = _rounds(cases, samples, plan)
    storage = optuna.storages.RDBStorage(f"sqlite:///{out / 'study.db'}")
    try:
        study = _study(storage, plan, samples)
        while len(study.get_trials(states=TRIED)) < plan.trials:
            study.optimize(lambda trial: _score(task, plan, rounds, device, trial), n_trials=1)
            study.sampler = _sampler(study, plan)
        if not study.get_trials(states=(TrialState.COMPLETE,)):
            raise ValueError(f"none of {plan.trials} trials came to a score")
        found = _summary(study, plan)
        found["problems"] = [asdict(one) for one in (*prepared.listing.problems, *unread)]
    finally:
        storage.remove_session()
        storage.engine.dispose()
    write_json(found, out / "tuning.json")
    return found


def varied(task: Task, settings: Settings, drawn: dict[str, Any]) -> tuple[Task, Settings]:
    """The task and the settings with what a trial drew: any of the fields of ``Space`` by name."""
    plain = {name: value for name, value in drawn.items() if name in ("learning_rate", "weight_decay", "dropout")}
    if "width" in drawn:
        build = cast(Callable[..., nn.Module], task.network)
        task = replace(task, network=partial(build, width=drawn["width"]))
    if "augmentation" in drawn:
        scaled: Augment = cast(Any, task.augment).scaled(drawn["augmentation"])
        task = replace(task, augment=scaled)
    return task, replace(settings, **plain)


def _check(task: Task, space: Space) -> None:
    if space.width and "width" not in inspect.signature(task.network).parameters:
        raise ValueError(f"the space of {task.id} varies the width, but its network does not take the keyword width")
    if space.augmentation and not hasattr(task.augment, "scaled"):
        raise ValueError(f"the space of {task.id} varies the augmentation, but that has no scaled(factor)")


def _rounds(cases: Sequence[Case], samples: Sequence[Sample], plan: Plan) -> list[Round]:
    """(training, validation) of each fold; no group is in both."""
    group_of = {case.id: case.group for case in cases}
    readable = {sample.id for sample in samples}
    held = fold_groups([case for case in cases if case.id in readable], plan.folds, plan.settings.seed)
    return [
        (
            [sample for sample in samples if group_of[sample.id] not in groups],
            [sample for sample in samples if group_of[sample.id] in groups],
        )
        for groups in held
    ]


def _study(storage: optuna.storages.RDBStorage, plan: Plan, samples: Sequence[Sample]) -> optuna.Study:
    """The study in ``storage``, or a new one; a trial that an interruption left open is closed as failed."""
    study = optuna.create_study(
        storage=storage, study_name="tuning", direction="maximize", pruner=_pruner(plan), load_if_exists=True
    )
    names = hashlib.sha256("\n".join(sample.id for sample in samples).encode()).hexdigest()
    identity = json.dumps({**asdict(plan), "trials": None, "cases": names}, sort_keys=True)
    if study.user_attrs.get("identity", identity) != identity:
        raise ValueError("the folder holds a study with another space, other settings or other cases; choose another")
    study.set_user_attr("identity", identity)
    for trial in study.get_trials(states=(TrialState.RUNNING,)):
        study.tell(trial.number, state=TrialState.FAIL)
    study.sampler = _sampler(study, plan)
    return study


def _sampler(study: optuna.Study, plan: Plan) -> optuna.samplers.BaseSampler:
    """The sampler of the next trial."""
    seed = plan.settings.seed * 100_003 + len(study.get_trials(states=TRIED))
    return optuna.samplers.TPESampler(n_startup_trials=STARTUP_TRIALS, seed=seed)


def _pruner(plan: Plan) -> optuna.pruners.BasePruner:
    if plan.pruner == "hyperband":
        return optuna.pruners.HyperbandPruner(max_resource=plan.folds * plan.settings.epochs)
    return optuna.pruners.MedianPruner(n_startup_trials=STARTUP_TRIALS, n_warmup_steps=plan.settings.epochs // 3)


def _score(task: Task, plan: Plan, rounds: Sequence[Round], device: torch.device, trial: optuna.Trial) -> float:
    """The mean over the folds of the validation score after the last epoch.

    Raises:
        optuna.TrialPruned: it is worse than the others were after as many epochs of the same fold, or it diverged.
    """
    chosen, settings = varied(task, plan.settings, _drawn(plan.space, trial))
    scores = []
    for number, (training, validation) in enumerate(rounds):
        bench = new_bench(chosen, settings, device, training, validation)
        scores.append(_fold_score(bench, trial, number * settings.epochs))
    return sum(scores) / len(scores)


def _fold_score(bench: Bench, trial: optuna.Trial, before: int) -> float:
    """Train on one fold; each epoch's score is reported as step ``before`` + epoch. Raises as ``_score``."""
    state = new_state(bench.task, bench.settings, bench.device)
    last = 0.0
    for epoch in range(bench.settings.epochs):
        try:
            loss = train_epoch(bench, state, lambda: None)
        except DivergedError as error:
            raise optuna.TrialPruned(str(error)) from error
        _, score = validate(bench, state.average)
        if score is None:
            raise ValueError("the validation score of a fold is not defined: the fold lacks a class")
        state.history.append(Epoch(loss, None, score, bench.settings.learning_rate, 0.0))
        trial.report(score, before + epoch)
        if trial.should_prune():
            raise optuna.TrialPruned
        last = score
    return last


def _drawn(space: Space, trial: optuna.Trial) -> dict[str, Any]:
    """A value for each field of the space that is varied."""
    drawn: dict[str, Any] = {}
    for name, logarithmic in (("learning_rate", True), ("weight_decay", True), ("dropout", False)):
        limits = getattr(space, name)
        if limits:
            drawn[name] = trial.suggest_float(name, *limits, log=logarithmic)
    if space.width:
        drawn["width"] = trial.suggest_categorical("width", space.width)
    if space.augmentation:
        drawn["augmentation"] = trial.suggest_float("augmentation", *space.augmentation)
    return drawn


def _summary(study: optuna.Study, plan: Plan) -> dict[str, Any]:
    best = study.best_trial
    return {
        "best": {"score": best.value, "trial": best.number, **best.params},
        "settings": asdict(plan.settings),
        "space": asdict(plan.space),
        "folds": plan.folds,
        "trials": [_row(trial) for trial in study.trials],
    }


def _row(trial: FrozenTrial) -> dict[str, Any]:
    return {"number": trial.number, "state": trial.state.name, "score": trial.value, **trial.params}


def main(task: Task, arguments: Sequence[str] | None = None) -> None:
    """The command line of a study."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data", type=Path, required=True, help="folder with the data set's folder in it")
    parser.add_argument("--out", type=Path, required=True, help="folder for the study")
    parser.add_argument("--trials", type=int, default=20)
    parser.add_argument("--folds", type=int, default=3)
    parser.add_argument("--epochs", type=int, help="of each trial; the package's own without it")
    parser.add_argument("--pruner", choices=("median", "hyperband"), default="median")
    parser.add_argument("--seed", type=int, default=task.settings.seed)
    parser.add_argument("--limit", type=int, default=0, help="only so many cases (smoke run)")
    parser.add_argument("--device", default="auto", help="auto, cpu, cuda or cuda:1")
    parser.add_argument("--threads", type=int, default=0, help="CPU threads; 0 leaves it to torch")
    chosen = parser.parse_args(arguments)
    chosen.out.mkdir(parents=True, exist_ok=True)
    if chosen.threads:
        torch.set_num_threads(chosen.threads)
    settings = replace(task.settings, seed=chosen.seed, epochs=chosen.epochs or task.settings.epochs)
    plan = Plan(task.space, settings, chosen.trials, chosen.folds, chosen.pruner)
    with logged(chosen.out / "tuning.log"):
        found = tune(task, chosen.data, chosen.out, plan, device_of(chosen.device), chosen.limit)
        logger.info("best: %s", json.dumps(found["best"]))
