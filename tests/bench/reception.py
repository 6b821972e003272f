"""``python -m tests.bench.reception``: how fast instances are received, against real peers in the same run.

Every server runs at the same time as its own process and is measured in turns, so that what the machine does besides
falls on all of them; what one has left in memory is written to disk before the next turn. A figure is the median of
the rounds. What one server has written is not deleted before the end: deleting makes the next files dearer for minutes.
"""

from __future__ import annotations

import argparse
import itertools
import json
import os
import shutil
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Sequence
from contextlib import AbstractContextManager, ExitStack
from dataclasses import dataclass
from pathlib import Path

from tests.bench import servers
from tests.bench.facts import machine_facts, write_json
from tests.bench.objects import part10, small
from tests.bench.servers import Server
from tests.peers import REPOSITORY, require_program
from tests.waiting import wait_for

# Instances for each association, by kind and number of associations.
COUNTS = {
    ("ct", 1): 300, ("ct", 4): 100, ("ct", 16): 25,
    ("small", 1): 2000, ("small", 4): 750, ("small", 16): 200,
    ("15mb", 1): 12, ("15mb", 4): 4,
    ("200mb", 1): 2,
}  # fmt: skip
SETTLE_S = 60.0
# DCMTK's storescu as shipped, small instances over one association: it leaves Nagle's algorithm on, and where the
# server does not acknowledge at once, each C-STORE takes 44 ms; so few are enough there.
AS_SHIPPED = "small x1, storescu as shipped"
AS_SHIPPED_COUNTS = {"ainode": 2000, "ainode, files": 1000, "ainode, stock path": 500, "Orthanc": 60, "storescp": 60}


@dataclass(frozen=True, slots=True)
class Figure:
    """One turn: instances per second until the last answer, and the server's CPU milliseconds per instance.

    ``complete`` is instances per second until the server's CPU came to rest: rows that follow are in the tables then.
    """

    rate: float
    complete: float
    cpu_ms: float
    sender_cpu_ms: float
    failures: int


def turn(server: Server, kind: str, associations: int, count: int, run: int) -> Figure:
    """``associations`` senders at once, ``count`` instances each."""
    senders = [_sender(server, kind, count, run + number) for number in range(associations)]
    for sender in senders:
        assert sender.stdout is not None
        assert sender.stdout.readline() == "ready\n", "a sender could not connect"
    os.sync()  # what another server has not written yet is no burden of this one
    before, begin = server.cpu_s(), time.perf_counter()
    for sender in senders:
        assert sender.stdin is not None
        sender.stdin.write("go\n")
        sender.stdin.flush()
    said = [json.loads(sender.stdout.readline()) for sender in senders if sender.stdout is not None]
    wall = time.perf_counter() - begin
    for sender in senders:
        sender.communicate(timeout=60)
    rest = _at_rest(server)
    total = sum(one["instances"] for one in said)
    return Figure(
        rate=total / wall,
        complete=total / (rest - begin),
        cpu_ms=1000 * (server.cpu_s() - before) / total,
        sender_cpu_ms=1000 * sum(one["cpu"] for one in said) / total,
        failures=sum(one["failures"] for one in said),
    )


def turn_as_shipped(server: Server, folder: Path, run: int) -> Figure:
    """The same by DCMTK's storescu; its start and its association are counted."""
    kind, count = small(), AS_SHIPPED_COUNTS[server.name]
    folder.mkdir(parents=True)
    for number in range(count):
        (folder / f"{number:05d}.dcm").write_bytes(part10(kind, run, number))
    environment = {key: value for key, value in os.environ.items() if key != "TCP_NODELAY"}
    command = [
        require_program("storescu"),
        "-aec",
        str(server.called),
        "+sd",
        "127.0.0.1",
        str(server.port),
        str(folder),
    ]
    os.sync()
    before, begin = server.cpu_s(), time.perf_counter()
    done = subprocess.run(command, env=environment, capture_output=True, text=True, check=False)
    wall = time.perf_counter() - begin
    rest = _at_rest(server)
    cpu_ms = 1000 * (server.cpu_s() - before) / count
    return Figure(count / wall, count / (rest - begin), cpu_ms, 0.0, failures=int(done.returncode != 0))


def _sender(server: Server, kind: str, count: int, run: int) -> subprocess.Popen[str]:
    called = ["--called", server.called] if server.called else []
    command = [sys.executable, "-m", "tests.bench.replay", "127.0.0.1", str(server.port), kind, str(count), str(run)]
    return subprocess.Popen(
        [*command, *called], cwd=REPOSITORY, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    )


def _at_rest(server: Server) -> float:
    """When the server last used more than a tick of CPU within 0.2 s."""
    deadline = time.perf_counter() + SETTLE_S
    last, seen = time.perf_counter(), server.cpu_s()
    while time.perf_counter() < min(deadline, last + 0.5):
        time.sleep(0.1)
        now = server.cpu_s()
        if now - seen > 0.02:
            last = time.perf_counter()
        seen = now
    return last


