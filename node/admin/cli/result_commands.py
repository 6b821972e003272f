"""What was written: ``ainode results ...``."""

from __future__ import annotations

from typing import Annotated, Any

import typer

from node.admin.cli.options import ConfigOption, JsonOption, LimitOption, operator, records
from node.admin.cli.output import console, line, print_json, table
from node.admin.cli.queue_commands import DELIVERY_COLUMNS, details
from node.domain.document import REJECTIONS, RejectionTitle
from node.domain.identity import require_uid

EXIT_FAILED = 1
# Of the text in the rejection note: what fits into a reader's view.
REASON_LENGTH = 256

cli = typer.Typer(help="What was written, where it came from, and whether it still holds.", no_args_is_help=True)
UidArgument = Annotated[str, typer.Argument(metavar="UID", help="Of an object, a series of results, or a study.")]
LISTED_COLUMNS = {
    "job": "job",
    "standing": "standing",
    "kind": "kind",
    "modality": "modality",
    "model": "model",
    "model_version": "version",
    "outcome": "outcome",
    "sop_instance_uid": "SOP instance",
    "study_instance_uid": "study",
    "created_at": "written",
}
OBJECT_COLUMNS = {
    "standing": "standing",
    "kind": "kind",
    "modality": "modality",
    "sop_instance_uid": "SOP instance",
    "size": "bytes",
    "sha256": "SHA-256",
}
FINDING_COLUMNS = {"check": "check", "ok": "ok", "code": "finding", "detail": "detail"}
# Parts of a result that have a table of their own, or are too long for a line.
TABLES = ("objects", "inputs", "deliveries", "checks", "pictures")


@cli.command("list")
def list_results(
    context: typer.Context,
    study: Annotated[str | None, typer.Option("--study", metavar="UID", help="Only those of this study.")] = None,
    limit: LimitOption = 100,
    config: ConfigOption = None,
    as_json: JsonOption = False,
) -> None:
    """Written objects, the newest first."""
    from node.app import provenance  # noqa: PLC0415  help needs none of it

    with records(context, config) as opened:
        found = provenance.list_results(opened, study, limit)
    if as_json:
        print_json({"results": found})
    else:
        console().print(table("results", found, LISTED_COLUMNS))


@cli.command("show")
def show(context: typer.Context, uid: UidArgument, config: ConfigOption = None, as_json: JsonOption = False) -> None:
    """Where a result came from: model, weights, inputs, parameters, software, device, times; and where it went."""
    from node.app import provenance  # noqa: PLC0415  help needs none of it

    with records(context, config) as opened:
        found = provenance.show_results(opened, require_uid(uid, "UID"))
    if as_json:
        print_json({"results": found})
        return
    for one in found:
        _print_result(one)


def _print_result(found: dict[str, Any]) -> None:
    console().print(details({key: value for key, value in found.items() if key not in TABLES}))
    console().print(table("objects", found["objects"], OBJECT_COLUMNS))
    inputs = {"sop_instance_uid": "SOP instance", "sha256": "SHA-256 of the data set"}
    console().print(table("inputs", found["inputs"], inputs))
    checks = found["checks"]
    if isinstance(checks, list) and checks:
        console().print(table("checks of the input", checks, {key: key for key in checks[0]}))
    console().print(table("deliveries", found["deliveries"], DELIVERY_COLUMNS))


@cli.command("verify")
def verify(
    context: typer.Context,
    uid: UidArgument,
    device: Annotated[
        str | None, typer.Option("--device", help="auto, cpu, cuda or cuda:1; as configured.", show_default=False)
    ] = None,
    config: ConfigOption = None,
    as_json: JsonOption = False,
) -> None:
    """Compare digests, run the model again on the same inputs and compare what it says. Exit 1: something differs."""
    from node.app import reproducing  # noqa: PLC0415  help needs none of it

    with records(context, config) as opened:
        found = reproducing.verify(opened, require_uid(uid, "UID"), device or opened.config.work.device)
    if as_json:
        print_json(found)
    else:
        console().print(table(f"job {found['job']}", found["findings"], FINDING_COLUMNS))
        console().print("the result holds" if found["ok"] else "[bold red]the result does not hold[/]")
    raise typer.Exit(0 if found["ok"] else EXIT_FAILED)


def _reason(text: str) -> str:
    """
    Raises:
        typer.BadParameter: it is empty, too long, or holds control characters.
    """
    plain = " ".join(text.split())
    if not plain or len(plain) > REASON_LENGTH or not plain.isprintable():
        raise typer.BadParameter(f"1 to {REASON_LENGTH} printable characters")
    return plain


@cli.command("withdraw")
def withdraw(
    context: typer.Context,
    uid: UidArgument,
    reason: Annotated[str, typer.Option("--reason", metavar="TEXT", help="For readers.", callback=_reason)],
    title: Annotated[RejectionTitle, typer.Option("--title", help="Why, as a code.")] = RejectionTitle.QUALITY,
    config: ConfigOption = None,
    as_json: JsonOption = False,
) -> None:
    """Reject a result: all objects of its job, at every destination that has it, by an IOCM rejection note."""
    from node.app import provenance  # noqa: PLC0415  help needs none of it

    with records(context, config) as opened:
        jobs = provenance.withdraw(opened, require_uid(uid, "UID"), operator(), reason, title)
    code = REJECTIONS[title]
    if as_json:
        print_json({"withdrawn": jobs, "title": title.value, "code": code.value})
        return
    words = f"withdrawn: {code.meaning}; the rejection note is sent where the result went"
    for job in jobs:
        console().print(f"job {job} {line(words)}", soft_wrap=True)
