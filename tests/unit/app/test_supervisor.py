"""The supervisor with real, tiny child processes."""

from __future__ import annotations

import os
import signal
import sys
import threading
from collections.abc import Sequence
from pathlib import Path

from node.app.supervisor import RoleProcess, Supervisor
from tests.waiting import wait_for

# Says ready, writes its pid, and ends on SIGTERM or when the life descriptor is closed.
SERVING = """
import os, signal, sys, threading
ready, life, folder, name = int(sys.argv[1]), int(sys.argv[2]), sys.argv[3], sys.argv[4]
signal.signal(signal.SIGTERM, lambda *_: os._exit(0))
with open(os.path.join(folder, f"{name}.{os.getpid()}"), "w"):
    pass
os.write(ready, b"1")
os.close(ready)
os.read(life, 1)
os._exit(0)
"""


class Running:
    def __init__(self, folder: Path, names: Sequence[str], script: str = SERVING, drain_s: float = 10.0) -> None:
        self.folder = folder
        self.exits: list[str] = []
        self.announced = threading.Event()
        self.stop = threading.Event()
        self.clean: bool | None = None

        def command(spec: RoleProcess, ready_fd: int, life_fd: int) -> list[str]:
            return [sys.executable, "-c", script, str(ready_fd), str(life_fd), str(folder), spec.instance]

        self.supervisor = Supervisor(
            [RoleProcess(name, "work") for name in names], command, self.exits.append, self.announced.set, drain_s
        )
        self.thread = threading.Thread(target=self._run)
        self.thread.start()

    def _run(self) -> None:
        self.clean = self.supervisor.run(self.stop)

    def pids(self, name: str) -> list[int]:
        return sorted(int(path.suffix[1:]) for path in self.folder.glob(f"{name}.*"))

    def end(self) -> bool | None:
        self.stop.set()
        self.thread.join(30)
        assert not self.thread.is_alive()
        return self.clean


def is_alive(pid: int) -> bool:
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    return True


def test_ready_is_announced_once_every_process_serves(tmp_path: Path) -> None:
    running = Running(tmp_path, ["a", "b"])
    try:
        assert running.announced.wait(20)
        assert len(running.pids("a")) == len(running.pids("b")) == 1
    finally:
        assert running.end() is True
    assert not any(is_alive(pid) for name in "ab" for pid in running.pids(name))
    assert running.exits == []


def test_a_killed_process_is_started_again(tmp_path: Path) -> None:
    running = Running(tmp_path, ["a"])
    try:
        assert running.announced.wait(20)
        os.kill(running.pids("a")[0], signal.SIGKILL)
        wait_for(lambda: len(running.pids("a")) == 2, "a second process")
        assert running.exits == ["a"]
    finally:
        assert running.end() is True


def test_a_process_that_does_not_drain_is_killed_and_said(tmp_path: Path) -> None:
    deaf = SERVING.replace("lambda *_: os._exit(0)", "signal.SIG_IGN")
    running = Running(tmp_path, ["a"], deaf, drain_s=0.3)
    assert running.announced.wait(20)
    assert running.end() is False
    assert not is_alive(running.pids("a")[0])


def test_not_ready_while_one_process_does_not_serve(tmp_path: Path) -> None:
    silent = SERVING.replace('os.write(ready, b"1")', "pass")
    running = Running(tmp_path, ["a"], silent)
    try:
        wait_for(lambda: running.pids("a"), "the process runs")
        assert not running.announced.wait(0.5)
    finally:
        assert running.end() is True
