"""Drives model packages on a device: precision, sliding windows, warm networks, checked output."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager, nullcontext
from dataclasses import dataclass, replace
from importlib import metadata
from typing import Any

import numpy as np
import torch

import node
from node.domain.model import ModelDescription, Runtime
from node.domain.result import HeatMap, InferenceResult, Outcome
from node.domain.study import Picture, Volume
from node.errors import DeviceOutOfMemory, InputError, InvalidModelOutput
from node.infer.loading import load_code, load_network
from node.infer.outputs import checked, checked_heat_map, checked_picture
from node.infer.quality.checks import Checks, Judged, accepted, refused
from node.infer.quality.cloud import Cloud, load_cloud
from node.infer.quality.embedding import Watched, familiarity, undeclared, watched
from node.ports import Model

DTYPES = {"bf16": torch.bfloat16, "fp16": torch.float16}
OWN_CHECK = "the model's own check of its input"
LIBRARIES = ("torch", "monai", "numpy", "scipy", "pydicom", "safetensors", "onnxruntime")


@dataclass(frozen=True, slots=True)
class _Warm:
    code: Model
    network: torch.nn.Module
    cloud: Cloud | None


@dataclass(frozen=True, slots=True)
class EngineRun:
    """``durations`` in seconds by stage; ``precision`` is the one that was used."""

    result: InferenceResult
    device: str
    precision: str
    durations: dict[str, float]


class Engine:
    """Keeps every model it ran warm, by id, digests and device.

    ``stage`` is told what begins (``import``, ``preprocess``, ``network``, ``postprocess``, ``explain``): when the
    process then dies or hangs, whoever listens knows where. Exceptions of a package's own code go up unchanged.
    """

    def __init__(self, stage: Callable[[str], None] = lambda name: None) -> None:
        self._stage = stage
        self._warm: dict[tuple[str, str, str, str], _Warm] = {}
        # Full float32 where float32 is declared: TensorFloat-32 would give other numbers on other devices.
        torch.backends.cudnn.allow_tf32 = False

    def run(
        self,
        model: ModelDescription,
        given: Volume | Picture,
        device: str = "auto",
        explained: bool = True,
        checks: Checks | None = None,
    ) -> EngineRun:
        """One volume or one picture through one model.

        A picture with findings is ``explained`` by a heat map, where the package has a function for that. ``checks``
        is told what the model's own check of its input said, and how far the input lies from the training data.

        Raises:
            InputError: the model's own check of its input refuses it, or it lies too far from the training data.
            ModelError: the package or its output is wrong.
            DeviceOutOfMemory: the device, or the host, has too little memory.
        """
        # ONNX Runtime is used on the CPU alone, and the provenance says so.
        place = choose_device("cpu" if model.declared and model.declared.cpu_only else device)
        durations: dict[str, float] = {}
        told = Checks() if checks is None else checks
        with _memory(place):
            with self._timed("import", durations):
                warm = self._load(model, place)
            with self._timed("preprocess", durations):
                inputs = _input_tensor(_preprocessed(warm.code, given, told))
            layers = warm.cloud.layers if warm.cloud else ()
            with self._timed("network", durations), watched(warm.network, layers) as seen:
                outputs, precision = _forward(warm.network, inputs, model.runtime, place)
            told.require([_familiarity(model, warm, seen)])
            with self._timed("postprocess", durations):
                result = _checked(warm.code.postprocess(outputs, given), model, given)
            if explained and isinstance(given, Picture) and _wants_heat_map(warm.code, result):
                with self._timed("explain", durations):
                    result = replace(result, heat_maps=_heat_maps(warm, inputs.to(place), outputs, given))
        return EngineRun(result, str(place), precision, durations)

    @contextmanager
    def _timed(self, stage: str, durations: dict[str, float]) -> Iterator[None]:
        self._stage(stage)
        begin = time.perf_counter()
        yield
        durations[stage] = round(time.perf_counter() - begin, 4)

    def _load(self, model: ModelDescription, device: torch.device) -> _Warm:
        limit = model.out_of_distribution
        key = (model.id, model.algorithm.weights_sha256, limit.sha256 if limit else "", str(device))
        if key not in self._warm:
            code = load_code(model)
            cloud = load_cloud(model, limit) if limit else None
            self._warm[key] = _Warm(code, load_network(model, code, device), cloud)
        return self._warm[key]


def choose_device(name: str) -> torch.device:
    """``auto`` is the first CUDA device where there is one, else the CPU."""
    if name == "auto":
        return torch.device("cuda" if torch.cuda.is_available() else "cpu")
    return torch.device(name)


def library_versions() -> dict[str, str]:
    """Versions of what computes a result."""
    return {"ainode": node.__version__} | {name: metadata.version(name) for name in LIBRARIES}


def _checked(result: object, model: ModelDescription, given: Volume | Picture) -> InferenceResult:
    return checked_picture(result, model, given) if isinstance(given, Picture) else checked(result, model, given.grid)


def _familiarity(model: ModelDescription, warm: _Warm, seen: Watched) -> Judged:
    if model.out_of_distribution is None or warm.cloud is None:
        return undeclared()
    return familiarity(warm.cloud, seen, model.out_of_distribution)


def _preprocessed(code: Model, given: Volume | Picture, checks: Checks) -> Any:
    try:
        made = code.preprocess(given)
    except InputError as error:
        checks.add(refused(OWN_CHECK, "accepted", error))
        raise
    checks.add(accepted(OWN_CHECK, "accepted"))
    return made


def _wants_heat_map(code: Model, result: InferenceResult) -> bool:
    return hasattr(code, "heat_map") and result.outcome is Outcome.POSITIVE and not result.heat_maps


def _heat_maps(warm: _Warm, inputs: torch.Tensor, outputs: torch.Tensor, picture: Picture) -> tuple[HeatMap, ...]:
    """What the package's ``heat_map`` says; it may say nothing. Gradients are on, and none are left behind."""
    with torch.enable_grad():
        array = warm.code.heat_map(warm.network, inputs, outputs.clone(), picture)  # type: ignore[attr-defined]
    warm.network.zero_grad(set_to_none=True)
    return () if array is None else (checked_heat_map(array, picture),)


