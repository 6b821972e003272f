"""Model packages: ``ainode models ...``."""

from __future__ import annotations

import contextlib
from dataclasses import asdict
from pathlib import Path
from typing import Annotated, Any

import typer

from node.admin.cli import kit_commands
from node.admin.cli.options import ConfigOption, JsonOption, config_path, load_config
from node.admin.cli.output import cell, console, finding_name, line, print_json, table
from node.admin.cli.queue_commands import details
from node.config import Config
from node.domain.declared import DeclaredNetwork
from node.domain.model import ModelDescription
from node.log import configure

cli = typer.Typer(help="Model packages.", no_args_is_help=True)
kit_commands.register(cli)
ModelArgument = Annotated[str, typer.Argument(metavar="ID")]


def _settings(context: typer.Context, config: Path | None) -> Config:
    """Model commands work without a site: the built-in packages need no configuration."""
    if config_path(context, config) is not None:
        return load_config(context, config)
    configure("WARNING")
    return Config()


@cli.command("list")
def list_models(context: typer.Context, config: ConfigOption = None, as_json: JsonOption = False) -> None:
    """The enabled packages, demonstrations that run only when named, and what cannot be used, with the reason."""
    from node.app.packages import scan_models  # noqa: PLC0415  other commands read no packages

    found = scan_models(_settings(context, config))
    rows: list[dict[str, Any]] = [_row(model) | {"enabled": True} for model in found.models.values()]
    rows += [_row(model) | {"enabled": False} for model in found.demonstrations.values()]
    rows += [{"id": one.package, "problem": one.error.message} for one in found.problems]
    if as_json:
        print_json({"models": rows})
    else:
        console().print(
            table(
                "models",
                rows,
                {"id": "id", "version": "version", "title": "title", "enabled": "enabled", "problem": "problem"},
            )
        )


@cli.command("show")
def show(
    context: typer.Context, model: ModelArgument, config: ConfigOption = None, as_json: JsonOption = False
) -> None:
    """What a package declares: wanted input, limits, outputs, weights."""
    from node.app.packages import find_model  # noqa: PLC0415

    document = _document(find_model(_settings(context, config), model))
    if as_json:
        print_json(document)
    else:
        console().print(details(document))


@cli.command("check")
def check(
    path: Annotated[Path, typer.Argument(metavar="PATH", help="The folder of a package.")],
    as_json: JsonOption = False,
) -> None:
    """Whether a package would run: its declaration, its weights' digest, and one inference on artificial images."""
    from node.app.checking import check_package  # noqa: PLC0415

    configure("WARNING")
    report = check_package(path)
    if as_json:
        print_json(report)
    else:
        for step in report["steps"]:
            mark = "[green]ok[/]" if step["ok"] else "[bold red]failed[/]"
            console().print(f"{mark}  {line(step['name'])}  {line(step['detail'])}", soft_wrap=True)
    raise typer.Exit(0 if report["ok"] else 1)


@cli.command("new")
def new(
    name: Annotated[str, typer.Argument(metavar="NAME", help="The package's id: small letters, digits and _.")],
    form: Annotated[
        str, typer.Option("--format", metavar="FORMAT", help="code, torchscript, onnx or monai_bundle.")
    ] = "code",
    kind: Annotated[str, typer.Option("--kind", metavar="KIND", help="What it is given: volume or image.")] = "volume",
    out: Annotated[Path, typer.Option("--out", metavar="DIR", help="The folder that the package comes into.")] = Path(),
    file: Annotated[
        Path | None, typer.Option("--file", metavar="PATH", help="The network (of a bundle: its folder); it is copied.")
    ] = None,
    as_json: JsonOption = False,
) -> None:
    """Start a package: its folder with everything in it but what only you know. Nothing is overwritten."""
    from node.app.scaffolding import FORMATS, KINDS, new_package  # noqa: PLC0415

    configure("WARNING")
    for value, known, option in ((form, FORMATS, "--format"), (kind, KINDS, "--kind")):
        if value not in known:
            raise typer.BadParameter(f"{value!r} is none of {', '.join(known)}", param_hint=option)
    folder = new_package(name, form, kind, out, file)
    files = sorted(str(path) for path in folder.rglob("*") if path.is_file())
    if as_json:
        print_json({"package": str(folder), "files": files})
        return
    for written in files:
        console().print(f"wrote {line(written)}", soft_wrap=True)
    console().print(f"what is still to fill in:  ainode models check {line(str(folder))}", soft_wrap=True)


