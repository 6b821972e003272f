"""The node as a whole: demo, init, run, check, config, status, echo, doctor."""

from __future__ import annotations

import enum
from pathlib import Path
from typing import Annotated, Any

import typer
from rich.table import Table

from node import config as configuration
from node.admin import site
from node.admin.cli import demo_command, doctor_command
from node.admin.cli.options import ConfigOption, JsonOption, config_path, load_config, records
from node.admin.cli.output import cell, console, line, message_console, print_json, table
from node.errors import ConfigurationError, OperationError


class Role(enum.StrEnum):
    receive = "receive"
    work = "work"
    deliver = "deliver"
    timers = "timers"
    web = "web"


# Whether a destination's circuit is open, in words.
OPEN = {None: "unknown", False: "yes", True: "no"}

config_cli = typer.Typer(help="The effective configuration and its schema.", no_args_is_help=True)


def register(cli: typer.Typer) -> None:
    cli.command("demo")(demo_command.demo)
    cli.command("init")(init)
    cli.command("run")(run)
    cli.command("check")(check)
    cli.command("status")(status)
    cli.command("echo")(echo)
    cli.command("doctor")(doctor_command.doctor)
    cli.add_typer(config_cli, name="config")


def init(
    folder: Annotated[Path, typer.Argument(help="The folder of the new site.", metavar="DIR")],
    ae_title: Annotated[str, typer.Option(help="The node's AE title.")] = "AINODE",
    port: Annotated[int, typer.Option(min=0, max=65535, help="The port scanners send to.")] = 11112,
    pacs: Annotated[str, typer.Option(metavar="AET@HOST:PORT", help="Where results go.")] = "ORTHANC@127.0.0.1:4242",
    web_port: Annotated[int, typer.Option(min=0, max=65535, help="The port of the pages.")] = 8080,
    force: Annotated[bool, typer.Option("--force", help="Replace a configuration that is there.")] = False,
) -> None:
    """Write DIR/ainode.toml and its folders, ready to run."""
    try:
        written = site.create(folder, ae_title, port, site.parse_pacs(pacs), web_port, force)
    except ConfigurationError as error:
        # What was typed is wrong, not a configuration that exists: a usage error.
        raise typer.BadParameter(str(error)) from None
    console().print(f"wrote {line(str(written))}")
    console().print(f"start it with: ainode -c {line(str(written))} run", soft_wrap=True)


def run(
    context: typer.Context,
    config: ConfigOption = None,
    role: Annotated[list[Role] | None, typer.Option("--role", help="Only these roles; all by default.")] = None,
) -> None:
    """Run the node. SIGTERM drains it."""
    from node.app import running  # noqa: PLC0415  other commands need none of it

    path = config_path(context, config)
    settings = load_config(context, config)
    roles = tuple(dict.fromkeys(str(one) for one in role)) if role else running.ROLES
    try:
        clean = running.run(settings, path.resolve() if path else None, roles)
    except OSError as error:
        raise OperationError(
            f"cannot listen on {settings.receive.host}:{settings.receive.port}: {error.strerror}"
        ) from error
    raise typer.Exit(0 if clean else 1)


def check(context: typer.Context, config: ConfigOption = None, as_json: JsonOption = False) -> None:
    """Validate the configuration and the model packages it enables."""
    from node.app.packages import scan_models  # noqa: PLC0415

    try:
        settings = load_config(context, config)
    except ConfigurationError as error:
        if not as_json:
            raise
        print_json({"ok": False, "problems": [{"path": path, "problem": text} for path, text in error.problems]})
        raise typer.Exit(78) from None
    found = scan_models(settings)
    problems = [{"path": f"models.{one.package}", "problem": one.error.message} for one in found.problems]
    remarks = [{"path": path, "remark": text} for path, text in configuration.open_to_everybody(settings)]
    if as_json:
        print_json({"ok": not problems, "models": sorted(found.models), "problems": problems, "open": remarks})
    else:
        console().print(f"configuration: [green]ok[/], models: {line(', '.join(sorted(found.models)) or 'none')}")
        for problem in problems:
            console().print(f"  [red]{line(problem['path'])}[/]: {line(problem['problem'])}", soft_wrap=True)
        for remark in remarks:
            console().print(f"  [yellow]open: {line(remark['path'])}[/]: {line(remark['remark'])}", soft_wrap=True)
    raise typer.Exit(1 if problems else 0)


