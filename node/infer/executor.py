"""Runs models in a spawned child: a crash, a hang or an out-of-memory costs one attempt and nothing else.

Spawned, not forked: CUDA cannot be used in a forked process. Imports no torch.
"""

from __future__ import annotations

import os
import time
from collections.abc import Callable
from typing import Any

import structlog

from node.errors import AinodeError, InferenceTimeout
from node.infer.process import ChildProcess
from node.infer.wire import Failure, Ready, Stage, rebuilt
from node.ports import InferenceReply, InferenceRequest

log = structlog.get_logger()

# Ten times a second: an operator's cancel is answered at once, and idle polling costs nothing to speak of.
POLL_S = 0.1
# Loading torch with CUDA from a cold disk takes long; it does not count as the model's time.
START_TIMEOUT_S = 180.0

Stop = Callable[[], AinodeError | None]


class SpawnedExecutor:
    """``ports.ModelExecutor`` over one child, started at the first run and kept warm between runs.

    After an error the child is ended and the next run starts a fresh one; NOT EVALUABLE is no error. For one thread.
    """

    def __init__(self, threads: int | None = None) -> None:
        self._threads = threads or len(os.sched_getaffinity(0))
        self._child: ChildProcess | None = None

    def run(self, request: InferenceRequest, stop: Stop) -> InferenceReply:
        """See ``ports.ModelExecutor``."""
        child = self._warm_child()
        try:
            return _converse(child, request, stop)
        except BaseException:
            self._kill()
            raise

    def close(self) -> None:
        """End the child."""
        if self._child is not None:
            self._child.end()
            self._child = None

    def _kill(self) -> None:
        if self._child is not None:
            self._child.kill()
            self._child = None

    def _warm_child(self) -> ChildProcess:
        if self._child is not None and not self._child.alive():
            log.warning("inference.gone", pid=self._child.pid)
            self._kill()
        if self._child is None:
            self._child = ChildProcess(self._threads)
            log.info("inference.started", pid=self._child.pid)
        return self._child


def _converse(child: ChildProcess, request: InferenceRequest, stop: Stop) -> InferenceReply:
    if not child.ready:
        _await(child, stop, START_TIMEOUT_S, "start")
        child.ready = True
    try:
        child.send(request)
    except OSError as error:
        raise child.why_it_ended() from error
    answer = _await(child, stop, request.timeout_s, "request")
    if isinstance(answer, Failure):
        raise rebuilt(answer)
    assert isinstance(answer, InferenceReply)
    return answer


def _await(child: ChildProcess, stop: Stop, timeout_s: float, stage: str) -> Ready | Failure | InferenceReply:
    """The next message that is no ``Stage``.

    Raises:
        InferenceTimeout: nothing came in time; its details name the stage.
        WorkerLost, DeviceOutOfMemory: the child ended.
    """
    deadline = time.monotonic() + timeout_s
    while True:
        asked = stop()
        if asked is not None:
            raise asked
        if time.monotonic() > deadline:
            raise InferenceTimeout(f"not finished within {timeout_s:g} s (in stage {stage!r})", stage=stage)
        message: Any = _next_message(child)
        if isinstance(message, Stage):
            stage = message.name
        elif message is not None:
            return message  # type: ignore[no-any-return]


def _next_message(child: ChildProcess) -> Any:
    try:
        return child.receive() if child.poll(POLL_S) else None
    except (EOFError, OSError) as error:
        raise child.why_it_ended() from error
