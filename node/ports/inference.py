"""Running models."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any, Protocol

from node.domain.model import ModelDescription
from node.domain.prior import PriorSeries
from node.domain.result import InferenceResult
from node.domain.study import ByteRange, Grid
from node.errors import AinodeError


class Model(Protocol):
    """What a model package gives. Geometry belongs to the node: arrays come and go on the input grid.

    A package that declares ``[priors]`` finds them in ``given.priors``, the newest first; there may be none.

    A package that declares ``kind = "image"`` is given each image of the series as a ``Picture``. It may have one more
    function, ``heat_map(network, inputs, outputs, picture)``, called for a picture with findings: float32 (rows,
    columns) in 0..1 on the grid of the picture, or None. ``network`` is on its device and in evaluation mode,
    ``inputs`` is the preprocessed tensor there; gradients are on.
    """

    def preprocess(self, given: Any) -> Any:
        """A float32 tensor of shape (1, channels, ...) of a ``Volume`` or a ``Picture``."""
        ...

    def network(self) -> Any:
        """The ``torch.nn.Module`` without weights; the engine loads them."""
        ...

    def postprocess(self, outputs: Any, given: Any) -> InferenceResult:
        """``outputs`` is the network's output for the whole preprocessed input, as a float32 CPU tensor."""
        ...


@dataclass(frozen=True, slots=True)
class PriorImages:
    """The images of a series of an earlier study, in the order of their Instance Number."""

    series: PriorSeries
    images: tuple[ByteRange, ...]


@dataclass(frozen=True, slots=True)
class InferenceRequest:
    """One run for the child process; ``device`` is ``cpu``, ``cuda`` or ``cuda:1``."""

    model: ModelDescription
    images: tuple[ByteRange, ...]
    device: str
    timeout_s: float
    priors: tuple[PriorImages, ...] = ()


@dataclass(frozen=True, slots=True)
class InferenceReply:
    """``grid`` is None for pictures, and when no volume could be made (the outcome is then NOT EVALUABLE).

    ``provenance`` holds library versions, device, precision, durations in seconds, and what was said of each picture.
    """

    result: InferenceResult
    grid: Grid | None
    provenance: Mapping[str, Any] = field(default_factory=dict)


class ModelExecutor(Protocol):
    """Runs a model where a crash, a hang or an out-of-memory costs one attempt and nothing else."""

    def run(self, request: InferenceRequest, stop: Callable[[], AinodeError | None]) -> InferenceReply:
        """``stop`` is asked several times a second; the error it returns ends the run and is raised.

        Raises:
            InferenceTimeout, WorkerLost, DeviceOutOfMemory, JobCanceled: the attempt is lost.
            ModelError: the package or its output is wrong.
        """
        ...

    def close(self) -> None:
        """End the child."""
        ...
