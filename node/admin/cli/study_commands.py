"""What was received: ``ainode studies ...``, ``why`` and ``wait``."""

from __future__ import annotations

import time
from collections.abc import Sequence
from typing import Annotated, Any

import typer

from node.admin.cli.options import ConfigOption, JsonOption, LimitOption, operator, records
from node.admin.cli.output import console, line, message_console, print_json, table
from node.admin.cli.queue_commands import COLUMNS as JOB_COLUMNS
from node.admin.cli.queue_commands import DELIVERY_COLUMNS, OBJECT_COLUMNS, details, operations
from node.domain.identity import require_uid

EXIT_FAILED = 1
EXIT_TIMED_OUT = 3
POLL_S = 0.25

studies_cli = typer.Typer(help="What was received.", no_args_is_help=True)
SERIES_COLUMNS = {
    "series_instance_uid": "series",
    "modality": "modality",
    "series_description": "description",
    "instances": "instances",
    "state": "state",
    "revision": "revision",
}
# The tables of a study, in the order in which things happen.
PARTS = {
    "series": SERIES_COLUMNS,
    "jobs": JOB_COLUMNS,
    "results": OBJECT_COLUMNS,
    "deliveries": DELIVERY_COLUMNS,
    "alerts": {"kind": "alert", "subject": "about", "raised_at": "at", "detail": "detail"},
}
StudyArgument = Annotated[str, typer.Argument(metavar="STUDY_UID")]


def register(cli: typer.Typer) -> None:
    cli.add_typer(studies_cli, name="studies")
    cli.command("why")(why)
    cli.command("wait")(wait)


@studies_cli.command("list")
def list_studies(
    context: typer.Context, limit: LimitOption = 100, config: ConfigOption = None, as_json: JsonOption = False
) -> None:
    """Studies, the newest first, with the outcome of each model."""
    with records(context, config) as opened:
        studies = opened.worklist.studies(limit=limit)
    if as_json:
        print_json({"studies": studies})
        return
    columns = {
        "study_instance_uid": "study",
        "accession_number": "accession",
        "series": "series",
        "instances": "instances",
        "state": "state",
        "outcome": "outcome",
        "received_at": "received",
    }
    console().print(table("studies", studies, columns))


@studies_cli.command("show")
def show(
    context: typer.Context, study: StudyArgument, config: ConfigOption = None, as_json: JsonOption = False
) -> None:
    """One study: its series, jobs, results and deliveries."""
    with records(context, config) as opened:
        document = opened.worklist.study(study)
    if as_json:
        print_json(document)
        return
    console().print(details({key: value for key, value in document.items() if key not in PARTS}))
    for part, columns in PARTS.items():
        if part in document:
            console().print(table(part, document[part], columns))


@studies_cli.command("reprocess")
def reprocess(
    context: typer.Context,
    study: StudyArgument,
    model: Annotated[str | None, typer.Option("--model", metavar="ID", help="Only this model.")] = None,
    config: ConfigOption = None,
    as_json: JsonOption = False,
) -> None:
    """Judge a study's closed series again and run what is admitted, as new jobs."""
    from node.app import packages, routing  # noqa: PLC0415  other commands read no packages

    with records(context, config) as opened:
        models = packages.open_models(opened.config)
        series = opened.worklist.series_ids(require_uid(study, "STUDY_UID"))
        done = routing.reprocess(opened, models)(series, model)
    rows = [
        {
            "series_instance_uid": one.series_instance_uid,
            "model": one.admission.model,
            "verdict": one.admission.verdict,
            "job": one.job,
        }
        for one in done
    ]
    if as_json:
        print_json({"reprocessed": rows})
    else:
        columns = {"series_instance_uid": "series", "model": "model", "verdict": "verdict", "job": "job"}
        console().print(table("reprocessed", rows, columns))


