"""The model kit on the command line: ``ainode models prepare|train|evaluate|explain|similar|calibrate|tune``."""

from __future__ import annotations

import importlib
from pathlib import Path
from typing import Annotated, Any

import typer

from node.admin.cli.options import JsonOption
from node.admin.cli.output import console, line, print_json, table
from node.log import configure

ModelArgument = Annotated[str, typer.Argument(metavar="ID")]
DataOption = Annotated[
    Path, typer.Option("--data", metavar="DIR", exists=True, file_okay=False, help="The folder with the data sets.")
]
OutOption = Annotated[
    Path | None,
    typer.Option("--out", metavar="DIR", help="For everything that is made; without it kit/ID.", show_default=False),
]
WeightsOption = Annotated[
    Path | None,
    typer.Option(
        "--weights",
        metavar="FILE",
        exists=True,
        dir_okay=False,
        show_default=False,
        help="Without it those trained into --out, else the package's own.",
    ),
]
DeviceOption = Annotated[str, typer.Option("--device", help="auto, cpu, cuda or cuda:1.")]
LimitOption = Annotated[int, typer.Option("--limit", min=0, help="Only so many cases of each part (a smoke run).")]


def register(cli: typer.Typer) -> None:
    """Add the commands to ``ainode models``."""
    for command in (prepare, train, evaluate, explain, similar, calibrate, tune):
        cli.command(command.__name__)(command)


def prepare(model: ModelArgument, data: DataOption, out: OutOption = None, as_json: JsonOption = False) -> None:
    """List a data folder, look at every image, drop twins, split by patient; what is passed over comes with reasons."""
    document = _kit().prepare(_where(model, data, out))
    if as_json:
        print_json(document)
        return
    console().print(f"{line(model)}: cases {_listed(document['cases'])}", soft_wrap=True)
    console().print(table("passed over", document["problems"], {"path": "path", "reason": "reason"}))
    console().print(f"wrote {line(document['out'])}", soft_wrap=True)


def train(
    model: ModelArgument,
    data: DataOption,
    out: OutOption = None,
    device: DeviceOption = "auto",
    epochs: Annotated[int, typer.Option("--epochs", min=0, help="Of the schedule; 0: the package's own.")] = 0,
    seed: Annotated[int | None, typer.Option("--seed", help="Without it the package's own.")] = None,
    limit: LimitOption = 0,
    as_json: JsonOption = False,
) -> None:
    """Train a package, or go on with a training that was interrupted."""
    document = _kit().train(_where(model, data, out, None, device, limit), epochs, seed)
    if as_json:
        print_json(document)
    else:
        console().print(f"wrote {line(document['weights'])}", soft_wrap=True)


def evaluate(
    model: ModelArgument,
    data: DataOption,
    out: OutOption = None,
    weights: WeightsOption = None,
    device: DeviceOption = "auto",
    part: Annotated[str, typer.Option("--part", help="test or validation.")] = "test",
    baselines: Annotated[bool, typer.Option("--baselines/--no-baselines", help="Whether they are fitted too.")] = True,
    limit: LimitOption = 0,
    as_json: JsonOption = False,
) -> None:
    """Measure weights on cases that were not trained on, beside classical baselines; writes the report."""
    document = _kit().evaluate(_where(model, data, out, weights, device, limit), part, baselines)
    if as_json:
        print_json(document)
        return
    console().print(f"weights {line(document['weights'])}", soft_wrap=True)
    _count_problems(document, "metrics.json")
    for written in sorted(Path(document["out"]).iterdir()):
        console().print(f"wrote {line(str(written))}", soft_wrap=True)
    card = Path(document["out"]) / "card_table.md"
    if card.is_file():
        console().print(line(card.read_text(encoding="utf-8")), soft_wrap=True)


def explain(
    model: ModelArgument,
    data: DataOption,
    out: OutOption = None,
    weights: WeightsOption = None,
    device: DeviceOption = "auto",
    image: Annotated[list[Path] | None, typer.Option("--image", metavar="PATH", help="Instead of test cases.")] = None,
    count: Annotated[int, typer.Option("--count", min=1, help="So many test cases, the classes in turn.")] = 4,
    as_json: JsonOption = False,
) -> None:
    """Heat maps of what a network looked at: Grad-CAM, integrated gradients, occlusion."""
    document = _kit().explain(_where(model, data, out, weights, device), image or (), count)
    columns = {"case": "case", "class": "class", "probability": "probability", "picture": "picture"}
    _show(document, "explanations", columns, as_json)


