"""``model.toml``: its schema, and its translation into a ``ModelDescription``. Strict: every problem is listed."""

from __future__ import annotations

import math
import re
import tomllib
from pathlib import Path
from typing import Annotated, Any, Literal, Self

from pydantic import AfterValidator, BaseModel, ConfigDict, Field, ValidationError, model_validator
from pydicom import uid

from node.domain.identity import is_uid
from node.domain.model import InputLimits, InputSelection, Interval, ModelDescription, Runtime
from node.domain.result import AlgorithmIdentification, CodedConcept, Segment
from node.errors import InvalidModelPackage

DESCRIPTION = "model.toml"


def _regular_expression(text: str) -> str:
    try:
        re.compile(text)
    except re.error as error:
        raise ValueError(f"not a regular expression: {error}") from None
    return text


def _sop_class(text: str) -> str:
    """The UID of a SOP class given by its UID or by pydicom's keyword (``CTImageStorage``)."""
    if is_uid(text):
        return text
    known = getattr(uid, text, None)
    if not isinstance(known, uid.UID) or known.type != "SOP Class":
        raise ValueError(f"{text!r} is neither a UID nor the keyword of a SOP class")
    return str(known)


def _interval(pair: list[float]) -> list[float]:
    if not pair[0] <= pair[1]:
        raise ValueError("two numbers, the lower one first; inf leaves a side open")
    return pair


Text = Annotated[str, Field(min_length=1, max_length=64)]  # VR LO, PS3.5 Table 6.2-1
Short = Annotated[str, Field(min_length=1, max_length=16)]  # VR SH
CodeString = Annotated[str, Field(pattern=r"^[A-Z0-9_ ]{1,16}$")]  # VR CS
Pattern = Annotated[str, AfterValidator(_regular_expression)]
SopClass = Annotated[str, AfterValidator(_sop_class)]
Bound = Annotated[float, Field(allow_inf_nan=True)]  # [16, inf]: TOML's words for an open side
Pair = Annotated[list[Bound], Field(min_length=2, max_length=2), AfterValidator(_interval)]
Colour = Annotated[int, Field(ge=0, le=255)]
Size = Annotated[int, Field(ge=1)]


class _Table(BaseModel):
    # Strict: "1" is no number.
    model_config = ConfigDict(extra="forbid", strict=True, frozen=True, allow_inf_nan=False)


class _Code(_Table):
    value: Short
    scheme: Short
    meaning: Text

    def concept(self) -> CodedConcept:
        return CodedConcept(self.value, self.scheme, self.meaning)


class _Model(_Table):
    id: Annotated[str, Field(pattern=r"^[a-z][a-z0-9_]{0,63}$")]
    version: Annotated[str, Field(pattern=r"^[0-9A-Za-z][0-9A-Za-z.+-]{0,15}$")]
    title: Text
    intended_use: Annotated[str, Field(min_length=1)]
    demonstration: bool = False


class _Algorithm(_Table):
    name: Text
    manufacturer: Text
    # CID 7162 Algorithm Family
    family: _Code = _Code(value="123110", scheme="DCM", meaning="Artificial Intelligence")


class _Input(_Table):
    modality: list[CodeString] = []
    sop_classes: list[SopClass] = []
    body_part: list[CodeString] = []
    body_part_may_be_absent: bool = True
    description_include: list[Pattern] = []
    description_exclude: list[Pattern] = []
    field_of_view_mm: Pair | None = None


class _Limits(_Table):
    orientation: list[Literal["axial", "sagittal", "coronal", "oblique"]] = []
    slices: Pair | None = None
    slice_spacing_mm: Pair | None = None
    pixel_spacing_mm: Pair | None = None


class _Runtime(_Table):
    timeout_s: Annotated[float, Field(gt=0)] | None = None
    precision: Literal["fp32", "fp16", "bf16"] = "fp32"
    window: Annotated[list[Size], Field(min_length=3, max_length=3)] | None = None
    overlap: Annotated[float, Field(ge=0, lt=1)] = 0.5
    batch: Size = 1


class _Weights(_Table):
    file: Annotated[str, Field(pattern=r"^[A-Za-z0-9_][A-Za-z0-9_.-]*$")]
    sha256: Annotated[str, Field(pattern=r"^[0-9a-f]{64}$")]


