"""Accounts of those who act on the pages: ``ainode users ...``."""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING, Annotated

import typer

from node.admin.cli.options import ConfigOption, JsonOption, operator, records
from node.admin.cli.output import console, line, print_json, table
from node.domain.audit import COMMAND_LINE

if TYPE_CHECKING:
    from node.admin.accounts import Logins
    from node.app.records import Records

LISTED_COLUMNS = {"name": "name", "created_at": "added", "disabled_at": "disabled"}

cli = typer.Typer(help="Accounts of those who act on the pages.", no_args_is_help=True)
NameArgument = Annotated[str, typer.Argument(metavar="NAME", help="Lower-case letters, digits, '.', '-' and '_'.")]


@cli.command("add")
def add(context: typer.Context, name: NameArgument, config: ConfigOption = None) -> None:
    """Add an account. Its password is asked for twice, or is the first line of what is piped in."""
    password = _password()
    with records(context, config) as opened:
        _logins(opened).add(name, password)
    console().print(f"added: {line(name)}")


@cli.command("list")
def list_accounts(context: typer.Context, config: ConfigOption = None, as_json: JsonOption = False) -> None:
    """Accounts, in the order of their names."""
    with records(context, config) as opened:
        found = [
            {"name": one.name, "created_at": one.created_at, "disabled_at": one.disabled_at}
            for one in _logins(opened).all()
        ]
    if as_json:
        print_json({"users": found})
    else:
        console().print(table("users", found, LISTED_COLUMNS, empty="there is no account: 'ainode users add NAME'"))


@cli.command("disable")
def disable(context: typer.Context, name: NameArgument, config: ConfigOption = None) -> None:
    """Disable an account, and log it out everywhere. What was done stays under its name."""
    with records(context, config) as opened:
        _logins(opened).disable(name)
    console().print(f"disabled: {line(name)}")


def _password() -> str:
    if sys.stdin.isatty():
        return str(typer.prompt("Password", hide_input=True, confirmation_prompt=True))
    return sys.stdin.readline().rstrip("\r\n")


def _logins(opened: Records) -> Logins:
    from node.app.logins import logins  # noqa: PLC0415  help needs no digests

    return logins(opened, f"{COMMAND_LINE}:{operator()}")
