"""A model executor without a process."""

from __future__ import annotations

from collections.abc import Callable

from node.errors import AinodeError
from node.infer.engine import Engine
from node.infer.series import run_series
from node.ports import InferenceReply, InferenceRequest


class InlineExecutor:
    """Runs the engine where it is called: the meaning of the port, without its protection."""

    def __init__(self) -> None:
        self._engine = Engine()

    def run(self, request: InferenceRequest, stop: Callable[[], AinodeError | None]) -> InferenceReply:
        asked = stop()
        if asked is not None:
            raise asked
        run = run_series(self._engine, request.model, request.images, request.device, priors=request.priors)
        provenance = {"device": run.device, "precision": run.precision, "durations_s": run.durations, "libraries": {}}
        return InferenceReply(run.result, run.grid, provenance | run.provenance())

    def close(self) -> None:
        pass
