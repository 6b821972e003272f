"""A model executor without a process."""

from __future__ import annotations

from collections.abc import Callable

from node.domain.result import InferenceResult, Outcome, Reason
from node.errors import AinodeError, InputError
from node.infer.engine import Engine
from node.infer.volume import load_volume
from node.ports import InferenceReply, InferenceRequest


class InlineExecutor:
    """Runs the engine where it is called: the meaning of the port, without its protection."""

    def __init__(self) -> None:
        self._engine = Engine()

    def run(self, request: InferenceRequest, stop: Callable[[], AinodeError | None]) -> InferenceReply:
        asked = stop()
        if asked is not None:
            raise asked
        grid = None
        try:
            volume = load_volume(request.images)
            grid = volume.grid
            run = self._engine.run(request.model, volume, request.device)
        except InputError as error:
            reason = Reason(error.code, error.message)
            return InferenceReply(InferenceResult(Outcome.NOT_EVALUABLE, reason=reason), grid)
        provenance = {"device": run.device, "precision": run.precision, "durations_s": run.durations, "libraries": {}}
        return InferenceReply(run.result, grid, provenance)

    def close(self) -> None:
        pass
