"""What ``ainode models prepare|train|evaluate|explain|similar|calibrate|tune`` do for a package.

It has a ``task.py``, and a ``train.py`` of its own, which is run as a program. Each command returns a document for
people and programs. Training libraries are imported when a command needs them, never on a node.
"""

from __future__ import annotations

import contextlib
import hashlib
import subprocess
import sys
import tomllib
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from importlib.util import find_spec
from pathlib import Path
from typing import Any

from models.kit.cases import Problem
from models.kit.task import Task, load_task
from node.errors import KitRefused, LibraryMissing, NotFound, WeightsDigestMismatch

# Modules of the pip extra; a few stand for all of them.
LIBRARIES = ("captum", "hmmlearn", "jinja2", "matplotlib", "nibabel", "optuna", "pywt", "sklearn")
WEIGHTS, INDEX = "weights.safetensors", "index.npz"
EVALUATION, EXPLANATION, TUNING = "evaluation", "explanation", "tuning"


@dataclass(frozen=True, slots=True)
class Where:
    """A package, the folder with the data sets in it, and the folder for everything that is made of them.

    ``weights``: a file; ``None`` is what was trained into ``out``, or the package's own where nothing was.
    """

    package: str
    data: Path
    out: Path
    weights: Path | None = None
    device: str = "auto"
    limit: int = 0

    def weights_file(self) -> Path:
        """The weights that are looked at.

        Raises:
            KitRefused: there are none.
            WeightsDigestMismatch: the package's own are not those that its ``model.toml`` declares.
        """
        own = _folder(self.package) / WEIGHTS
        files = [self.weights] if self.weights else [self.out / WEIGHTS, own]
        found = next((file for file in files if file.is_file()), None)
        if found is None:
            raise KitRefused(f"{self.package} has no weights yet: ainode models train {self.package}")
        if self.weights is None and found == own:
            _require_declared(own)
        return found


def prepare(where: Where) -> dict[str, Any]:
    """List, look at every picture, drop twins, split; ``cases.csv``, ``problems.csv`` and ``split.json`` in ``out``."""
    task = _task(where.package, "prepare")
    from models.kit.data.prepare import prepare as run  # noqa: PLC0415

    with _named_errors():
        prepared = run(task, where.data, where.out)
    parts = {name: len(prepared.part(name)) for name in ("train", "validation", "test")}
    problems = [{"path": one.path, "reason": one.reason} for one in prepared.listing.problems]
    return {"model": where.package, "out": str(where.out), "cases": parts, "problems": problems}


def train(where: Where, epochs: int = 0, seed: int | None = None) -> dict[str, Any]:
    """Train into ``out``, or go on with a training that was interrupted, by the package's own ``train.py``.

    Args:
        epochs: of the whole schedule; 0 is the package's own.
        seed: ``None`` is the package's own.
    """
    arguments = ["--out", where.out, "--device", _device(where.device), "--limit", where.limit]
    arguments += ["--epochs", epochs] if epochs else []
    arguments += ["--seed", seed] if seed is not None else []
    _run(where, "train", arguments)
    return {"model": where.package, "out": str(where.out), "weights": str(where.out / WEIGHTS)}


def evaluate(where: Where, part: str = "test", baselines: bool = True) -> dict[str, Any]:
    """Measure weights beside the baselines; everything is written into ``out/evaluation``."""
    folder = where.out / EVALUATION
    task = _task(where.package, "evaluate")
    from models.kit.evaluation.evaluate import evaluate as run  # noqa: PLC0415

    with _named_errors():
        found = run(
            task, where.data, where.weights_file(), folder, _torch_device(where.device), part, where.limit,
            baselines, prepared=where.out,
        )  # fmt: skip
    return {"model": where.package, "out": str(folder), "weights": str(where.weights_file()), **found}


def explain(where: Where, images: Sequence[Path] = (), count: int = 4) -> dict[str, Any]:
    """Heat maps of ``images``, or of the first ``count`` test cases, the classes in turn, in ``out/explanation``."""
    task = _task(where.package, "explain")
    from models.kit.explain.run import explain as run  # noqa: PLC0415
    from models.kit.training.loop import limited, prepared_in  # noqa: PLC0415

    folder = where.out / EXPLANATION
    with _named_errors():
        chosen = list(images) or limited(prepared_in(task, where.data, where.out).part("test"), count)
        done = [run(task, where.weights_file(), one, folder, device=str(_torch_device(where.device))) for one in chosen]
    rows = [
        {"case": one.case, "class": one.class_name, "probability": one.probability, "picture": str(one.picture)}
        for one in done
    ]
    return {"model": where.package, "weights": str(where.weights_file()), "explanations": rows}


