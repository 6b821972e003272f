"""``ainode demo``: the main job, shown."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any

import typer
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TaskID, TextColumn, TimeElapsedColumn

from node.admin.cli.options import JsonOption
from node.admin.cli.output import console, finding_text, line, message_console, print_json, table
from node.log import configure


def demo(
    paths: Annotated[
        list[Path] | None,
        typer.Argument(metavar="[PATH]...", exists=True, help="DICOM files or folders; built-in studies by default."),
    ] = None,
    model: Annotated[str | None, typer.Option("--model", metavar="ID", help="Only this model.")] = None,
    keep: Annotated[Path | None, typer.Option("--keep", metavar="DIR", help="Keep site and result objects.")] = None,
    as_json: JsonOption = False,
) -> None:
    """Run the main job here: the node, an embedded PACS, studies in, results confirmed in the PACS."""
    from node.demo.main_job import demonstrate  # noqa: PLC0415  other commands start no PACS

    configure("ERROR")
    with Progress(
        TextColumn("{task.description}"),
        BarColumn(),
        MofNCompleteColumn(),
        TimeElapsedColumn(),
        console=message_console(),
        disable=as_json,
    ) as bars:
        shown = demonstrate(paths or (), model, keep, _Steps(bars))
    if as_json:
        print_json(shown.document)
    else:
        _print(shown.document, shown.folder)
    raise typer.Exit(0 if shown.document["ok"] else 1)


class _Steps:
    """One bar for each step, made when it begins."""

    def __init__(self, bars: Progress) -> None:
        self._bars = bars
        self._tasks: dict[str, TaskID] = {}

    def __call__(self, step: str, done: int, of: int) -> None:
        if step not in self._tasks:
            self._tasks[step] = self._bars.add_task(step, total=of)
        self._bars.update(self._tasks[step], completed=done, total=of)


def _print(document: dict[str, Any], folder: Path | None) -> None:
    rows = [
        row
        | {
            "findings": [finding_text(finding) for finding in row["findings"]] or row["reason"],
            "objects": [
                f"{one['modality']} {'committed' if one['committed'] else 'NOT CONFIRMED'}" for one in row["objects"]
            ],
        }
        for row in document["studies"]
    ]
    columns = {
        "study_instance_uid": "study",
        "model": "model",
        "outcome": "outcome",
        "findings": "findings, or why there are none",
        "objects": "in the PACS",
        "last_image_to_result_s": "seconds",
    }
    out = console()
    out.print(table("studies", rows, columns))
    for problem in document["problems"]:
        out.print(f"not sent: {line(problem['path'])}: {line(problem['reason'])}", soft_wrap=True)
    for row in document["studies"]:
        for one in row["objects"]:
            if folder is not None and one["path"]:
                out.print(f"kept: {line(one['path'])}", soft_wrap=True)
    if document["ok"]:
        out.print("[green]every expected result is confirmed in the PACS[/]")
    else:
        out.print("[bold red]not every expected result is confirmed in the PACS[/]")
    out.print("AI results, not verified. Not for primary diagnosis.", style="dim")
