"""Events of the log are spelt in one way, so that they can be found: what it is about, a dot, what happened."""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator
from pathlib import Path

import node

EVENT = re.compile(r"[a-z]+(_[a-z]+)*(\.[a-z]+(_[a-z]+)*)+")
# What users wait for.
AGREED = {"ready"}
LEVELS = {"debug", "info", "warning", "error", "exception", "critical"}
SOURCES = sorted(Path(node.__file__).parent.rglob("*.py"))


def told(tree: ast.AST) -> Iterator[ast.expr]:
    """The first argument of every call of a logger."""
    for call in ast.walk(tree):
        if isinstance(call, ast.Call) and isinstance(call.func, ast.Attribute) and call.func.attr in LEVELS:
            owner = ast.unparse(call.func.value).rpartition(".")[2]
            if owner in {"log", "_log"} and call.args:
                yield call.args[0]


def test_every_event_is_spelt_in_one_way() -> None:
    wrong, count = [], 0
    for path in SOURCES:
        for event in told(ast.parse(path.read_text(encoding="utf-8"))):
            count += 1
            # A name of an event that is chosen by a condition is looked at in its parts.
            parts = [one for one in ast.walk(event) if isinstance(one, ast.Constant) and isinstance(one.value, str)]
            if not parts or not all(EVENT.fullmatch(one.value) or one.value in AGREED for one in parts):
                wrong.append(f"{path.name}:{event.lineno}: {ast.unparse(event)}")
    assert count > 50, "the loggers are found"
    assert wrong == []