@config_cli.command("show")
def config_show(context: typer.Context, config: ConfigOption = None, as_json: JsonOption = False) -> None:
    """The effective configuration, secrets masked."""
    shown = configuration.show(load_config(context, config))
    if as_json:
        print_json(shown)
        return
    made = Table("key", "value", title="effective configuration", title_justify="left", header_style="bold")
    for key, value in _flat(shown):
        made.add_row(cell(key), cell(value))
    console().print(made)


@config_cli.command("schema")
def config_schema(as_json: JsonOption = False) -> None:
    """The JSON schema of the configuration file."""
    del as_json  # a schema is JSON either way
    print_json(configuration.schema())


def _flat(tree: Any, path: str = "") -> list[tuple[str, Any]]:
    if isinstance(tree, dict) and tree:
        return [row for key, value in tree.items() for row in _flat(value, f"{path}.{key}" if path else key)]
    if isinstance(tree, list) and tree and all(isinstance(item, dict) for item in tree):
        return [row for index, item in enumerate(tree) for row in _flat(item, f"{path}[{index}]")]
    return [(path, tree)]


def status(context: typer.Context, config: ConfigOption = None, as_json: JsonOption = False) -> None:
    """The node's state: roles, jobs, deliveries, disk, devices, models."""
    from node.app.status import node_status  # noqa: PLC0415

    with records(context, config) as opened:
        document = node_status(opened)
    if as_json:
        print_json(document)
        return
    out = console()
    out.print("state:", cell(document["state"]), f"  ainode {document['version']}")
    for reason in document["reasons"]:
        out.print(f"  - {line(reason)}", soft_wrap=True)
    roles = [{"role": name, **facts} for name, facts in document["roles"].items()]
    columns = {"role": "role", "state": "state", "processes": "processes", "heartbeat_at": "last heartbeat"}
    out.print(table("roles", roles, columns))
    out.print(table("jobs", [document["jobs"]], {key: key for key in document["jobs"]}))
    out.print(table("deliveries", [document["deliveries"]], {key: key for key in document["deliveries"]}))
    destinations = [{**one, **one["circuit"], "open": OPEN[one["circuit"]["open"]]} for one in document["destinations"]]
    columns = {"name": "name", "type": "type", "open": "answers", "since": "away since", "error_code": "error"}
    out.print(table("destinations", destinations, {**columns, "waiting": "waiting"}))
    out.print(table("models", document["models"], {"id": "id", "version": "version", "problem": "problem"}))
    disk = document["disk"]
    out.print(f"disk: {disk['free_bytes'] / 2**30:.1f} GiB free, watermark {disk['watermark_bytes'] / 2**30:.1f} GiB")


def echo(
    context: typer.Context,
    destination: Annotated[str, typer.Argument(metavar="DESTINATION")],
    config: ConfigOption = None,
    as_json: JsonOption = False,
) -> None:
    """Ask a destination whether it is there, in its own way: C-ECHO, a query, a connection, a file."""
    from node.app.destinations import destination as open_destination  # noqa: PLC0415
    from node.errors import DeliveryError  # noqa: PLC0415

    settings = load_config(context, config)
    wanted = open_destination(settings, destination)
    error: DeliveryError | None = None
    try:
        wanted.echo()
    except DeliveryError as raised:
        error = raised
    if as_json:
        print_json(
            {
                "destination": destination,
                "ok": error is None,
                "error_code": error.code if error else None,
                "error": error.message if error else None,
            }
        )
    elif error is None:
        console().print(f"{line(destination)}: [green]answers[/]")
    else:
        message_console().print(f"{line(destination)}: [red]{error.code}[/]: {line(error.message)}", soft_wrap=True)
    raise typer.Exit(1 if error else 0)
