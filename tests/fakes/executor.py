"""A model executor that runs nothing."""

from __future__ import annotations

from collections.abc import Callable

from node.errors import AinodeError
from node.ports import InferenceReply, InferenceRequest
from tests.waiting import wait_for

Stop = Callable[[], AinodeError | None]


class ScriptedExecutor:
    """Answers each run with the next of ``script``: a reply, an error to raise, or None to wait until it is stopped."""

    def __init__(self, *script: InferenceReply | Exception | None) -> None:
        self._script = list(script)
        self.requests: list[InferenceRequest] = []
        self.stopped = False
        self.closed = False

    def run(self, request: InferenceRequest, stop: Stop) -> InferenceReply:
        self.requests.append(request)
        step = self._script.pop(0)
        if isinstance(step, Exception):
            raise step
        if step is None:
            error = wait_for(stop, "the run was never stopped", poll_s=0.01)
            assert error is not None
            self.stopped = True
            raise error
        return step

    def close(self) -> None:
        self.closed = True
