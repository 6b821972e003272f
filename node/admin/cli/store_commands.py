"""What the node keeps: ``ainode store ...``."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Annotated, Any

import typer

from node.admin.cli.options import ConfigOption, JsonOption, records
from node.admin.cli.output import console, line, message_console, print_json, table

cli = typer.Typer(help="What the node keeps, and how much room is left.", no_args_is_help=True)

FINDING_COLUMNS = {
    "problem": "problem",
    "store": "store",
    "storage_key": "key",
    "sop_instance_uid": "SOP instance",
    "detail": "detail",
}
SEGMENT_COLUMNS = {
    "segment": "segment",
    "sealed": "sealed",
    "entries": "entries",
    "recorded": "recorded",
    "live": "kept",
    "freed": "removed",
    "live_bytes": "bytes kept",
    "bytes": "bytes",
    "changed_at": "changed",
}
GIB = 2**30


@cli.command("verify")
def verify(
    context: typer.Context,
    deep: Annotated[bool, typer.Option("--deep/--quick", help="Read every byte and compare its digest.")] = False,
    repair: Annotated[bool, typer.Option("--repair", help="Free bytes that no row names.")] = False,
    config: ConfigOption = None,
    as_json: JsonOption = False,
) -> None:
    """Compare every record with its row and every row with its bytes; the node may run. Exit 1: something is wrong."""
    from node.app import verifying  # noqa: PLC0415  other commands need none of it

    with records(context, config) as opened, _progress(as_json) as tell:
        document = verifying.verify(opened, deep, repair, tell)
    if as_json:
        print_json(document)
    else:
        _print_findings(document)
    raise typer.Exit(0 if document["ok"] else 1)


@cli.command("status")
def status(context: typer.Context, config: ConfigOption = None, as_json: JsonOption = False) -> None:
    """Room, retention, and how full each segment of the journal is."""
    from node.app import verifying  # noqa: PLC0415

    with records(context, config) as opened:
        document = verifying.status(opened)
    if as_json:
        print_json(document)
        return
    out = console()
    out.print(
        f"store: {line(document['store'])}, {document['free_bytes'] / GIB:.1f} GiB free, "
        f"watermark {document['watermark_bytes'] / GIB:.1f} GiB, {document['to_be_freed']} objects to be freed"
    )
    for what in ("images", "rows"):
        kept_s = document[f"{what}_kept_s"]
        out.print(f"{what} are kept " + ("for ever" if kept_s is None else f"{kept_s / 86400:g} days"))
    if "journal" in document:
        journal = document["journal"]
        out.print(f"journal: {journal['bytes'] / GIB:.2f} GiB, {journal['spare_segments']} spare segments")
        out.print(table("segments", journal["segments"], SEGMENT_COLUMNS))


def _print_findings(document: dict[str, Any]) -> None:
    out = console()
    for name in document["rows"]:
        out.print(f"{name}: {document['rows'][name]} rows, {document['records'][name]} objects")
    if document["waiting"]:
        out.print(f"{document['waiting']} objects came a moment ago and have no row yet")
    if document["unjudged"]:
        out.print(f"{document['unjudged']} objects without a row could not be judged: the journal is being turned over")
    if document["repaired"]:
        out.print(f"{document['repaired']} objects without a row were freed")
    out.print(table("findings", document["findings"], FINDING_COLUMNS))


@contextmanager
def _progress(quiet: bool) -> Iterator[Callable[[int], None]]:
    """A running count on a terminal."""
    out = message_console()
    if quiet or not out.is_terminal:
        yield lambda _: None
        return
    done = 0
    with out.status("looking") as shown:

        def tell(count: int) -> None:
            nonlocal done
            done += count
            shown.update(f"looked at {done}")

        yield tell
