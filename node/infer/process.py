"""The inference child as a process: start, talk, kill, and what its end means. Imports no torch."""

from __future__ import annotations

import contextlib
import os
import signal
import subprocess
import sys
import threading
from collections.abc import Mapping
from multiprocessing import Pipe
from pathlib import Path
from typing import IO, Any

import structlog

from node.errors import DeviceOutOfMemory, InferenceError, WorkerLost

log = structlog.get_logger()

SOURCE_ROOT = Path(__file__).resolve().parent.parent.parent
GENTLE_END_S = 2.0
# What has closed its pipe is on its way out; on a busy machine an interpreter with torch takes seconds for that.
EXIT_S = 30.0
KERNEL_COUNTERS = (Path("/proc/vmstat"), Path("/sys/fs/cgroup/memory.events"))


class ChildProcess:
    """A started child. ``send``, ``poll`` and ``receive`` raise EOFError or OSError when it is gone."""

    def __init__(self, threads: int) -> None:
        ours, theirs = Pipe()
        life_read, self._life_write = os.pipe()
        self.ready = False
        self._oom_kills = oom_kills()
        self._connection = ours
        command = [
            *(sys.executable, "-P", "-m", "node.infer.child"),
            *("--pipe-fd", str(theirs.fileno()), "--life-fd", str(life_read), "--threads", str(threads)),
        ]
        try:
            self._process = subprocess.Popen(  # noqa: S603  our own interpreter and module
                command,
                stdin=subprocess.DEVNULL,
                stdout=subprocess.DEVNULL,
                stderr=subprocess.PIPE,
                pass_fds=(theirs.fileno(), life_read),
                env=child_environment(os.environ),
                # Its own session: Ctrl-C is the parent's to answer, and a kill reaches what the child has started.
                start_new_session=True,
            )
        finally:
            theirs.close()
            os.close(life_read)
        assert self._process.stderr is not None
        self._reader = threading.Thread(target=_log_lines, args=(self._process.stderr, self.pid), daemon=True)
        self._reader.start()

    @property
    def pid(self) -> int:
        return self._process.pid

    def alive(self) -> bool:
        return self._process.poll() is None

    def send(self, message: object) -> None:
        self._connection.send(message)

    def poll(self, timeout_s: float) -> bool:
        return self._connection.poll(timeout_s)

    def receive(self) -> Any:
        return self._connection.recv()

    def end(self) -> None:
        """Let an idle child end by itself, kill it where it does not."""
        self._connection.close()
        with contextlib.suppress(subprocess.TimeoutExpired):
            self._process.wait(GENTLE_END_S)
        self.kill()

    def kill(self) -> None:
        """Kill the child and what it started; returns when it is gone."""
        with contextlib.suppress(ProcessLookupError):
            os.killpg(self.pid, signal.SIGKILL)
        self._process.wait()
        self._connection.close()
        if self._life_write >= 0:
            os.close(self._life_write)
            self._life_write = -1
        self._reader.join(GENTLE_END_S)

    def why_it_ended(self) -> InferenceError:
        """The error for a child that ended by itself."""
        with contextlib.suppress(subprocess.TimeoutExpired):
            self._process.wait(EXIT_S)
        return error_of_exit(self._process.poll(), oom_kills() > self._oom_kills)


def error_of_exit(code: int | None, out_of_memory: bool) -> InferenceError:
    """What an exit code says (-n: signal n; None: still runs); ``out_of_memory``: the kernel says so."""
    if code == -signal.SIGKILL and out_of_memory:
        return DeviceOutOfMemory("the system ran out of memory and killed the inference process", signal="SIGKILL")
    if code is not None and code < 0:
        name = signal.Signals(-code).name
        return WorkerLost(f"the inference process was ended by {name}", signal=name)
    words = "closed its pipe" if code is None else f"ended with exit code {code}"
    return WorkerLost(f"the inference process {words}", exit_code=code)


def oom_kills() -> int:
    """How many processes the kernel has killed for want of memory, here and in our control group."""
    return sum(_counter(path) for path in KERNEL_COUNTERS)


def _counter(path: Path) -> int:
    with contextlib.suppress(OSError):
        for line in path.read_text(encoding="ascii").splitlines():
            name, _, value = line.partition(" ")
            if name == "oom_kill":
                return int(value)
    return 0


def child_environment(environment: Mapping[str, str]) -> dict[str, str]:
    """Ours without the configuration (it may hold passwords), and with this package importable from any folder.

    OpenMP threads sleep while they wait: on a machine that does other things too, spinning costs three times the run.
    """
    kept = {name: value for name, value in environment.items() if not name.startswith("AINODE_")}
    kept["PYTHONPATH"] = os.pathsep.join(filter(None, (str(SOURCE_ROOT), kept.get("PYTHONPATH"))))
    kept.setdefault("OMP_WAIT_POLICY", "PASSIVE")
    return kept


def _log_lines(stream: IO[bytes], pid: int) -> None:
    with stream:
        for line in stream:
            log.info("inference.process", pid=pid, line=line.decode("utf-8", "replace").rstrip())
