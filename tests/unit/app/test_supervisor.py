"""The supervisor with real, tiny child processes."""

from __future__ import annotations

import contextlib
import os
import signal
import sys
import threading
from collections.abc import MutableMapping, Sequence
from pathlib import Path

from structlog.testing import capture_logs

from node.app.supervisor import RESTART_CAP_S, RoleProcess, Supervisor, restart_pause_s
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
    def __init__(self, folder: Path, names: Sequence[str], script: str = SERVING, **settings: float) -> None:
        self.folder = folder
        self.exits: list[str] = []
        self.announced = threading.Event()
        self.stop = threading.Event()
        self.clean: bool | None = None

        def command(spec: RoleProcess, ready_fd: int, life_fd: int) -> list[str]:
            return [sys.executable, "-c", script, str(ready_fd), str(life_fd), str(folder), spec.instance]

        self.supervisor = Supervisor(
            [RoleProcess(name, "work") for name in names],
            command,
            self.exits.append,
            self.announced.set,
            **({"drain_s": 10.0} | settings),
        )
        self.thread = threading.Thread(target=self._run)
        self.thread.start()

    def _run(self) -> None:
        self.clean = self.supervisor.run(self.stop)

    def pids(self, name: str) -> list[int]:
        return sorted(int(path.suffix[1:]) for path in self.folder.glob(f"{name}.*"))

    def newest(self, name: str) -> int:
        newest = max(self.folder.glob(f"{name}.*"), key=lambda path: path.stat().st_mtime_ns)
        return int(newest.suffix[1:])

    def end(self) -> bool | None:
        self.stop.set()
        self.thread.join(90)
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
        assert running.announced.wait(90)
        assert len(running.pids("a")) == len(running.pids("b")) == 1
    finally:
        assert running.end() is True
    assert not any(is_alive(pid) for name in "ab" for pid in running.pids(name))
    assert running.exits == []


def test_a_killed_process_is_started_again(tmp_path: Path) -> None:
    running = Running(tmp_path, ["a"])
    try:
        assert running.announced.wait(90)
        os.kill(running.pids("a")[0], signal.SIGKILL)
        wait_for(lambda: len(running.pids("a")) == 2, "a second process")
        assert running.exits == ["a"]
    finally:
        assert running.end() is True


def test_a_process_that_does_not_drain_is_killed_and_said(tmp_path: Path) -> None:
    deaf = SERVING.replace("lambda *_: os._exit(0)", "signal.SIG_IGN")
    running = Running(tmp_path, ["a"], deaf, drain_s=0.3)
    assert running.announced.wait(90)
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


def pauses(records: Sequence[MutableMapping[str, object]]) -> list[object]:
    """The pause before each restart, as the supervisor said it."""
    return [record["restart_in_s"] for record in records if record["event"] == "process.died"]


def test_what_served_for_a_while_is_restarted_at_once_every_time(tmp_path: Path) -> None:
    with capture_logs() as records:
        running = Running(tmp_path, ["a"], healthy_s=0.0)
        try:
            for lives in range(1, 4):
                wait_for(lambda lives=lives: len(running.pids("a")) == lives, "another life")
                wait_for(lambda: running.supervisor._children[0].ready, "it serves")
                os.kill(running.newest("a"), signal.SIGKILL)
                wait_for(lambda lives=lives: len(running.exits) == lives, "its death is seen")
        finally:
            running.end()
    assert pauses(records) == [0.0, 0.0, 0.0]


def test_what_never_serves_long_is_restarted_more_and_more_slowly(tmp_path: Path) -> None:
    dying = SERVING.replace("os.read(life, 1)", "")
    with capture_logs() as records:
        running = Running(tmp_path, ["a"], dying)
        try:
            wait_for(lambda: len(running.exits) >= 3, "three short lives")
        finally:
            running.end()
    assert pauses(records)[:3] == [0.5, 1.0, 2.0]


def open_files() -> set[tuple[str, str]]:
    """The descriptors of this process, and what they stand for."""
    found = set()
    for path in Path("/proc/self/fd").iterdir():
        with contextlib.suppress(OSError):  # the folder that is being listed
            target = str(path.readlink())
            if not target.endswith("/fd"):
                found.add((path.name, target))
    return found


def test_one_that_cannot_be_started_is_tried_again_and_the_others_serve(tmp_path: Path) -> None:
    def command(spec: RoleProcess, ready_fd: int, life_fd: int) -> list[str]:
        place = [str(ready_fd), str(life_fd), str(tmp_path), spec.instance]
        return [str(tmp_path / "absent") if spec.instance == "absent" else sys.executable, "-c", SERVING, *place]

    stop = threading.Event()
    specs = [RoleProcess(name, "work") for name in ("absent", "a")]
    supervisor = Supervisor(specs, command, lambda _: None, lambda: None)
    open_before = open_files()
    with capture_logs() as records:
        thread = threading.Thread(target=supervisor.run, args=(stop,))
        thread.start()
        try:
            wait_for(lambda: list(tmp_path.glob("a.*")), "the other one runs")
            wait_for(lambda: sum(one["event"] == "process.not_started" for one in records) == 2, "it is tried again")
        finally:
            stop.set()
            thread.join(90)
    assert not thread.is_alive()
    # What other tests left to the garbage collector may be closed meanwhile.
    assert open_files() <= open_before


def test_the_pause_has_a_limit() -> None:
    assert [restart_pause_s(failures) for failures in range(4)] == [0.0, 0.5, 1.0, 2.0]
    assert restart_pause_s(1000) == RESTART_CAP_S
