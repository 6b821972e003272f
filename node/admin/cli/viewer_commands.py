"""The viewer beside the pages: ``ainode viewer ...``."""

from __future__ import annotations

from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from node.admin.cli.options import ConfigOption, JsonOption, load_config
from node.admin.cli.output import console, line, print_json
from node.domain.dicom_web import VIEWER

if TYPE_CHECKING:
    from node.admin.viewer.installing import ViewerFolder

cli = typer.Typer(help="The viewer (OHIF) that the node serves beside its pages.", no_args_is_help=True)
FromOption = Annotated[
    Path | None,
    typer.Option("--from", metavar="TARBALL", help="A package that 'npm pack' made elsewhere.", show_default=False),
]
ForceOption = Annotated[bool, typer.Option("--force", help="Replace what is there; take a version that was not tried.")]


@cli.command("install")
def install(
    context: typer.Context,
    tarball: FromOption = None,
    force: ForceOption = False,
    config: ConfigOption = None,
    as_json: JsonOption = False,
) -> None:
    """Have npm bring OHIF (MIT, 50 MB), and put it into the data folder (200 MB). A running node serves it at once."""
    folder = _folder(context, config)
    folder.install(tarball, force)
    _tell(folder, as_json)


@cli.command("show")
def show(context: typer.Context, config: ConfigOption = None, as_json: JsonOption = False) -> None:
    """Which viewer is installed, and where."""
    _tell(_folder(context, config), as_json)


@cli.command("remove")
def remove(context: typer.Context, config: ConfigOption = None, as_json: JsonOption = False) -> None:
    """Take the viewer away."""
    removed = _folder(context, config).remove()
    if as_json:
        print_json({"removed": removed})
    else:
        console().print("removed" if removed else "no viewer is installed")


def _tell(folder: ViewerFolder, as_json: bool) -> None:
    found = folder.installed()
    if as_json:
        told: dict[str, Any] = {"installed": found is not None, "folder": str(folder.path), "address": VIEWER}
        print_json(told | ({} if found is None else asdict(found)))
    elif found is None:
        console().print("no viewer is installed: 'ainode viewer install'")
    else:
        console().print(f"{line(found.package)} {line(found.version)} in {line(str(folder.path))}, served at {VIEWER}")
        console().print(line(found.integrity), soft_wrap=True)


def _folder(context: typer.Context, config: Path | None) -> ViewerFolder:
    from node.admin.viewer.installing import ViewerFolder  # noqa: PLC0415  help needs no archives
    from node.app.clock import SystemClock  # noqa: PLC0415

    return ViewerFolder(load_config(context, config).node.data_dir, SystemClock())