@studies_cli.command("complete")
def complete(
    context: typer.Context,
    study: StudyArgument,
    series: Annotated[str | None, typer.Option("--series", metavar="UID", help="Only this series.")] = None,
    config: ConfigOption = None,
    as_json: JsonOption = False,
) -> None:
    """Say that nothing more will come: close what is still being received, now, and make its jobs."""
    from node.app import packages, routing  # noqa: PLC0415  other commands read no packages

    with records(context, config) as opened:
        models = packages.open_models(opened.config)
        waiting = opened.worklist.receiving(require_uid(study, "STUDY_UID"), series)
        closer = routing.series_closer(opened, models)
        done = operations(opened).complete_series(list(waiting), lambda one: closer.complete(one, operator()))
    rows = [
        {"series_instance_uid": waiting[one.id], "error_code": None if one.error is None else one.error.code}
        for one in done
    ]
    if as_json:
        print_json({"completed": rows})
    else:
        columns = {"series_instance_uid": "series", "error_code": "error"}
        console().print(table("completed", rows, columns, empty="nothing of it is still being received"))
    raise typer.Exit(EXIT_FAILED if any(one.error for one in done) else 0)


def why(
    context: typer.Context,
    study: Annotated[str, typer.Argument(metavar="STUDY_UID|ACCESSION")],
    config: ConfigOption = None,
    as_json: JsonOption = False,
) -> None:
    """Why each model did or did not look at each series: every condition, found and wanted."""
    with records(context, config) as opened:
        document = opened.worklist.why(study)
    if as_json:
        print_json(document)
        return
    for one in document["studies"]:
        _print_why(one)


def _print_why(study: dict[str, Any]) -> None:
    out = console()
    out.print(f"[bold]study {line(study['study_instance_uid'])}[/]", soft_wrap=True)
    for series in study["series"]:
        out.print(
            f"\n[bold]series[/] {line(series['series_instance_uid'])}  {line(series.get('modality') or '')} "
            f"{line(series.get('series_description') or '')}, {series['instances']} instances, {line(series['state'])}",
            soft_wrap=True,
        )
        completeness = series["completeness"]
        for earlier in completeness["earlier"]:
            out.print(f"  revision {earlier['revision']} was complete: {line(earlier['reason'])}", soft_wrap=True)
            _print_sentences(earlier["words"])
        out.print(f"  complete: {line(str(completeness['reason'] or 'not yet'))}", soft_wrap=True)
        _print_sentences(completeness["words"])
        for admission in series["models"]:
            columns = {"kind": "kind", "name": "condition", "wanted": "wanted", "found": "found", "met": "met"}
            heading = f"  {admission['model']} {admission['model_version']}: {admission['verdict']}"
            out.print(table(line(heading), admission["conditions"], columns))
    for job in study["jobs"]:
        if job["priors_state"] is not None:
            reason = (job["priors"] or {}).get("reason") or ""
            out.print(f"\njob {job['id']}: earlier studies {job['priors_state']} {line(reason)}", soft_wrap=True)
    for part in ("jobs", "deliveries", "alerts"):
        if study[part]:
            out.print(table(part, study[part], PARTS[part]))


def _print_sentences(sentences: Sequence[str]) -> None:
    for sentence in sentences:
        console().print(f"    {line(sentence)}", soft_wrap=True)


def wait(
    context: typer.Context,
    study: StudyArgument,
    timeout: Annotated[float, typer.Option("--timeout", min=0.0, metavar="S", help="Seconds.")] = 600.0,
    config: ConfigOption = None,
    as_json: JsonOption = False,
) -> None:
    """Return when everything about the study is final: 0 all delivered, 1 something failed, 3 timed out."""
    uid = require_uid(study, "STUDY_UID")
    deadline = time.monotonic() + timeout
    with records(context, config) as opened:
        while True:
            finality = opened.worklist.finality(uid)
            if finality.final or time.monotonic() >= deadline:
                break
            time.sleep(POLL_S)
    code = (EXIT_FAILED if finality.failed else 0) if finality.final else EXIT_TIMED_OUT
    if as_json:
        print_json({"study_instance_uid": uid, "final": finality.final, "failed": finality.failed})
    elif not finality.known:
        message_console().print(f"no image of study {line(uid)} has arrived", soft_wrap=True)
    else:
        words = {0: "everything is final and delivered", EXIT_FAILED: "final, but something failed: ainode why"}
        console().print(words.get(code, "timed out: ainode why says what it waits for"))
    raise typer.Exit(code)
