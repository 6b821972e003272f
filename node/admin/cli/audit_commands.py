"""The log of uses: ``ainode audit ...``."""

from __future__ import annotations

import json
from dataclasses import asdict
from typing import Annotated, Any

import typer

from node.admin.cli.options import ConfigOption, JsonOption, LimitOption, records
from node.admin.cli.output import console, line, message_console, print_json, table
from node.domain.audit import Entry

EXIT_FAILED = 1
DIGEST_LENGTH = 64
LISTED_COLUMNS = {
    "number": "number",
    "at": "at",
    "actor": "actor",
    "action": "action",
    "subject": "subject",
    "study_instance_uid": "study",
    "detail": "detail",
}

cli = typer.Typer(help="What was done, by whom: a log that shows when it was changed.", no_args_is_help=True)


@cli.command("list")
def list_entries(
    context: typer.Context, limit: LimitOption = 100, config: ConfigOption = None, as_json: JsonOption = False
) -> None:
    """Uses of the node, the newest first."""
    with records(context, config) as opened:
        entries = [_for_reading(one) for one in opened.audit.newest(limit)]
    if as_json:
        print_json({"entries": entries})
    else:
        console().print(table("uses", entries, LISTED_COLUMNS))


def _for_reading(entry: Entry) -> dict[str, Any]:
    """With its detail as a document; as it stands where somebody made it none."""
    try:
        return asdict(entry) | {"detail": json.loads(entry.detail)}
    except (ValueError, TypeError):
        return asdict(entry)


def _digest(text: str | None) -> str | None:
    """
    Raises:
        typer.BadParameter: it is no SHA-256.
    """
    plain = None if text is None else text.strip().lower()
    if plain is not None and (len(plain) != DIGEST_LENGTH or set(plain) - set("0123456789abcdef")):
        raise typer.BadParameter(f"{DIGEST_LENGTH} hexadecimal digits")
    return plain


@cli.command("verify")
def verify(
    context: typer.Context,
    head: Annotated[
        str | None,
        typer.Option(
            "--head", metavar="HASH", help="A head that was noted elsewhere: it must be in the log.", callback=_digest
        ),
    ] = None,
    config: ConfigOption = None,
    as_json: JsonOption = False,
) -> None:
    """Read the whole log and reckon every digest again. Exit 1: the first entry that is not as it was is named."""
    with records(context, config) as opened:
        found = opened.audit.verify(head)
    if as_json:
        print_json({"ok": found.broken is None, **asdict(found)})
    elif found.broken is not None:
        words = f"[bold red]the log is broken[/] at entry {found.broken.number}: {line(found.broken.problem)}"
        message_console().print(words, soft_wrap=True)
    else:
        assert found.head is not None
        console().print(f"the log is whole: {found.entries} entries, head {found.head.digest}", soft_wrap=True)
        if found.noted_at is not None:
            console().print(f"the head that was noted is entry {found.noted_at}", soft_wrap=True)
    raise typer.Exit(0 if found.broken is None else EXIT_FAILED)
