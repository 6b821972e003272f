"""The job table: ``ainode queue ...``."""

from __future__ import annotations

import contextlib
import enum
import time
from collections.abc import Sequence
from typing import TYPE_CHECKING, Annotated, Any

import typer
from rich.live import Live
from rich.table import Table

from node.admin.cli.options import ConfigOption, JsonOption, LimitOption, records
from node.admin.cli.output import cell, console, finding_text, line, message_console, print_json, table
from node.admin.operations import Done, Operations
from node.domain.job import JobState, Priority

if TYPE_CHECKING:
    from node.app.records import Records

WATCH_EVERY_S = 1.0
COLUMNS = {
    "id": "job",
    "state": "state",
    "model": "model",
    "priority": "priority",
    "attempt": "attempt",
    "accession_number": "accession",
    "study_instance_uid": "study",
    "created_at": "created",
    "error_code": "error",
    "cancellation": "cancellation",
    "document": "document",
    "superseded_at": "superseded",
    "withdrawn_at": "withdrawn",
}
OBJECT_COLUMNS = {
    "modality": "modality",
    "sop_class_uid": "SOP class",
    "sop_instance_uid": "SOP instance",
    "kind": "kind",
    "size": "bytes",
    "superseded_at": "superseded",
}
DELIVERY_COLUMNS = {
    "id": "delivery",
    "state": "state",
    "destination": "destination",
    "job": "job",
    "attempt": "attempt",
    "study_instance_uid": "study",
    "updated_at": "updated",
    "read_back_at": "read back",
    "error_code": "error",
    "error": "what happened",
}

cli = typer.Typer(help="The job table.", no_args_is_help=True)
JobsArgument = Annotated[list[int], typer.Argument(metavar="JOB...")]


class PriorityName(enum.StrEnum):
    HIGH = "HIGH"
    MEDIUM = "MEDIUM"
    LOW = "LOW"


@cli.command("list")
def list_jobs(
    context: typer.Context,
    state: Annotated[JobState | None, typer.Option("--state", help="Only jobs in this state.")] = None,
    study: Annotated[str | None, typer.Option("--study", metavar="UID", help="Only jobs of this study.")] = None,
    limit: LimitOption = 100,
    config: ConfigOption = None,
    as_json: JsonOption = False,
) -> None:
    """Jobs, the newest first."""
    with records(context, config) as opened:
        jobs = opened.worklist.jobs(state=state, study=study, limit=limit)
    if as_json:
        print_json({"jobs": jobs})
    else:
        console().print(_table(jobs))


def _table(jobs: Sequence[dict[str, Any]]) -> Table:
    return table("jobs", [job | {"cancellation": _cancellation(job)} for job in jobs], COLUMNS)


def _cancellation(job: dict[str, Any]) -> str | None:
    """Of a job that runs and shall not: whoever runs it has not stopped yet."""
    return "requested" if job["cancel_requested"] else None


@cli.command("show")
def show(
    context: typer.Context,
    job: Annotated[int, typer.Argument(metavar="JOB")],
    config: ConfigOption = None,
    as_json: JsonOption = False,
) -> None:
    """One job with its result, its objects, its deliveries and its provenance."""
    with records(context, config) as opened:
        document = opened.worklist.job(job)
    if as_json:
        print_json(document)
        return
    console().print(details(_for_reading(document)))
    console().print(table("objects", document["objects"], OBJECT_COLUMNS))
    console().print(table("deliveries", document["deliveries"], DELIVERY_COLUMNS))


def _for_reading(document: dict[str, Any]) -> dict[str, Any]:
    """Findings as lines; of the inputs only how many: ``--json`` has each with its digest."""
    provenance = dict(document["provenance"] or {})
    if "inputs" in provenance:
        provenance["inputs"] = f"{len(provenance['inputs'])} instances"
    findings = "\n".join(finding_text(finding) for finding in document["findings"] or [])
    return document | {"findings": findings, "provenance": provenance}


def details(document: dict[str, Any]) -> Table:
    """Everything of a document that is not itself a table."""
    made = Table("field", "value", header_style="bold", show_header=False)
    for key, value in document.items():
        if key not in {"objects", "deliveries"}:
            made.add_row(cell(key), cell(value))
    return made


@cli.command("watch")
def watch(
    context: typer.Context,
    limit: LimitOption = 20,
    config: ConfigOption = None,
    seconds: Annotated[float | None, typer.Option("--for", help="Stop after so many seconds.", min=0.0)] = None,
    as_json: JsonOption = False,
) -> None:
    """The job table, live, until Ctrl-C; with --json as it was then, once."""
    ends = None if seconds is None else time.monotonic() + seconds
    with records(context, config) as opened:
        jobs = opened.worklist.jobs(limit=limit)
        with contextlib.nullcontext() if as_json else Live(console=console(), auto_refresh=False) as live:
            while ends is None or time.monotonic() < ends:
                if live is not None:
                    live.update(_table(jobs), refresh=True)
                try:
                    time.sleep(WATCH_EVERY_S)
                except KeyboardInterrupt:
                    break
                jobs = opened.worklist.jobs(limit=limit)
    if as_json:
        print_json({"jobs": jobs})


@cli.command("retry")
def retry(context: typer.Context, jobs: JobsArgument, config: ConfigOption = None) -> None:
    """Run FAILED or CANCELED jobs again."""
    with records(context, config) as opened:
        report("retried", operations(opened).retry_jobs(jobs))


@cli.command("cancel")
def cancel(context: typer.Context, jobs: JobsArgument, config: ConfigOption = None) -> None:
    """Cancel jobs; one that runs is stopped."""
    with records(context, config) as opened:
        report("canceled", operations(opened).cancel_jobs(jobs))


@cli.command("prioritise")
def prioritise(
    context: typer.Context,
    jobs: JobsArgument,
    priority: Annotated[PriorityName, typer.Option("--priority", help="HIGH, MEDIUM or LOW.")] = PriorityName.HIGH,
    config: ConfigOption = None,
) -> None:
    """Change the priority of jobs, and of what they still have to deliver."""
    with records(context, config) as opened:
        report("prioritised", operations(opened).prioritise_jobs(jobs, Priority[priority.value]))


@cli.command("pause")
def pause(context: typer.Context, config: ConfigOption = None) -> None:
    """No job is started any more; reception and delivery go on."""
    with records(context, config) as opened:
        operations(opened).pause()
    console().print("paused")


@cli.command("resume")
def resume(context: typer.Context, config: ConfigOption = None) -> None:
    """Jobs are started again."""
    with records(context, config) as opened:
        operations(opened).resume()
    console().print("resumed")


def operations(opened: Records) -> Operations:
    return Operations(opened.queue, opened.outbox)


def report(word: str, done: Sequence[Done]) -> None:
    """Say what became of each row; exit code 1 where one was refused."""
    for one in done:
        if one.error is None:
            console().print(f"{one.id}: {word}")
        else:
            message_console().print(f"{one.id}: [red]{one.error.code}[/]: {line(one.error.message)}", soft_wrap=True)
    raise typer.Exit(1 if any(one.error for one in done) else 0)