@cli.command("predict")
def predict(
    context: typer.Context,
    model: ModelArgument,
    path: Annotated[Path, typer.Argument(metavar="PATH", exists=True, help="A DICOM file or a folder of one study.")],
    out: Annotated[Path, typer.Option("--out", metavar="DIR", help="Where the result objects go.")],
    config: ConfigOption = None,
    device: Annotated[str, typer.Option("--device", help="auto, cpu, cuda or cuda:1.")] = "auto",
    as_json: JsonOption = False,
) -> None:
    """One study from files to result objects, without network or database."""
    from node.app.predicting import predict as run  # noqa: PLC0415

    settings = _settings(context, config)
    with contextlib.nullcontext() if as_json else console().status("running the model"):
        document = run(settings, model, path, out, device)
    if as_json:
        print_json(document)
        return
    console().print(f"{line(model)} {document['model_version']}: ", cell(document["outcome"]))
    if document["reason"]:
        console().print(line(document["reason"]), soft_wrap=True)
    rows = [
        {"finding": finding_name(finding), "probability": finding["probability"], **measurement}
        for finding in document["findings"]
        for measurement in (finding["measurements"] or [{}])
    ]
    columns = {"finding": "finding", "probability": "probability", "concept": "measurement", "value": "value"}
    console().print(table("findings", rows, columns | {"unit": "unit"}))
    for written in (*document["objects"], *document["heat_maps"]):
        console().print(f"wrote {line(written)}", soft_wrap=True)


def _row(model: ModelDescription) -> dict[str, Any]:
    return {
        "id": model.id,
        "version": model.version,
        "title": model.title,
        "demonstration": model.demonstration,
        "weights_sha256": model.algorithm.weights_sha256,
        "problem": None,
    }


def _document(model: ModelDescription) -> dict[str, Any]:
    selection, limits = model.selection, model.limits
    return (
        _row(model)
        | {
            "intended_use": model.intended_use,
            "algorithm": f"{model.algorithm.name} {model.algorithm.version} ({model.algorithm.manufacturer})",
            "folder": model.folder,
            "input": {
                "modality": list(selection.modalities),
                "sop_classes": list(selection.sop_classes),
                "body_part": list(selection.body_parts),
                "body_part_may_be_absent": selection.body_part_may_be_absent,
                "description_include": list(selection.description_include),
                "description_exclude": list(selection.description_exclude),
                "field_of_view_mm": str(selection.field_of_view_mm),
            },
            "limits": {
                "orientation": list(limits.orientations),
                "slices": str(limits.slices),
                "slice_spacing_mm": str(limits.slice_spacing_mm),
                "pixel_spacing_mm": str(limits.pixel_spacing_mm),
                "patient_age_years": str(limits.patient_age_years),
                "quality": asdict(limits.quality),
            },
            "out_of_distribution": asdict(model.out_of_distribution) if model.out_of_distribution else None,
            "segments": [f"{segment.number} {segment.label}" for segment in model.segments],
            "runtime": {
                "precision": model.runtime.precision,
                "window": list(model.runtime.window) if model.runtime.window else None,
                "timeout_s": model.runtime.timeout_s,
            },
        }
        | ({} if model.declared is None else _network(model.declared))
    )


def _network(declared: DeclaredNetwork) -> dict[str, Any]:
    """What a package without code declares, its steps as the node runs them (of a bundle: as translated)."""
    before, behind = declared.preprocessing, declared.postprocessing
    return {
        "network": {"format": str(declared.format), "dimensions": declared.dimensions, "output": declared.output},
        "preprocess": asdict(before)
        | {"intensity": [{"kind": type(one).__name__} | asdict(one) for one in before.intensity]},
        "postprocess": asdict(behind)
        | {"activation": str(behind.activation), "decision": str(behind.decision)}
        | {"classes": [f"{one.concept.meaning}{' (positive)' * one.positive}" for one in behind.classes]},
    }
