"""One supervisor starts the processes of all roles, restarts those that die, and drains them on SIGTERM."""

from __future__ import annotations

import os
import select
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Any

import structlog

log = structlog.get_logger()

POLL_S = 0.1
RESTART_BASE_S = 0.5
RESTART_CAP_S = 10.0
# A process that served this long before it died is restarted without delay: its death is news, not a loop. Not longer:
# what is killed now and then (for want of memory, by an operator) must not be kept waiting as if it could not serve.
HEALTHY_S = 5.0


@dataclass(frozen=True, slots=True)
class RoleProcess:
    """One process to run: its instance name, its role, further arguments and the descriptors it inherits."""

    instance: str
    role: str
    arguments: tuple[str, ...] = ()
    inherited: tuple[int, ...] = ()


@dataclass(slots=True)
class _Child:
    spec: RoleProcess
    process: subprocess.Popen[bytes] | None = None
    ready_fd: int | None = None
    ready: bool = False
    serving_since: float | None = None
    failures: int = 0
    start_at: float = 0.0


@dataclass(slots=True)
class Supervisor:
    """Runs ``processes`` until ``stop`` is set.

    ``command`` makes the command line of a child from its spec and the numbers of its ready and life descriptors.
    A child writes one byte to the ready descriptor when it serves, and ends when the life descriptor is closed, so
    that no child outlives a supervisor that was killed. ``on_exit`` is called with the instance of each dead child.
    """

    processes: Sequence[RoleProcess]
    command: Callable[[RoleProcess, int, int], Sequence[str]]
    on_exit: Callable[[str], None]
    on_ready: Callable[[], None]
    drain_s: float = 30.0
    healthy_s: float = HEALTHY_S
    _children: list[_Child] = field(default_factory=list)

    def run(self, stop: threading.Event) -> bool:
        """True when every child ended by itself within ``drain_s`` after ``stop``."""
        life_read, life_write = os.pipe()
        self._children = [_Child(spec) for spec in self.processes]
        announced = False
        try:
            while not stop.wait(POLL_S):
                for child in self._children:
                    self._tend(child, life_read)
                if not announced and all(child.ready for child in self._children):
                    announced = True
                    self.on_ready()
            return self._drain()
        finally:
            os.close(life_write)
            os.close(life_read)

    def _tend(self, child: _Child, life_read: int) -> None:
        now = time.monotonic()
        if child.process is None:
            if now >= child.start_at:
                self._start(child, life_read)
            return
        if not child.ready and child.ready_fd is not None and select.select([child.ready_fd], [], [], 0)[0]:
            child.ready = os.read(child.ready_fd, 1) == b"1"
            child.serving_since = now if child.ready else None
            os.close(child.ready_fd)
            child.ready_fd = None
        code = child.process.poll()
        if code is None:
            return
        healthy = child.serving_since is not None and now - child.serving_since >= self.healthy_s
        pause_s = self._pause(child, healthy)
        log.error("process.died", instance=child.spec.instance, exit_code=code, restart_in_s=pause_s)
        self._forget(child)
        self.on_exit(child.spec.instance)

    @staticmethod
    def _pause(child: _Child, healthy: bool) -> float:
        """Seconds until its next start, which is set."""
        child.failures = 0 if healthy else child.failures + 1
        pause_s = restart_pause_s(child.failures)
        child.start_at = time.monotonic() + pause_s
        return pause_s

    def _start(self, child: _Child, life_read: int) -> None:
        spec = child.spec
        try:
            ready_read, ready_write = os.pipe()
            try:
                child.process = subprocess.Popen(  # noqa: S603  our own interpreter and module
                    list(self.command(spec, ready_write, life_read)),
                    stdin=subprocess.DEVNULL,
                    pass_fds=(*spec.inherited, ready_write, life_read),
                )
            except BaseException:
                os.close(ready_read)
                raise
            finally:
                os.close(ready_write)
        except OSError as error:
            # No memory or no process to be had now: the others go on, and this one is tried again.
            pause_s = self._pause(child, healthy=False)
            log.error("process.not_started", instance=spec.instance, reason=error.strerror, restart_in_s=pause_s)
            return
        child.ready_fd, child.ready, child.serving_since = ready_read, False, None

    @staticmethod
    def _forget(child: _Child) -> None:
        child.process = None
        child.ready = False
        if child.ready_fd is not None:
            os.close(child.ready_fd)
            child.ready_fd = None

    def _drain(self) -> bool:
        living = [child for child in self._children if child.process is not None and child.process.poll() is None]
        for child in living:
            assert child.process is not None
            child.process.send_signal(signal.SIGTERM)
        deadline = time.monotonic() + self.drain_s
        clean = True
        for child in living:
            assert child.process is not None
            try:
                child.process.wait(max(0.1, deadline - time.monotonic()))
            except subprocess.TimeoutExpired:
                clean = False
                log.error("process.not_drained", instance=child.spec.instance, waited_s=self.drain_s)
                child.process.kill()
                child.process.wait()
        for child in self._children:
            self._forget(child)
        return clean


def restart_pause_s(failures: int) -> float:
    """Seconds until the next start, after so many lives in a row that were too short."""
    return min(RESTART_CAP_S, RESTART_BASE_S * 2.0 ** (failures - 1)) if failures else 0.0


def stop_on_signals(stop: threading.Event) -> None:
    """SIGTERM and SIGINT set ``stop``."""

    def handler(_signal: int, _frame: Any) -> None:
        stop.set()

    signal.signal(signal.SIGTERM, handler)
    signal.signal(signal.SIGINT, handler)


def python_module(module: str, *arguments: str) -> list[str]:
    """The command line that runs a module of ours with this interpreter."""
    return [sys.executable, "-m", module, *arguments]
