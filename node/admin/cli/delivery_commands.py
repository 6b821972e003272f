"""Results on their way: ``ainode deliveries ...``."""

from __future__ import annotations

from typing import Annotated

import typer

from node.admin.cli.options import ConfigOption, JsonOption, LimitOption, records
from node.admin.cli.output import console, print_json, table
from node.admin.cli.queue_commands import DELIVERY_COLUMNS, operations, report
from node.domain.delivery import DeliveryState

cli = typer.Typer(help="Results on their way.", no_args_is_help=True)


@cli.command("list")
def list_deliveries(
    context: typer.Context,
    state: Annotated[DeliveryState | None, typer.Option("--state", help="Only deliveries in this state.")] = None,
    study: Annotated[str | None, typer.Option("--study", metavar="UID", help="Only those of this study.")] = None,
    limit: LimitOption = 100,
    config: ConfigOption = None,
    as_json: JsonOption = False,
) -> None:
    """Deliveries, the newest first."""
    with records(context, config) as opened:
        deliveries = opened.worklist.deliveries(state=state, study=study, limit=limit)
    if as_json:
        print_json({"deliveries": deliveries})
    else:
        console().print(table("deliveries", deliveries, DELIVERY_COLUMNS))


@cli.command("retry")
def retry(
    context: typer.Context,
    ids: Annotated[list[int], typer.Argument(metavar="ID...")],
    config: ConfigOption = None,
) -> None:
    """Send FAILED or CANCELED deliveries again."""
    with records(context, config) as opened:
        report("retried", operations(opened).retry_deliveries(ids))


@cli.command("release")
def release(
    context: typer.Context,
    ids: Annotated[list[int], typer.Argument(metavar="ID...")],
    config: ConfigOption = None,
) -> None:
    """Send deliveries that are held because the PACS says that the patient is another one (PatientMismatch)."""
    from node.app.patient_checking import holds  # noqa: PLC0415  other commands need none of it

    with records(context, config) as opened:
        report("released", operations(opened).release_deliveries(ids, holds(opened).release))