def _input_tensor(given: Any) -> torch.Tensor:
    tensor = given if isinstance(given, torch.Tensor) else torch.as_tensor(np.asarray(given))
    if tensor.ndim < 3 or tensor.shape[0] != 1:
        raise InvalidModelOutput(f"preprocess returned the shape {tuple(tensor.shape)}", field="preprocess")
    return tensor.float()


def _forward(
    network: torch.nn.Module, inputs: torch.Tensor, runtime: Runtime, device: torch.device
) -> tuple[torch.Tensor, str]:
    """The network's output for the whole input as float32 on the CPU, and the precision used."""
    precision = _precision(runtime.precision, device)
    with torch.inference_mode(), _autocast(precision, device):
        outputs = (
            network(inputs.to(device))
            if runtime.window is None
            else _windows(network, inputs, runtime.window, runtime, device)
        )
    if not isinstance(outputs, torch.Tensor):
        raise InvalidModelOutput(f"the network returned {type(outputs).__name__}, no tensor", field="outputs")
    outputs = outputs.float().cpu()
    if not bool(torch.isfinite(outputs).all()):
        raise InvalidModelOutput("the network returned values that are not finite", field="outputs")
    return outputs, precision


def _windows(
    network: torch.nn.Module,
    inputs: torch.Tensor,
    window: tuple[int, int, int],
    runtime: Runtime,
    device: torch.device,
) -> Any:
    # Imported here: MONAI takes seconds to load, and a model without windows needs none of it.
    from monai.inferers.utils import sliding_window_inference  # noqa: PLC0415

    return sliding_window_inference(
        inputs,
        roi_size=window,
        sw_batch_size=runtime.batch,
        predictor=network,
        overlap=runtime.overlap,
        mode=runtime.blend,
        sw_device=device,
        device=torch.device("cpu"),
    )


def _precision(wanted: str, device: torch.device) -> str:
    # A CPU has no fast half precision; float32 there is at least as exact as what the package asked for.
    return wanted if device.type == "cuda" else "fp32"


def _autocast(precision: str, device: torch.device) -> AbstractContextManager[Any]:
    return torch.autocast(device.type, DTYPES[precision]) if precision in DTYPES else nullcontext()


@contextmanager
def _memory(device: torch.device) -> Iterator[None]:
    try:
        yield
    except (torch.cuda.OutOfMemoryError, MemoryError) as error:
        if device.type == "cuda":
            torch.cuda.empty_cache()
        raise DeviceOutOfMemory(f"{device} has too little memory for this input", device=str(device)) from error
    except RuntimeError as error:
        # torch's CPU allocator has no exception class of its own.
        if "DefaultCPUAllocator" not in str(error):
            raise
        raise DeviceOutOfMemory(f"{device} has too little memory for this input", device=str(device)) from error
