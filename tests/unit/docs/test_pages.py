"""The pages say what the code does: commands, state machines, folders, links."""

from __future__ import annotations

import re
from enum import StrEnum
from pathlib import Path

import pytest
import typer.main
from click import Command

from node.admin.cli.root import cli
from node.domain.delivery import DELIVERY_TRANSITIONS
from node.domain.job import JOB_TRANSITIONS
from node.domain.study import SeriesState
from tests.peers import REPOSITORY

PAGES = sorted(
    [*REPOSITORY.glob("*.md"), *(REPOSITORY / "docs").rglob("*.md")],
    key=lambda path: path.relative_to(REPOSITORY).as_posix(),
)
LINK = re.compile(r"\]\((?!https?://)([^)#]+)(?:#[^)]*)?\)")
STATE_ROW = re.compile(r"^\| ([A-Z_]+) \|([A-Z_, ]*)\|", re.MULTILINE)


def page(name: str) -> str:
    return (REPOSITORY / name).read_text(encoding="utf-8")


def command_tree() -> set[str]:
    """Every command as words: ``queue list``."""

    def below(command: Command, name: str) -> set[str]:
        inner: dict[str, Command] = getattr(command, "commands", {})
        if not inner:
            return {name}
        return {path for word, one in inner.items() for path in below(one, f"{name} {word}".strip())}

    return below(typer.main.get_command(cli), "")


def test_the_readme_lists_the_commands_that_exist() -> None:
    listed = set()
    for cell in re.findall(r"^\| (`ainode [^|]*) \|", page("README.md"), re.MULTILINE):
        quoted = [words.removeprefix("ainode ") for words in re.findall(r"`([^`]+)`", cell)]
        noun = quoted[0].split()[0]
        listed |= {
            words if index == 0 or "ainode " + words in cell else f"{noun} {words}"
            for index, words in enumerate(quoted)
        }
    assert listed == command_tree()


def transitions_in(heading: str) -> dict[str, set[str]]:
    section = page("docs/architecture.md").split(f"**{heading}", 1)[1].split("\n**", 1)[0].split("\n## ", 1)[0]
    return {state: set(after.replace(",", " ").split()) for state, after in STATE_ROW.findall(section)}


@pytest.mark.parametrize(
    ("heading", "transitions"),
    [
        ("Job**", JOB_TRANSITIONS),
        ("Delivery**", DELIVERY_TRANSITIONS),
        (
            "Series.**",
            {SeriesState.RECEIVING: {SeriesState.CLOSED}, SeriesState.CLOSED: {SeriesState.RECEIVING}},
        ),
    ],
)
def test_the_state_machines_are_those_of_the_code(heading: str, transitions: dict[StrEnum, set[StrEnum]]) -> None:
    assert transitions_in(heading) == {str(state): {str(one) for one in after} for state, after in transitions.items()}


def test_every_folder_of_the_node_is_on_the_page() -> None:
    folders = {path.parent.name for path in (REPOSITORY / "node").glob("*/__init__.py")}
    assert {name for name in folders if f"`{name}/`" not in page("docs/architecture.md")} == set()


@pytest.mark.parametrize("path", PAGES, ids=lambda path: path.relative_to(REPOSITORY).as_posix())
def test_links_between_pages_lead_somewhere(path: Path) -> None:
    broken = [link for link in LINK.findall(path.read_text(encoding="utf-8")) if not (path.parent / link).exists()]
    assert broken == []


def test_decisions_are_numbered_without_gaps() -> None:
    numbers = [int(path.name[:4]) for path in sorted((REPOSITORY / "docs" / "adr").glob("*.md"))]
    assert numbers == list(range(1, len(numbers) + 1))
