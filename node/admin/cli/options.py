"""Options that many commands share, and the node's records behind them."""

from __future__ import annotations

import contextlib
import getpass
import os
import socket
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from node import config as configuration
from node.config import Config
from node.domain.audit import COMMAND_LINE
from node.log import configure

if TYPE_CHECKING:
    from node.app.records import Records

ConfigOption = Annotated[
    Path | None, typer.Option("-c", "--config", help="The configuration file.", show_default=False, metavar="PATH")
]
JsonOption = Annotated[bool, typer.Option("--json", help="Print one JSON document on stdout and nothing else there.")]
LimitOption = Annotated[int, typer.Option("--limit", min=1, help="At most so many rows.")]


def config_path(context: typer.Context, config: Path | None) -> Path | None:
    """``--config`` may stand before or after the command; the later one wins."""
    return configuration.find(config or context.find_root().obj)


def load_config(context: typer.Context, config: Path | None) -> Config:
    """
    Raises:
        ConfigurationError: every problem at once.
    """
    settings = configuration.load(config_path(context, config))
    configure(settings.log.level)
    return settings


@contextlib.contextmanager
def records(context: typer.Context, config: Path | None) -> Iterator[Records]:
    """The node's records, opened for one command."""
    from node.app.records import open_records  # noqa: PLC0415  help and usage errors need no database

    opened = open_records(load_config(context, config), actor=f"{COMMAND_LINE}:{operator()}")
    try:
        yield opened
    finally:
        opened.close()


def operator() -> str:
    """Who says so: the login name on this machine."""
    try:
        return f"{getpass.getuser()}@{socket.gethostname()}"
    except (KeyError, OSError):
        return f"{os.getuid()}@{socket.gethostname()}"
