"""``[network]``, ``[preprocess]`` and ``[postprocess]`` of a ``model.toml``, and what they mean in the domain."""

from __future__ import annotations

from itertools import pairwise
from typing import Annotated, Literal, Self

from pydantic import AfterValidator, BaseModel, Field, model_validator

from node.domain.declared import (
    Activation,
    ClassOutput,
    Decision,
    IntensityStep,
    Percentiles,
    Postprocessing,
    Preprocessing,
    Rescale,
    ZScore,
)
from node.infer.tables import STRICT, Code, Size

AXES = ("LR", "PA", "SI")


def _orientation(text: str) -> str:
    if sorted(next((axis for axis in AXES if letter in axis), "") for letter in text) != sorted(AXES):
        raise ValueError(f"{text!r} is not one letter each of L or R, A or P, S or I, such as RAS")
    return text


def _rising(pair: list[float]) -> list[float]:
    if any(low >= high for low, high in pairwise(pair)):
        raise ValueError("two numbers, the lower one first")
    return pair


Orientation = Annotated[str, AfterValidator(_orientation)]
Rising = Annotated[list[float], Field(min_length=2, max_length=2), AfterValidator(_rising)]
Target = Annotated[list[float], Field(min_length=2, max_length=2)]
Percent = Annotated[float, Field(ge=0, le=100)]
NotNegative = Annotated[float, Field(ge=0)]
Positive = Annotated[float, Field(gt=0)]
# A file inside the package's folder: no part begins with a dot.
RelativePath = Annotated[str, Field(pattern=r"^[A-Za-z0-9_][A-Za-z0-9_.-]*(/[A-Za-z0-9_][A-Za-z0-9_.-]*)*$")]


class _Table(BaseModel):
    model_config = STRICT


class Network(_Table):
    format: Literal["torchscript", "onnx", "monai_bundle"]
    file: RelativePath
    dimensions: Literal[2, 3] | None = None
    output: Annotated[int, Field(ge=0)] | None = None
    config_sha256: Annotated[str, Field(pattern=r"^[0-9a-f]{64}$")] | None = None

    @model_validator(mode="after")
    def _digest_of_a_configuration(self) -> Self:
        if (self.format == "monai_bundle") != (self.config_sha256 is not None):
            raise ValueError("config_sha256, the digest of inference.json, belongs to a monai_bundle, and only to it")
        return self


class Window(_Table):
    kind: Literal["window"]
    centre: float
    width: Positive
    to: Target = [0.0, 1.0]

    def step(self) -> IntensityStep:
        return Rescale(self.centre - self.width / 2, self.centre + self.width / 2, (self.to[0], self.to[1]))


class Range(_Table):
    kind: Literal["range"]
    values: Rising
    to: Target = [0.0, 1.0]
    clip: bool = False

    def step(self) -> IntensityStep:
        return Rescale(self.values[0], self.values[1], (self.to[0], self.to[1]), self.clip)


class PercentileRange(_Table):
    kind: Literal["percentiles"]
    values: Annotated[list[Percent], Field(min_length=2, max_length=2), AfterValidator(_rising)]
    to: Target = [0.0, 1.0]
    clip: bool = True

    def step(self) -> IntensityStep:
        return Percentiles(self.values[0], self.values[1], (self.to[0], self.to[1]), self.clip)


class Standardised(_Table):
    kind: Literal["z_score"]
    mean: list[float] = []
    deviation: list[Positive] = []
    nonzero: bool = False

    @model_validator(mode="after")
    def _pairs(self) -> Self:
        if len(self.mean) != len(self.deviation):
            raise ValueError("mean and deviation have as many numbers; without both those of the image are used")
        return self

    def step(self) -> IntensityStep:
        return ZScore(tuple(self.mean), tuple(self.deviation), self.nonzero)


Intensity = Annotated[Window | Range | PercentileRange | Standardised, Field(discriminator="kind")]


class Preprocess(_Table):
    orientation: Orientation | None = None
    spacing_mm: Annotated[list[NotNegative], Field(min_length=3, max_length=3)] | None = None
    size: Annotated[list[Size], Field(min_length=2, max_length=3)] | None = None
    intensity: list[Intensity] = []
    divisible_by: Size = 1
    channels: Annotated[int, Field(ge=1, le=16)] = 1

    def steps(self) -> Preprocessing:
        spacing = self.spacing_mm
        return Preprocessing(
            orientation=self.orientation or "",
            spacing_mm=None if spacing is None else (spacing[0], spacing[1], spacing[2]),
            size=None if self.size is None else tuple(self.size),
            intensity=tuple(one.step() for one in self.intensity),
            divisible_by=self.divisible_by,
            channels=self.channels,
        )


class Class(_Table):
    concept: Code
    positive: bool = False


class Postprocess(_Table):
    activation: Literal["softmax", "sigmoid", "none", "labels"]
    decision: Literal["argmax", "threshold"] | None = None
    classes: list[Class] = []
    threshold: Annotated[float, Field(gt=0, lt=1)] = 0.5
    labels: list[Annotated[int, Field(ge=0, le=255)]] = []
    largest_component: bool = False
    minimum_volume_ml: NotNegative = 0.0

    @model_validator(mode="after")
    def _of_a_classifier(self) -> Self:
        if not self.classes:
            return self
        if self.activation == "labels" or self.decision or self.labels or self.largest_component:
            raise ValueError("labels, decision and largest_component belong to a segmentation, classes to a classifier")
        if not any(one.positive for one in self.classes):
            raise ValueError("classes: none is positive")
        return self

    def steps(self) -> Postprocessing:
        by_default = "threshold" if self.activation == "sigmoid" else "argmax"
        return Postprocessing(
            activation=Activation(self.activation),
            decision=Decision(self.decision or by_default),
            classes=tuple(ClassOutput(one.concept.concept(), one.positive) for one in self.classes),
            threshold=self.threshold,
            labels=tuple(self.labels),
            largest_component=self.largest_component,
            minimum_volume_ml=self.minimum_volume_ml,
        )
