"""``python -m tests.bench.worklist``: what a page of 100 rows costs out of 100,000 studies, and 50 open worklists.

The server time of ``GET /`` as a browser gets it, every row rendered, without the socket: wall time, and the time of
the processor, which other work on the machine does not lengthen. Views are looked at again
and again, as people do; "page after page" walks on, so that no row of it was rendered before. Beside it the database's
part alone: as the node reads it, and, in SQLite, as one would at first, by sorting and skipping what comes before
(``OFFSET``), with ``LIKE`` for words.
"""

from __future__ import annotations

import argparse
import asyncio
import os
import sqlite3
import statistics
import sys
import tempfile
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import httpx
from sqlalchemy import insert

from node import config as configuration
from node.app import web
from node.app.records import Records, open_records
from node.database.tables import study_change
from node.show.application import Web, make_web
from node.show.following import Listener
from node.show.listing import Listing
from node.show.wanted import Wanted
from tests.bench.facts import machine_facts, write_json
from tests.filling import MANY, fill, study_uid
from tests.postgres import running_postgres
from tests.webclient import WebClient

TABLES = ("study", "worklist_line", "worklist_term")
VIEWS = {
    "everything": "",
    "one modality": "modality=CT",
    "a rare modality": "modality=US",
    "one outcome": "outcome=FAILED",
    "two filters": "outcome=POSITIVE&modality=MR",
    "a common word": "q=nobody",
    "an accession number": "q=A77123",
    "the newest": "sort=age",
}
NAIVE = (
    "SELECT document FROM worklist_line WHERE document LIKE ? ORDER BY urgency, "
    "json_extract(document, '$.received_at') DESC, study_instance_uid LIMIT 100 OFFSET 50000"
)
LISTENERS = 50


def main() -> int:
    arguments = _arguments()
    with tempfile.TemporaryDirectory() as folder, _database(Path(folder), arguments.postgresql) as url:
        found = _measured(Path(folder), url, arguments.studies, arguments.times)
    for name, figures in found["pages"].items():
        sys.stdout.write(f"{name:22} " + "  ".join(f"{key} {value:7.1f}" for key, value in figures.items()) + "\n")
    naive = "" if found["naive_ms"] is None else f", naive {found['naive_ms']:.1f} ms"
    sys.stdout.write(f"database alone, by cursor {found['by_cursor_ms']:.1f} ms{naive}\n")
    sys.stdout.write(f"{LISTENERS} listeners, one change: {found['told_ms']:.2f} ms of the processor\n")
    if arguments.json is not None:
        write_json(arguments.json, found | {"machine": machine_facts()})
    return 0


@contextmanager
def _database(folder: Path, postgresql: bool) -> Iterator[str]:
    """A database for this run; its password, where it has one, is set for this process."""
    if not postgresql:
        yield f"sqlite:///{folder}/ainode.db"
        return
    with running_postgres(["fsync=off", "unix_socket_directories=", "log_min_messages=fatal"]) as server:
        os.environ["AINODE_DATABASE__PASSWORD"] = server.password
        with server.database() as name:
            yield server.url(name)


def _measured(folder: Path, url: str, studies: int, times: int) -> dict[str, Any]:
    path = folder / "ainode.toml"
    path.write_text(f'[database]\nurl = "{url}"\n', encoding="utf-8")
    records = open_records(configuration.load(path))
    try:
        fill(records.engine, studies * MANY, TABLES)
        made = make_web(web.site(records))
        with WebClient(made.application) as client:
            pages = {"page after page": _walked(client, times)}
            pages |= {name: _page(client, query, times) for name, query in VIEWS.items()}
        listing = Listing(records.engine)
        cursor = _deep(listing, studies)
        by_cursor = _figures(lambda: listing.page(Wanted(), 100, cursor), times)
        return {
            "database": records.engine.dialect.name,
            "studies": studies,
            "pages": pages,
            "by_cursor_ms": by_cursor["wall p50"],
            "naive_ms": _naive(folder / "ainode.db") if records.engine.dialect.name == "sqlite" else None,
            "told_ms": _told(records, made),
        }
    finally:
        records.close()


def _page(client: WebClient, query: str, times: int) -> dict[str, float]:
    """The first page and those behind it, in turns."""
    paths = [f"/?{query}"]
    for _ in range(4):
        paths.append(_following(client.get(paths[-1])) or paths[0])
    turns = iter(paths * times)
    return _figures(lambda: client.get(next(turns)), times)


def _walked(client: WebClient, times: int) -> dict[str, float]:
    """Every page once."""
    paths = ["/"]

    def step() -> None:
        paths.append(_following(client.get(paths[-1])) or "/")

    step()
    return _figures(step, times)


def _following(answer: httpx.Response) -> str | None:
    """The address of the next page."""
    assert answer.status_code == 200, answer.text
    before, more, _ = answer.text.partition(' rel="next"')
    return before.rpartition('href="')[2].rstrip('"').replace("&amp;", "&") if more else None


def _deep(listing: Listing, studies: int) -> str | None:
    """The cursor of a page in the middle of the order."""
    rows = listing.page(Wanted(), min(studies // 2, 5000))
    return rows.following


def _figures(call: Callable[[], object], times: int) -> dict[str, float]:
    """Milliseconds."""
    wall, cpu = [], []
    for _ in range(times):
        with _watch(wall, cpu):
            call()
    return {
        "wall p50": statistics.median(wall),
        "wall p95": _p95(wall),
        "cpu p50": statistics.median(cpu),
        "cpu p95": _p95(cpu),
    }


@contextmanager
def _watch(wall: list[float], cpu: list[float]) -> Iterator[None]:
    start, busy = time.perf_counter(), time.process_time()
    yield
    wall.append(1000 * (time.perf_counter() - start))
    cpu.append(1000 * (time.process_time() - busy))


def _p95(values: Sequence[float]) -> float:
    return sorted(values)[min(len(values) - 1, int(0.95 * len(values)))]


def _naive(database: Path) -> float:
    connection = sqlite3.connect(database)
    try:
        return _figures(lambda: connection.execute(NAIVE, ("%NOBODY%",)).fetchall(), 5)["wall p50"]
    finally:
        connection.close()


def _told(records: Records, made: Web) -> float:
    """The processor's time of a turn in which one study changed and fifty worklists are open."""
    loop = asyncio.new_event_loop()
    for _ in range(LISTENERS):
        made.follower.listen(Listener(Wanted, "en", loop))
    made.follower.turn()
    wall: list[float] = []
    cpu: list[float] = []
    for number in range(20):
        with records.engine.begin() as connection:
            connection.execute(insert(study_change).values(study_instance_uid=study_uid(100 + number)))
        with _watch(wall, cpu):
            assert made.follower.turn() == 1
    loop.close()
    return statistics.median(cpu)


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--studies", type=int, default=100_000)
    parser.add_argument("--times", type=int, default=100, help="pages of each view")
    parser.add_argument("--postgresql", action="store_true", help="a server of its own instead of SQLite")
    parser.add_argument("--json", type=Path)
    return parser.parse_args()


if __name__ == "__main__":
    sys.exit(main())
