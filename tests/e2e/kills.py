"""A node that is killed on purpose: its processes by their part, SIGKILL for one of them or for all at once."""

from __future__ import annotations

import contextlib
import json
import os
import random
import signal
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from tests.e2e.processes import born, children, command_line
from tests.e2e.site import Site
from tests.waiting import wait_for

# How long what was orphaned may take to end: a receiver drains open associations first.
ORPHANS_END_S = 60.0
ROLES = ("receive", "work", "deliver", "timers")
SERVING = "node.app.serve "
INFERENCE = "node.infer.child"
# The parts that die; how often each is chosen.
VICTIMS: Mapping[str, float] = {
    "receiver": 4.0,
    "recorder": 3.0,
    "worker": 2.0,
    "inference": 2.0,
    "sender": 3.0,
    "timers": 2.0,
    "supervisor": 1.5,
    "everything": 2.5,
}
# Whose death orphans which part (None: every one).
ORPHAN_MAKERS: Mapping[str, str | None] = {"worker": "inference", "supervisor": None, "everything": None}
PARTS = {"receive": "receiver", "record": "recorder", "work": "worker", "deliver": "sender", "timers": "timers"}


class KilledSite(Site):
    """A site whose processes die. ``tend`` starts the supervisor again where it is gone.

    Each life of the supervisor has a log file of its own, to which its orphans go on writing.
    """

    lives = 0
    starts_refused = 0

    def __init__(self, *arguments: Any, **keywords: Any) -> None:
        super().__init__(*arguments, **keywords)
        self.orphans: dict[int, int] = {}
        # Kills make gaps in what modalities send; learned from, they would keep every series open for longer.
        self.extra_environment = {"AINODE_RECEIVE__QUIET_PERIOD_LEARNED": "false"}

    def begin(self) -> None:
        """Start the node, and do not wait for it."""
        self.lives += 1
        with self._log_file(self.lives).open("wb") as log:
            self.process = self._launched(ROLES, log)

    def _log_file(self, life: int) -> Path:
        return self.folder / f"life-{life}.log"

    @property
    def log(self) -> str:
        """What this life said."""
        return self._log_file(self.lives).read_text(encoding="utf-8", errors="replace")

    def every_record(self) -> list[dict[str, Any]]:
        """What all lives said."""
        files = [self._log_file(life) for life in range(1, self.lives + 1)]
        return [record for file in files for record in _records(file.read_text(encoding="utf-8", errors="replace"))]

    def processes(self) -> dict[int, str]:
        """Every living process of the node by pid, with its part; the supervisor first."""
        if self.process is None or self.process.poll() is not None:
            return {}
        found = {self.process.pid: "supervisor"}
        for pid in children(self.process.pid):
            part = _part(command_line(pid))
            if part is None:
                continue
            found[pid] = part
            if part == "worker":
                found |= {child: "inference" for child in children(pid) if INFERENCE in command_line(child)}
        return found

    def kill_part(self, part: str, chance: random.Random) -> bool:
        """SIGKILL one process of a part, or ``everything``; False when there is none at this moment."""
        processes = self.processes()
        if part == "everything":
            victims = list(processes)
        else:
            of_part = [pid for pid, each in processes.items() if each == part]
            victims = [chance.choice(of_part)] if of_part else []
        if part in ORPHAN_MAKERS and victims:
            # A worker orphans its inference process, a supervisor everybody.
            orphaned = ORPHAN_MAKERS[part]
            self.orphans |= {pid: born(pid) for pid, each in processes.items() if not orphaned or each == orphaned}
        for pid in victims:
            with contextlib.suppress(ProcessLookupError):
                os.kill(pid, signal.SIGKILL)
        if self.process is not None and self.process.pid in victims:
            # Dying takes a moment, in which it would still pass for a node that serves.
            self.process.wait(60)
        return bool(victims)

    def tend(self) -> None:
        """Start the supervisor again if it ended, without waiting for it, as a service manager does."""
        assert self.process is not None
        if self.process.poll() is None:
            return
        if self.process.returncode != -signal.SIGKILL:
            self.starts_refused += 1
        self.begin()

    def serves(self) -> bool:
        """Whether this life has said that every role serves."""
        return any(record.get("event") == "ready" for record in self.records())

    def settle(self) -> None:
        """Wait until the node serves and nothing of its former lives runs any more."""

        def ready() -> bool:
            self.tend()
            return self.serves()

        wait_for(ready, "the node says that it is ready again", timeout_s=90)
        wait_for(lambda: not self.living_orphans(), "what a killed supervisor left ends", timeout_s=ORPHANS_END_S)

    def living_orphans(self) -> list[str]:
        """What still runs of those whose parent was killed."""
        return [f"{pid} {command_line(pid)}" for pid, start in self.orphans.items() if start and born(pid) == start]

    def end_for_good(self) -> None:
        """However the test went: nothing of this node may stay."""
        self.kill()
        for pid, start in self.orphans.items():
            if start and born(pid) == start:
                os.kill(pid, signal.SIGKILL)

    def records(self) -> list[dict[str, Any]]:
        """As in ``Site``, but a line that a process was killed in is no error."""
        return _records(self.log)


def _records(log: str) -> list[dict[str, Any]]:
    found = []
    for line in log.splitlines():
        with contextlib.suppress(json.JSONDecodeError):
            record = json.loads(line)
            if isinstance(record, dict):
                found.append(record)
    return found


def _part(line: str) -> str | None:
    """Which part a role's process is, by its command line."""
    if SERVING not in line:
        return None
    return PARTS.get(line.split(SERVING, 1)[1].split(" ", 1)[0])
