"""What results are held to, line by line, with the tests that show it; the table of it in docs/conformance.md.

``python -m tests.conformance.lines PAGE`` writes that table into the page; ``test_lines`` holds it to be true.
"""

from __future__ import annotations

import ast
import re
import sys
import tomllib
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from node.app.conformance import fill
from tests.peers import REPOSITORY

LIST = Path(__file__).with_name("lines.toml")
TABLE = "lines"
TESTS = REPOSITORY / "tests"
_NUMBERED = re.compile(r"^test_((a\d\d|b\d\d|b_h\d)_)?")


@dataclass(frozen=True, slots=True)
class Line:
    """``tests`` are ``path::function``, the path from ``tests/``."""

    id: str
    says: str
    tests: tuple[str, ...]


def lines() -> list[Line]:
    """In the order of the list."""
    listed = tomllib.loads(LIST.read_text(encoding="utf-8"))["line"]
    return [Line(one["id"], one["says"], tuple(one["tests"])) for one in listed]


def functions_of(path: str) -> set[str]:
    """The tests of a file, without running it."""
    tree = ast.parse((TESTS / path).read_text(encoding="utf-8"))
    return {one.name for one in tree.body if isinstance(one, ast.FunctionDef)}


def table() -> str:
    rows = ["| line | what it says | shown by |", "|---|---|---|"]
    rows += [f"| {one.id} | {one.says} | {_tests(one.tests)} |" for one in lines()]
    return "\n".join(rows)


def _tests(names: Sequence[str]) -> str:
    """Each with the file that it stands in, whose name says the rest."""
    return "; ".join(f"`{path}`: {_words(function)}" for path, function in (name.split("::") for name in names))


def _words(function: str) -> str:
    """Without the line that it may be called after."""
    return _NUMBERED.sub("", function).replace("_", " ")


def main(page: Path) -> None:
    """Write the table into a page."""
    page.write_text(fill(page.read_text(encoding="utf-8"), {TABLE: table()}), encoding="utf-8")


if __name__ == "__main__":
    main(Path(sys.argv[1]))