def similar(
    model: ModelArgument,
    image: Annotated[Path, typer.Argument(metavar="IMAGE", exists=True, help="A picture like those of the data set.")],
    data: DataOption,
    out: OutOption = None,
    weights: WeightsOption = None,
    device: DeviceOption = "auto",
    count: Annotated[int, typer.Option("--count", min=1, help="So many cases.")] = 5,
    as_json: JsonOption = False,
) -> None:
    """The training cases that are most like an image, by the network's own embedding."""
    document = _kit().similar(_where(model, data, out, weights, device), image, count)
    _show(document, "similar", {"case": "case", "class": "class", "cosine": "cosine"}, as_json)
    if document.get("problems") and not as_json:
        console().print(table("passed over", document["problems"], {"path": "path", "reason": "reason"}))


def calibrate(
    model: ModelArgument,
    data: DataOption,
    out: OutOption = None,
    weights: WeightsOption = None,
    device: DeviceOption = "auto",
    layers: Annotated[
        str, typer.Option("--layers", help="Names separated by commas; without it the kit's networks' own.")
    ] = "",
    foreign: Annotated[
        list[Path] | None,
        typer.Option(
            "--foreign", metavar="DIR", exists=True, file_okay=False, help="Images that the model is not meant for."
        ),
    ] = None,
    count: Annotated[int, typer.Option("--count", min=1, help="So many of each foreign folder.")] = 40,
    limit: LimitOption = 0,
    as_json: JsonOption = False,
) -> None:
    """How unlike its training data an input may be: ood.safetensors, and the lines that declare it in model.toml."""
    document = _kit().calibrate(_where(model, data, out, weights, device, limit), layers, foreign or (), count)
    if as_json:
        print_json(document)
        return
    _count_problems(document, "problems.csv")
    refused = ", ".join(f"{part} {share}" for part, share in document["refused"].items())
    console().print(f"refused of the model's own data: {refused}", soft_wrap=True)
    if document["foreign"]:
        columns = ("folder", "images", "refused_by_the_package", "refused_by_score", "refused", "auc")
        rows = [{name: str(one[name]) for name in columns} for one in document["foreign"]]
        console().print(table("foreign images", rows, {name: name.replace("_", " ") for name in columns}))
    console().print(f"wrote {line(document['out'])}/{document['file']}; model.toml:", soft_wrap=True)
    declared = f'file = "{document["file"]}"\nsha256 = "{document["sha256"]}"\nthreshold = {document["threshold"]}'
    console().print(f"[out_of_distribution]\n{declared}", markup=False, highlight=False, soft_wrap=True)


def tune(
    model: ModelArgument,
    data: DataOption,
    out: OutOption = None,
    device: DeviceOption = "auto",
    trials: Annotated[int, typer.Option("--trials", min=1)] = 20,
    folds: Annotated[int, typer.Option("--folds", min=2, help="Of the cross-validation by patient.")] = 3,
    epochs: Annotated[int, typer.Option("--epochs", min=0, help="Of a trial; 0: the package's own.")] = 0,
    limit: LimitOption = 0,
    as_json: JsonOption = False,
) -> None:
    """Search for settings by cross-validation, without the test cases; a study that was interrupted goes on."""
    document = _kit().tune(_where(model, data, out, None, device, limit), trials, folds, epochs)
    if as_json:
        print_json(document)
        return
    _count_problems(document, "tuning.json")
    console().print(f"best: {line(str(document['best']))}", soft_wrap=True)
    console().print(f"wrote {line(document['out'])}", soft_wrap=True)


def _kit() -> Any:
    """Imported by name and late: the node's other commands load neither torch nor a training library."""
    configure("WARNING")
    return importlib.import_module("models.kit.commands")


def _where(
    model: str,
    data: Path,
    out: Path | None,
    weights: Path | None = None,
    device: str = "auto",
    limit: int = 0,
) -> Any:
    kit = importlib.import_module("models.kit.commands")
    return kit.Where(model, data, out or Path("kit") / model, weights, device, limit)


def _show(document: dict[str, Any], key: str, columns: dict[str, str], as_json: bool) -> None:
    if as_json:
        print_json(document)
    else:
        console().print(table(key, document[key], columns))


def _count_problems(document: dict[str, Any], file: str) -> None:
    """What was passed over is never silent; there may be hundreds, so that it is not told in full."""
    problems = document.get("problems", [])
    if problems:
        console().print(f"problems {len(problems)}: {file} lists what was passed over, and why", soft_wrap=True)


def _listed(counts: dict[str, int]) -> str:
    return ", ".join(f"{name} {count}" for name, count in counts.items())
