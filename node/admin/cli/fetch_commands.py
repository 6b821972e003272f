"""Studies from archives: ``ainode fetch`` and ``ainode backfill``."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from datetime import datetime
from typing import TYPE_CHECKING, Annotated, Any

import typer

from node.admin.cli.options import ConfigOption, JsonOption, records
from node.admin.cli.output import console, line, message_console, print_json, table

if TYPE_CHECKING:
    from node.app.backfill import Progress
    from node.app.fetching import Fetched
    from node.app.records import Records

EXIT_FAILED = 1
EXIT_TIMED_OUT = 3
POLL_S = 0.25
COLUMNS = {
    "study_instance_uid": "study",
    "accession_number": "accession",
    "source": "from",
    "state": "state",
    "instances": "instances",
    "outcome": "outcome",
    "error": "error",
}
SourceOption = Annotated[str | None, typer.Option("--source", metavar="NAME", help="Only from this source.")]
DATES = ["%Y-%m-%d", "%Y%m%d"]


def register(cli: typer.Typer) -> None:
    cli.command("fetch")(fetch)
    cli.command("backfill")(backfill)


def fetch(
    context: typer.Context,
    study: Annotated[str, typer.Argument(metavar="ACCESSION|STUDY_UID")],
    source: SourceOption = None,
    timeout: Annotated[
        float, typer.Option("--timeout", min=0.0, metavar="S", help="Seconds until it is routed.")
    ] = 600.0,
    config: ConfigOption = None,
    as_json: JsonOption = False,
) -> None:
    """Fetch a study from an archive; it is then routed like any study that came. 1: it did not come, 3: timed out."""
    from node.app import fetching  # noqa: PLC0415  other commands need no network

    deadline = time.monotonic() + timeout
    with records(context, config) as opened:
        made = fetching.fetching(opened, source)
        done = [made.fetch(archive, found) for archive, found in made.look_up(study)]
        came = [one for one in done if one.error is None]
        waiting = [one for one in came if not fetching.is_routed(opened, one)]
        while waiting and time.monotonic() < deadline:
            time.sleep(POLL_S)
            waiting = [one for one in waiting if not fetching.is_routed(opened, one)]
        rows = [_row(opened, one, one in waiting) for one in done]
    code = EXIT_FAILED if len(came) < len(done) else EXIT_TIMED_OUT if waiting else 0
    if as_json:
        print_json({"studies": rows, "ok": code == 0})
    else:
        console().print(table("fetched", rows, COLUMNS))
        if waiting:
            message_console().print("it is not routed yet: does the node run? ainode why says what it waits for")
    raise typer.Exit(code)


def _row(opened: Records, one: Fetched, waiting: bool) -> dict[str, Any]:
    """What became of it; the outcome of each model once it is routed."""
    uid = one.study.study_instance_uid
    about = {} if one.error or waiting else opened.worklist.study(uid)
    return {
        "study_instance_uid": uid,
        "accession_number": one.study.accession_number,
        "source": one.source,
        "state": one.state.value,
        "instances": one.expected,
        "study_state": about.get("state"),
        "outcome": about.get("outcome", {}),
        "error_code": one.error.code if one.error else None,
        "error": one.error.message if one.error else None,
    }


def backfill(
    context: typer.Context,
    first: Annotated[datetime, typer.Option("--from", formats=DATES, metavar="DATE", help="First Study Date.")],
    last: Annotated[datetime, typer.Option("--to", formats=DATES, metavar="DATE", help="Last Study Date, included.")],
    modality: Annotated[str, typer.Option("--modality", metavar="M", help="Only studies with this modality.")] = "",
    limit: Annotated[int | None, typer.Option("--limit", min=1, help="At most so many studies in this run.")] = None,
    rate: Annotated[str, typer.Option("--rate", metavar="N/min", help="At most so many studies a minute.")] = "",
    source: SourceOption = None,
    config: ConfigOption = None,
    as_json: JsonOption = False,
) -> None:
    """Fetch many studies, the oldest day first. Stop it at any time; the same command goes on. 1: something failed."""
    from node.app import backfill as app  # noqa: PLC0415  other commands need no network
    from node.app import fetching  # noqa: PLC0415

    if last < first:
        raise typer.BadParameter("--to lies before --from")
    pace = app.Pace(_per_minute(rate))
    wanted = app.Range(first.date(), last.date(), modality)
    with records(context, config) as opened, _progress(wanted, as_json) as tell:
        done = app.backfill(fetching.fetching(opened, source), wanted, pace, limit, tell)
    document = {
        "from": wanted.first.isoformat(),
        "to": wanted.last.isoformat(),
        "studies": done.found,
        "fetched": done.fetched,
        "skipped": done.skipped,
        "limited": done.limited,
        "given_up": done.given_up,
        "failed": [_failure(one.study.study_instance_uid, one.error) for one in done.failed],
        "days_failed": [
            {"day": day, "error_code": error.code, "error": error.message} for day, error in done.days_failed
        ],
        "ok": done.ok,
    }
    if as_json:
        print_json(document)
    else:
        _print_backfill(document)
    raise typer.Exit(0 if done.ok else EXIT_FAILED)


def _failure(study_instance_uid: str, error: Any) -> dict[str, Any]:
    return {"study_instance_uid": study_instance_uid, "error_code": error.code, "error": error.message}


def _print_backfill(document: dict[str, Any]) -> None:
    out = console()
    more = " (there are more: --limit)" if document["limited"] else ""
    out.print(f"{document['studies']} studies: {document['fetched']} fetched, {document['skipped']} here before{more}")
    for name, columns in (
        ("failed", {"study_instance_uid": "study", "error_code": "error", "error": "why"}),
        ("days_failed", {"day": "day", "error_code": "error", "error": "why"}),
    ):
        if document[name]:
            out.print(table(name.replace("_", " "), document[name], columns))
    if document["given_up"]:
        out.print("given up: the archive failed several times in a row; the same command goes on where it was")


def _per_minute(rate: str) -> float | None:
    """
    Raises:
        typer.BadParameter: it is no number of studies a minute.
    """
    if not rate:
        return None
    try:
        number = float(rate.removesuffix("/min"))
    except ValueError:
        number = 0.0
    if not 0.0 < number < float("inf"):
        raise typer.BadParameter("--rate is a number of studies a minute, for example 30/min")
    return number


@contextmanager
def _progress(wanted: Any, quiet: bool) -> Iterator[Callable[[str, Progress], None]]:
    """A bar on a terminal, by days; nothing where nobody looks."""
    from rich.progress import Progress as Bar  # noqa: PLC0415

    out = message_console()
    if quiet or not out.is_terminal:
        yield lambda day, progress: None
        return
    days: Sequence[str] = list(wanted.days())
    with Bar(console=out) as bar:
        task = bar.add_task("backfill", total=len(days))
        yield lambda day, progress: bar.update(
            task,
            completed=days.index(day),
            description=line(f"{day}: {progress.fetched} fetched, {progress.skipped} here"),
        )
