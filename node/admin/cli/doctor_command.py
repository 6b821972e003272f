"""``ainode doctor``: a whole self-check, and what to do about each finding."""

from __future__ import annotations

from typing import Any

import typer

from node.admin.cli.options import ConfigOption, JsonOption, load_config
from node.admin.cli.output import console, line, print_json, table
from node.errors import ConfigurationError


def doctor(context: typer.Context, config: ConfigOption = None, as_json: JsonOption = False) -> None:
    """Look at everything the node needs, and say of each finding what to do. Exits with 1 where something is FAIL."""
    from node.app.doctor import finding  # noqa: PLC0415  help and usage errors need none of it

    try:
        settings = load_config(context, config)
    except ConfigurationError as error:
        _print(finding.document(finding.misconfigured(error)), as_json)
        raise typer.Exit(78) from None
    from node.app.doctor.examination import examine  # noqa: PLC0415  a wrong configuration needs none of it

    document = finding.document(examine(settings))
    _print(document, as_json)
    raise typer.Exit(0 if document["ok"] else 1)


def _print(document: dict[str, Any], as_json: bool) -> None:
    if as_json:
        print_json(document)
        return
    out = console()
    out.print(table("doctor", document["checks"], {"status": "status", "id": "check", "found": "found"}))
    todo = [one for one in document["checks"] if one["advice"]]
    for one in sorted(todo, key=lambda one: one["status"]):  # FAIL comes before WARN
        out.print(f"{one['status']} {line(one['id'])}: {line(one['advice'])}", soft_wrap=True)
    if not todo:
        out.print("[green]all good[/]")
