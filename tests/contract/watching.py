"""What a database does while something is asked of it: the statements it really gets, their plans, what they cost.

SQLite counts the instructions of its virtual machine, PostgreSQL the rows that each node of a plan touched: neither
depends on the machine or its load.
"""

from __future__ import annotations

import contextlib
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any

from sqlalchemy import Connection, Engine, event

# SQLite reports after this many instructions.
STRIDE = 20


@dataclass
class Watched:
    """``work``: instructions or rows, of all statements together. ``scans``: tables that were read from end to end."""

    work: int = 0
    scans: list[tuple[str, str]] = field(default_factory=list)
    statements: list[str] = field(default_factory=list)


class Watch:
    """Over every connection of ``engine``."""

    def __init__(self, engine: Engine) -> None:
        self._now: Watched | None = None
        self._sqlite = engine.dialect.name == "sqlite"
        event.listen(engine, "before_cursor_execute", self._before)
        if self._sqlite:
            engine.dispose()
            event.listen(engine, "connect", lambda connection, _: connection.set_progress_handler(self._step, STRIDE))

    @contextlib.contextmanager
    def watching(self) -> Iterator[Watched]:
        self._now = watched = Watched()
        try:
            yield watched
        finally:
            self._now = None

    def _step(self) -> int:
        if self._now is not None:
            self._now.work += STRIDE
        return 0

    def _before(
        self, connection: Connection, cursor: Any, statement: str, parameters: Any, context: Any, many: bool
    ) -> None:
        watched, self._now = self._now, None
        if watched is not None:
            watched.statements.append(statement)
            if not many and statement.split(maxsplit=1)[0] in {"SELECT", "UPDATE", "DELETE", "WITH"}:
                explain = self._explain_sqlite if self._sqlite else self._explain_postgresql
                explain(watched, cursor.connection, statement, parameters)
        self._now = watched

    def _explain_sqlite(self, watched: Watched, connection: Any, statement: str, parameters: Any) -> None:
        details = [row[3] for row in connection.execute(f"EXPLAIN QUERY PLAN {statement}", parameters)]
        # Walking along a key and stopping early is no scan, unless everything is sorted before.
        walks = "LIMIT" in statement and not any("TEMP B-TREE FOR ORDER BY" in detail for detail in details)
        for words in (detail.split() for detail in details):
            # Constants, and the empty table that stands for an empty IN, are none either.
            if words[0] == "SCAN" and words[1].isidentifier() and words[1] != "CONSTANT" and not walks:
                watched.scans.append((words[1], statement))

    def _explain_postgresql(self, watched: Watched, connection: Any, statement: str, parameters: Any) -> None:
        with connection.cursor() as cursor:
            cursor.execute("SAVEPOINT watching")
            cursor.execute(f"EXPLAIN (ANALYZE, FORMAT JSON) {statement}", parameters)
            found = cursor.fetchone()[0]
            cursor.execute("ROLLBACK TO SAVEPOINT watching")
        for node in _nodes(found[0]["Plan"]):
            removed = sum(value for key, value in node.items() if key.startswith("Rows Removed"))
            watched.work += int((node["Actual Rows"] + removed) * node["Actual Loops"])
            whole = node["Node Type"] == "Index Only Scan" and "Index Cond" not in node and "Filter" not in node
            if node["Node Type"] == "Seq Scan" or whole:
                watched.scans.append((node["Relation Name"], statement))


def _nodes(plan: dict[str, Any]) -> Iterator[dict[str, Any]]:
    yield plan
    for part in plan.get("Plans", ()):
        yield from _nodes(part)
