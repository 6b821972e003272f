"""Steps by name, joined to a pipeline that can be written beside the weights and read back.

A package builds one pipeline and uses it in ``task.image`` and in ``preprocess``: there is no second implementation
that could differ.
"""

from __future__ import annotations

import hashlib
import inspect
import json
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from types import MappingProxyType
from typing import Any

import numpy as np
import numpy.typing as npt

from models.kit.preprocess import fundus, intensity, regions, shapes, volumes, whole_picture
from node.errors import UnsupportedImage

Float = npt.NDArray[np.float32]
Value = bool | int | float | tuple[int, ...] | tuple[float, ...]

# Every step is a function of an array and of named parameters.
STEPS: Mapping[str, Callable[..., npt.NDArray[Any]]] = MappingProxyType(
    {
        "grey": whole_picture.grey,
        "require_grey": whole_picture.require_grey,
        "resize": whole_picture.resized,
        "letterbox": shapes.letterboxed,
        "centre_crop": shapes.centred,
        "respace": shapes.respaced,
        "channels_first": shapes.channels_first,
        "window": intensity.windowed,
        "percentile_window": intensity.percentile_windowed,
        "min_max": intensity.min_max,
        "z_score": intensity.z_scored,
        "clahe": intensity.equalised,
        "median": intensity.median_filtered,
        "gaussian": intensity.gaussian_filtered,
        "threshold": regions.above,
        "otsu": regions.above_otsu,
        "region_growing": regions.grown,
        "canny": regions.edges,
        "sobel": regions.gradient,
        "body_mask": volumes.body_mask,
        "lung_mask": volumes.lung_mask,
        "fundus_field": fundus.field_of_view,
        "fundus_crop": fundus.border_cropped,
        "fundus_outside_black": fundus.outside_black,
    }
)


@dataclass(frozen=True, slots=True)
class Step:
    """One step of ``STEPS`` with its parameters.

    Raises:
        ValueError: there is no such step, or its parameters are others.
    """

    name: str
    parameters: Mapping[str, Value] = field(default_factory=dict)

    def __post_init__(self) -> None:
        if self.name not in STEPS:
            raise ValueError(f"there is no step {self.name!r}; there are {', '.join(sorted(STEPS))}")
        try:
            inspect.signature(STEPS[self.name]).bind(None, **self.parameters)
        except TypeError as error:
            raise ValueError(f"the step {self.name}: {error}") from error

    def __call__(self, array: Float) -> Float:
        """The step's output as float32; a mask as 0 and 1."""
        return np.asarray(STEPS[self.name](array, **self.parameters), dtype=np.float32)


@dataclass(frozen=True, slots=True)
class Pipeline:
    """Steps one after the other: float32 in, float32 out, the same for the same array."""

    steps: tuple[Step, ...]

    def __call__(self, array: npt.NDArray[Any]) -> Float:
        """The array through all steps; the input is not changed.

        Raises:
            UnsupportedImage: the array is empty or holds values that are not finite, or a step refuses it.
        """
        values: Float = np.asarray(array, dtype=np.float32)
        if not values.size or not bool(np.isfinite(values).all()):
            raise UnsupportedImage("the image is empty or holds values that are not finite")
        for step in self.steps:
            values = step(values)
        return values

    def to_json(self) -> str:
        """Names and parameters, one step a line; the same pipeline is the same text."""
        lines = (json.dumps([step.name, dict(step.parameters)], sort_keys=True) for step in self.steps)
        return "[\n" + ",\n".join(lines) + "\n]\n"

    @property
    def digest(self) -> str:
        """SHA-256 of ``to_json``, for the record of a training."""
        return hashlib.sha256(self.to_json().encode()).hexdigest()


def pipeline(*steps: tuple[str, Mapping[str, Value]] | str) -> Pipeline:
    """A pipeline of steps, each ``"name"`` or ``("name", {parameters})``.

    Raises:
        ValueError: as ``Step``.
    """
    return Pipeline(tuple(Step(step) if isinstance(step, str) else Step(*step) for step in steps))


def read_pipeline(text: str) -> Pipeline:
    """A pipeline that ``Pipeline.to_json`` wrote.

    Raises:
        ValueError: the text is no pipeline, or names steps that there are not.
    """
    stored = json.loads(text)
    try:
        steps = [(str(name), {key: _value(value) for key, value in parameters.items()}) for name, parameters in stored]
    except (TypeError, ValueError, AttributeError) as error:
        raise ValueError("the text is no pipeline: it wants a list of [name, {parameters}]") from error
    return pipeline(*steps)


def _value(value: Any) -> Value:
    if isinstance(value, list):
        return tuple(value)
    if isinstance(value, (bool, int, float)):
        return value
    raise ValueError(f"{value!r} is no parameter")
