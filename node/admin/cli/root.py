"""The root of the command line: global options, the commands, and what an error becomes."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Annotated

import typer

from node import __version__
from node.admin.cli import (
    assess_commands,
    audit_commands,
    delivery_commands,
    fetch_commands,
    model_commands,
    node_commands,
    queue_commands,
    result_commands,
    store_commands,
    study_commands,
    user_commands,
    viewer_commands,
)
from node.admin.cli.output import line, message_console
from node.errors import AinodeError, ConfigurationError

EXIT_FAILED = 1
EXIT_CONFIGURATION = 78

cli = typer.Typer(
    name="ainode",
    help="A DICOM node that puts AI into a hospital's image traffic.",
    no_args_is_help=True,
    pretty_exceptions_enable=False,
    context_settings={"help_option_names": ["-h", "--help"]},
)


def _version(wanted: bool) -> None:
    if wanted:
        typer.echo(f"ainode {__version__}")
        raise typer.Exit


@cli.callback()
def _root(
    context: typer.Context,
    config: Annotated[
        Path | None, typer.Option("-c", "--config", help="The configuration file.", show_default=False, metavar="PATH")
    ] = None,
    _show_version: Annotated[bool, typer.Option("--version", callback=_version, is_eager=True)] = False,
) -> None:
    context.obj = config


node_commands.register(cli)
study_commands.register(cli)
fetch_commands.register(cli)
cli.add_typer(queue_commands.cli, name="queue")
cli.add_typer(delivery_commands.cli, name="deliveries")
assess_commands.register(result_commands.cli)
cli.add_typer(result_commands.cli, name="results")
cli.add_typer(model_commands.cli, name="models")
cli.add_typer(store_commands.cli, name="store")
cli.add_typer(user_commands.cli, name="users")
cli.add_typer(viewer_commands.cli, name="viewer")
cli.add_typer(audit_commands.cli, name="audit")


def main() -> None:
    """Exit codes: 0 done, 1 failed, 2 usage, 3 timed out, 78 configuration error."""
    try:
        cli()
    except ConfigurationError as error:
        console = message_console()
        console.print("[bold red]configuration error[/]")
        for path, problem in error.problems:
            console.print(f"  {line(path)}: {line(problem)}", soft_wrap=True)
        sys.exit(EXIT_CONFIGURATION)
    except AinodeError as error:
        message_console().print(f"[bold red]{error.code}[/]: {line(error.message)}", soft_wrap=True)
        sys.exit(EXIT_FAILED)