def measure(
    rounds: int, scale: float, cases: Sequence[tuple[str, int]], wanted: Sequence[str] = (), as_shipped: bool = True
) -> dict[str, object]:
    folder = Path(tempfile.mkdtemp(prefix="bench-reception-", dir=Path.cwd()))
    found: dict[str, dict[str, list[Figure]]] = {}

    def keep(case: str, server: Server, figure: Figure) -> None:
        found.setdefault(case, {}).setdefault(server.name, []).append(figure)
        print(f"{case:30} {server.name:30} {figure.rate:9.1f}/s {figure.cpu_ms:7.3f} ms CPU", file=sys.stderr)

    run = 1
    try:
        with ExitStack() as stack:
            chosen = [(number, start) for number, (name, start) in enumerate(PEERS) if not wanted or name in wanted]
            running = [stack.enter_context(start(folder / str(number))) for number, start in chosen]
            for server in running:
                turn(server, "small", 1, 20, run)
                run += 1
                # Segments are used again for years: the state of a node that runs, not of one that is new.
                wait_for(server.settled, f"{server.name} has written its spare segments", timeout_s=120)
            for (kind, associations), _ in itertools.product(cases, range(rounds)):
                count = max(1, round(COUNTS[kind, associations] * scale))
                for server in (one for one in running if one.associations >= associations):
                    keep(f"{kind} x{associations}", server, turn(server, kind, associations, count, run))
                    run += associations
            for number in range(rounds if as_shipped else 0):
                for server in (one for one in running if one.name in AS_SHIPPED_COUNTS):
                    files = folder / f"files-{number}-{server.port}"
                    keep(AS_SHIPPED, server, turn_as_shipped(server, files, run))
                    run += 1
    finally:
        shutil.rmtree(folder, ignore_errors=True)
    return {"machine": machine_facts(), "rounds": rounds, "cases": _summary(found)}


def _summary(found: dict[str, dict[str, list[Figure]]]) -> dict[str, dict[str, dict[str, float]]]:
    return {
        case: {
            name: {
                "per_second": round(statistics.median(one.rate for one in figures), 1),
                "lowest": round(min(one.rate for one in figures), 1),
                "highest": round(max(one.rate for one in figures), 1),
                "per_second_until_rows": round(statistics.median(one.complete for one in figures), 1),
                "server_cpu_ms": round(statistics.median(one.cpu_ms for one in figures), 3),
                "sender_cpu_ms": round(statistics.median(one.sender_cpu_ms for one in figures), 3),
                "failures": sum(one.failures for one in figures),
            }
            for name, figures in by_server.items()
        }
        for case, by_server in found.items()
    }


OURS = "ainode"
PEERS: Sequence[tuple[str, Callable[[Path], AbstractContextManager[Server]]]] = (
    (OURS, lambda folder: servers.ainode(folder, OURS, STORE__JOURNAL_SPARE_SEGMENTS="16")),
    ("ainode, files", lambda folder: servers.ainode(folder, "ainode, files", STORE__KIND="files")),
    ("ainode, stock path", lambda folder: servers.ainode(folder, "ainode, stock path", RECEIVE__FAST="false")),
    ("Orthanc", servers.orthanc),
    ("storescp", lambda folder: servers.storescp(folder, nodelay=False)),
    ("storescp +B NODELAY", lambda folder: servers.storescp(folder, "+B", nodelay=True)),
    ("storescp --fork +B NODELAY", lambda folder: servers.storescp(folder, "--fork", "+B", nodelay=True)),
    ("C limit", servers.limit),
)


def table(report: dict[str, object]) -> str:
    """Markdown: a row for each server and case, and how many times faster we are."""
    lines = ["| case | server | per second (lowest-highest) | server CPU, ms | ours is |", "|---|---|---|---|---|"]
    cases: dict[str, dict[str, dict[str, float]]] = report["cases"]  # type: ignore[assignment]
    for case, by_server in cases.items():
        ours = by_server.get(OURS, {}).get("per_second")
        for name, figures in by_server.items():
            ratio = f"{ours / figures['per_second']:.2f}x" if ours and name != OURS else ""
            lines.append(
                f"| {case} | {name} | {figures['per_second']:.0f} ({figures['lowest']:.0f}-{figures['highest']:.0f}) "
                f"| {figures['server_cpu_ms']:.2f} | {ratio} |"
            )
    return "\n".join(lines)


def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m tests.bench.reception")
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--scale", type=float, default=1.0, help="times the number of instances")
    parser.add_argument(
        "--case", action="append", default=[], metavar="KIND:ASSOCIATIONS", help="e.g. ct:4; default: all"
    )
    parser.add_argument("--server", action="append", default=[], help="only these, by name; default: all")
    parser.add_argument("--json", type=Path)
    parser.add_argument("--no-as-shipped", action="store_true", help="without DCMTK's storescu as shipped")
    arguments = parser.parse_args()
    cases = [(one.split(":")[0], int(one.split(":")[1])) for one in arguments.case] or list(COUNTS)
    report = measure(arguments.rounds, arguments.scale, cases, arguments.server, not arguments.no_as_shipped)
    if arguments.json:
        write_json(arguments.json, report)
    print(table(report))


if __name__ == "__main__":
    main()
