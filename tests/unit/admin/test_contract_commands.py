"""Every command that users rely on is there, with its arguments and options by name."""

from __future__ import annotations

from typing import Any

import pytest
import typer.main

from node.admin.cli.node_commands import Role
from node.admin.cli.root import cli

ROOT: Any = typer.main.get_command(cli)
READS = {"--json", "--config"}
# Command: the arguments in their order, and the options that it must have.
COMMANDS: dict[str, tuple[list[str], set[str]]] = {
    "demo": (["[PATH]..."], {"--model", "--keep", "--json"}),
    "init": (["DIR"], {"--ae-title", "--port", "--pacs", "--web-port", "--force"}),
    "run": ([], {"--role", "--config"}),
    "check": ([], READS),
    "config show": ([], READS),
    "config schema": ([], {"--json"}),
    "status": ([], READS),
    "queue list": ([], {"--state", "--study", "--limit", *READS}),
    "queue show": (["JOB"], READS),
    "queue watch": ([], READS),
    "queue retry": (["JOB..."], {"--config"}),
    "queue cancel": (["JOB..."], {"--config"}),
    "queue prioritise": (["JOB..."], {"--config"}),
    "queue pause": ([], {"--config"}),
    "queue resume": ([], {"--config"}),
    "deliveries list": ([], READS),
    "deliveries retry": (["ID..."], {"--config"}),
    "studies list": ([], READS),
    "studies show": (["STUDY_UID"], READS),
    "studies reprocess": (["STUDY_UID"], {"--model", "--config"}),
    "why": (["STUDY_UID|ACCESSION"], READS),
    "wait": (["STUDY_UID"], {"--timeout", "--config"}),
    "models list": ([], READS),
    "models show": (["ID"], READS),
    "models check": (["PATH"], {"--json"}),
    "models new": (["NAME"], set()),
    "models predict": (["ID", "PATH"], {"--out", "--json"}),
    "models prepare": (["ID"], {"--data", "--out"}),
    "models train": (["ID"], {"--data", "--out"}),
    "models evaluate": (["ID"], {"--data", "--out"}),
    "models explain": (["ID"], {"--data", "--out"}),
    "echo": (["DESTINATION"], READS),
    "doctor": ([], READS),
    "users add": (["NAME"], {"--config"}),
    "users list": ([], READS),
    "users disable": (["NAME"], {"--config"}),
    "fetch": (["ACCESSION|STUDY_UID"], {"--config"}),
    "backfill": ([], {"--from", "--to", "--config"}),
}


def found(words: str) -> Any:
    command: Any = ROOT
    for word in words.split():
        assert word in command.commands, f"there is no ainode {words}"
        command = command.commands[word]
    return command


@pytest.mark.parametrize("words", COMMANDS)
def test_a_command_with_its_arguments_and_options(words: str) -> None:
    arguments, options = COMMANDS[words]
    command = found(words)
    assert command.help, "every command says what it does"
    given = [one.metavar for one in command.params if one.param_type_name == "argument"]
    named = {name for one in command.params if one.param_type_name == "option" for name in one.opts}
    assert given == arguments
    assert options - named == set()
    assert ("--config" in named) == ("-c" in named)


def test_the_configuration_may_stand_before_the_command() -> None:
    assert {"-c", "--config"} <= {name for one in ROOT.params for name in one.opts}


def test_the_roles_have_their_names() -> None:
    assert [one.value for one in Role] == ["receive", "work", "deliver", "timers", "web"]