class _Segment(_Table):
    number: Annotated[int, Field(ge=1, le=255)]
    label: Text
    category: _Code
    type: _Code
    anatomic_region: _Code | None = None
    colour_rgb: Annotated[list[Colour], Field(min_length=3, max_length=3)] | None = None

    def segment(self) -> Segment:
        colour = self.colour_rgb
        return Segment(
            number=self.number,
            label=self.label,
            category=self.category.concept(),
            type=self.type.concept(),
            anatomic_region=None if self.anatomic_region is None else self.anatomic_region.concept(),
            colour_rgb=None if colour is None else (colour[0], colour[1], colour[2]),
        )


class _Package(_Table):
    model: _Model
    algorithm: _Algorithm
    input: _Input = _Input()
    limits: _Limits = _Limits()
    runtime: _Runtime = _Runtime()
    weights: _Weights
    segments: list[_Segment] = []

    @model_validator(mode="after")
    def _numbered_without_gaps(self) -> Self:
        numbers = [segment.number for segment in self.segments]
        if numbers != list(range(1, len(numbers) + 1)):
            raise ValueError(f"segments: numbers count from 1 without gaps, found {numbers}")
        return self


def read_description(folder: Path) -> ModelDescription:
    """The description of the package in ``folder``, which is named like its id.

    Raises:
        InvalidModelPackage: ``details['problems']`` lists each as (key path, problem).
    """
    try:
        raw = tomllib.loads((folder / DESCRIPTION).read_text(encoding="utf-8"))
    except OSError as error:
        raise _invalid(folder, [(DESCRIPTION, error.strerror or "cannot be read")]) from error
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
        raise _invalid(folder, [(DESCRIPTION, f"not valid TOML: {error}")]) from error
    try:
        package = _Package.model_validate(raw)
    except ValidationError as error:
        raise _invalid(folder, [(_key_path(item["loc"]), _words(item["msg"])) for item in error.errors()]) from None
    problems = []
    if package.model.id != folder.name:
        problems.append(("model.id", f"{package.model.id!r}, but the folder is called {folder.name!r}"))
    if not (folder / package.weights.file).is_file():
        problems.append(("weights.file", f"{package.weights.file} is not there"))
    if not (folder / "model.py").is_file():
        problems.append(("model.py", "is not there"))
    if problems:
        raise _invalid(folder, problems)
    return _description(package, folder)


def _description(package: _Package, folder: Path) -> ModelDescription:
    model, algorithm, wanted, limits, runtime = (
        package.model, package.algorithm, package.input, package.limits, package.runtime,
    )  # fmt: skip
    return ModelDescription(
        id=model.id,
        version=model.version,
        title=model.title,
        intended_use=model.intended_use.strip(),
        folder=str(folder),
        algorithm=AlgorithmIdentification(
            algorithm.name, model.version, algorithm.family.concept(), algorithm.manufacturer, package.weights.sha256
        ),
        selection=InputSelection(
            modalities=tuple(wanted.modality),
            sop_classes=tuple(wanted.sop_classes),
            body_parts=tuple(wanted.body_part),
            body_part_may_be_absent=wanted.body_part_may_be_absent,
            description_include=tuple(wanted.description_include),
            description_exclude=tuple(wanted.description_exclude),
            field_of_view_mm=_bounds(wanted.field_of_view_mm),
        ),
        limits=InputLimits(
            orientations=tuple(limits.orientation),
            slices=_bounds(limits.slices),
            slice_spacing_mm=_bounds(limits.slice_spacing_mm),
            pixel_spacing_mm=_bounds(limits.pixel_spacing_mm),
        ),
        runtime=Runtime(
            timeout_s=runtime.timeout_s,
            precision=runtime.precision,
            window=None if runtime.window is None else (runtime.window[0], runtime.window[1], runtime.window[2]),
            overlap=runtime.overlap,
            batch=runtime.batch,
        ),
        weights_file=package.weights.file,
        segments=tuple(segment.segment() for segment in package.segments),
        demonstration=model.demonstration,
    )


def _bounds(pair: list[float] | None) -> Interval:
    if pair is None:
        return Interval()
    low, high = (bound if math.isfinite(bound) else None for bound in pair)
    return Interval(low, high)


def _invalid(folder: Path, problems: list[tuple[str, str]]) -> InvalidModelPackage:
    words = "; ".join(f"{path}: {problem}" if path else problem for path, problem in problems)
    return InvalidModelPackage(f"{folder.name}: {words}", package=folder.name, problems=problems)


def _key_path(location: tuple[Any, ...]) -> str:
    path = ""
    for part in location:
        path += f"[{part}]" if isinstance(part, int) else f".{part}" if path else str(part)
    return path


def _words(message: str) -> str:
    return message.removeprefix("Value error, ")