def similar(where: Where, image: Path, count: int = 5) -> dict[str, Any]:
    """The training cases most like ``image``; their index is kept in ``out`` and made anew for other weights."""
    task = _task(where.package, "similar")
    from models.kit.similar import build_index, load_index, save_index  # noqa: PLC0415
    from models.kit.similar import similar as run  # noqa: PLC0415
    from models.kit.training.loop import limited, prepared_in  # noqa: PLC0415

    weights, device = where.weights_file(), str(_torch_device(where.device))
    file = where.out / INDEX
    unread: Sequence[Problem] = ()
    with _named_errors():
        try:
            index = load_index(file, weights)
        except (OSError, WeightsDigestMismatch):
            cases = limited(prepared_in(task, where.data, where.out).part("train"), where.limit)
            index, unread = build_index(task, weights, cases, device)
            save_index(index, file)
        found = run(task, weights, index, image, count, device=device)
    rows = [{"case": one.id, "class": one.class_name, "cosine": round(one.cosine, 4)} for one in found]
    return {
        "model": where.package,
        "weights": str(weights),
        "image": str(image),
        "similar": rows,
        # Of an index that was made now; what an older one lacks was told then.
        "problems": [{"path": one.path, "reason": one.reason} for one in unread],
    }


def calibrate(where: Where, layers: str = "", foreign: Sequence[Path] = (), count: int = 40) -> dict[str, Any]:
    """Write ``ood.safetensors`` into ``out``: how unlike the training data an input may be, for the node."""
    task = _task(where.package, "calibrate")
    from models.kit.familiarity import calibrate as run  # noqa: PLC0415

    weights, device = where.weights_file(), str(_torch_device(where.device))
    with _named_errors():
        found = run(task, where.data, weights, where.out, device, where.limit, layers, foreign, count)
    return {"model": where.package, "out": str(where.out), "weights": str(weights), **found}


def tune(where: Where, trials: int = 20, folds: int = 3, epochs: int = 0) -> dict[str, Any]:
    """Search for settings in ``out/tuning``, or go on with a study that was interrupted."""
    task = _task(where.package, "tune")
    from models.kit.tuning import Plan  # noqa: PLC0415
    from models.kit.tuning import tune as run  # noqa: PLC0415

    settings = replace(task.settings, epochs=epochs or task.settings.epochs)
    folder = where.out / TUNING
    with _named_errors():
        plan = Plan(task.space, settings, trials, folds)
        found = run(task, where.data, folder, plan, _torch_device(where.device), where.limit)
    return {"model": where.package, "out": str(folder), **found}


def _task(package: str, verb: str) -> Task:
    """The package's task, once everything that the kit imports is known to be there."""
    _require_libraries()
    _folder(package)
    if find_spec(f"models.{package}.task") is None:
        raise KitRefused(f"{package} is not trained by the kit: it has no task.py, and no {verb}", model=package)
    return load_task(package)


def _folder(package: str) -> Path:
    """Of a built-in package.

    Raises:
        NotFound: there is none of this name.
    """
    folder = Path(__file__).resolve().parent.parent / package
    if not package.isidentifier() or package == "kit" or not (folder / "__init__.py").is_file():
        raise NotFound(f"there is no built-in package {package}", model=package)
    return folder


def _require_declared(weights: Path) -> None:
    """A node refuses other weights than the declared ones; what the kit says of a package shall be of the same ones."""
    wanted = tomllib.loads(weights.with_name("model.toml").read_text(encoding="utf-8"))["weights"]["sha256"]
    digest = hashlib.sha256(weights.read_bytes()).hexdigest()
    if digest != wanted:
        raise WeightsDigestMismatch(
            f"the weights of {weights.parent.name} are not those of its model.toml", found=digest, wanted=wanted
        )


def _require_libraries() -> None:
    missing = [name for name in LIBRARIES if find_spec(name) is None]
    if missing:
        raise LibraryMissing(
            f"{', '.join(missing)}: not installed. The model kit needs: pip install 'ainode[train]'", libraries=missing
        )


def _run(where: Where, verb: str, arguments: Sequence[object]) -> None:
    """Run ``models.<package>.<verb>`` as a program."""
    _folder(where.package)
    _require_libraries()
    module = f"models.{where.package}.{verb}"
    if find_spec(module) is None:
        raise KitRefused(f"{where.package} has no {verb}", model=where.package)
    command = [sys.executable, "-m", module, "--data", str(where.data), *map(str, arguments)]
    done = subprocess.run(command, check=False)  # noqa: S603
    if done.returncode:
        raise KitRefused(f"{module} ended with exit code {done.returncode}; what it said stands above")


def _device(name: str) -> str:
    return str(_torch_device(name))


def _torch_device(name: str) -> Any:
    from models.kit.training.loop import device_of  # noqa: PLC0415

    return device_of(name)


@contextlib.contextmanager
def _named_errors() -> Iterator[None]:
    """What the kit says of data and settings that it cannot use, as an error with a name."""
    from models.kit.training.weights import DivergedError  # noqa: PLC0415

    try:
        yield
    except (ValueError, OSError, DivergedError) as error:
        raise KitRefused(str(error)) from error
