"""``model.toml``: its schema, and its translation into a ``ModelDescription``. Strict: every problem is listed."""

from __future__ import annotations

import re
import tomllib
from dataclasses import replace
from pathlib import Path
from typing import Annotated, Literal, Self

from pydantic import AfterValidator, BaseModel, Field, ValidationError, model_validator
from pydicom import uid

from node.domain.identity import is_uid
from node.domain.model import InputKind, InputLimits, InputSelection, ModelDescription, Runtime
from node.domain.quality import QualityLimits
from node.domain.result import AlgorithmIdentification
from node.errors import InvalidModelPackage
from node.infer.foreign.declaration import Declaration, Undeclarable, declare
from node.infer.foreign.tables import Network, Postprocess, Preprocess
from node.infer.prior_tables import PriorsTable
from node.infer.quality.tables import Intensity, OutOfDistribution
from node.infer.segment_tables import OutputsTable, SegmentTable
from node.infer.tables import STRICT, Code, Pair, Share, Size, Text, bounds, key_path, to_fill_in

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


CodeString = Annotated[str, Field(pattern=r"^[A-Z0-9_ ]{1,16}$")]  # VR CS
Pattern = Annotated[str, AfterValidator(_regular_expression)]
SopClass = Annotated[str, AfterValidator(_sop_class)]


class _Table(BaseModel):
    model_config = STRICT


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
    family: Code = Code(value="123110", scheme="DCM", meaning="Artificial Intelligence")


class _Input(_Table):
    kind: Literal["volume", "image"] = "volume"
    modality: list[CodeString] = []
    sop_classes: list[SopClass] = []
    body_part: list[CodeString] = []
    body_part_may_be_absent: bool = True
    description_include: list[Pattern] = []
    description_exclude: list[Pattern] = []
    field_of_view_mm: Pair | None = None
    contrast_agent: bool = False
    echo_time_ms: Pair | None = None


class _Limits(_Table):
    orientation: list[Literal["axial", "sagittal", "coronal", "oblique"]] = []
    slices: Pair | None = None
    slice_spacing_mm: Pair | None = None
    pixel_spacing_mm: Pair | None = None
    patient_age_years: Pair | None = None
    frames_at_most: Size | None = None
    intensity: Intensity = Intensity()
    truncated_at_most: Share | None = None
    whole_organ: Literal["lungs"] | None = None
    picture_side_px: Pair | None = None
    colour: Literal["grey", "colour"] | None = None
    burned_in_annotation: Literal["refuse", "accept"] | None = None


class _Runtime(_Table):
    timeout_s: Annotated[float, Field(gt=0)] | None = None
    precision: Literal["fp32", "fp16", "bf16"] = "fp32"
    window: Annotated[list[Size], Field(min_length=3, max_length=3)] | None = None
    overlap: Annotated[float, Field(ge=0, lt=1)] = 0.5
    batch: Size = 1
    blend: Literal["gaussian", "constant"] = "gaussian"


class _Weights(_Table):
    # Of a package without code it is network.file.
    file: Annotated[str, Field(pattern=r"^[A-Za-z0-9_][A-Za-z0-9_.-]*$")] | None = None
    sha256: Annotated[str, Field(pattern=r"^[0-9a-f]{64}$")]


class _Package(_Table):
    model: _Model
    algorithm: _Algorithm
    input: _Input = _Input()
    limits: _Limits = _Limits()
    runtime: _Runtime = _Runtime()
    weights: _Weights
    out_of_distribution: OutOfDistribution | None = None
    priors: PriorsTable | None = None
    network: Network | None = None
    preprocess: Preprocess | None = None
    postprocess: Postprocess | None = None
    segments: list[SegmentTable] = []
    outputs: OutputsTable = OutputsTable()

    @property
    def weights_file(self) -> str:
        return (self.network.file if self.network else self.weights.file) or ""

    @model_validator(mode="after")
    def _code_or_a_network(self) -> Self:
        if self.network is None and self.weights.file is None:
            raise ValueError("weights.file: is absent")
        if self.network is None and (self.preprocess or self.postprocess):
            raise ValueError("preprocess, postprocess: only where [network] names a network without code")
        if self.network is not None and self.outputs.segmentation == "fractional":
            raise ValueError("outputs.segmentation: only a package with code can return fractions")
        if self.network is not None and self.priors is not None:
            raise ValueError("priors: only a package with code is given them")
        if self.network is not None and self.weights.file not in (None, self.network.file):
            raise ValueError("weights.file: is network.file where there is a [network]")
        return self

    @model_validator(mode="after")
    def _numbered_without_gaps(self) -> Self:
        numbers = [segment.number for segment in self.segments]
        if numbers != list(range(1, len(numbers) + 1)):
            raise ValueError(f"segments: numbers count from 1 without gaps, found {numbers}")
        return self

    @model_validator(mode="after")
    def _fits_the_kind_of_input(self) -> Self:
        of_a_volume = {
            "limits.orientation": self.limits.orientation,
            "limits.slices": self.limits.slices,
            "limits.slice_spacing_mm": self.limits.slice_spacing_mm,
            "limits.truncated_at_most": self.limits.truncated_at_most is not None,
            "limits.whole_organ": self.limits.whole_organ,
            "runtime.window": self.runtime.window,
            "segments": self.segments,
            "outputs.segmentation": self.outputs.segmentation,
        }
        of_an_image = {
            "limits.frames_at_most": self.limits.frames_at_most,
            "limits.picture_side_px": self.limits.picture_side_px,
            "limits.colour": self.limits.colour,
        }
        foreign, kind = (of_a_volume, "volume") if self.input.kind == "image" else (of_an_image, "image")
        declared = [path for path, value in foreign.items() if value]
        if declared:
            raise ValueError(f'{", ".join(declared)}: only where input.kind is "{kind}"')
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
    problems = list(to_fill_in(raw))
    try:
        package = _Package.model_validate(raw)
    except ValidationError as error:
        known = {path for path, _ in problems}
        found = [(key_path(item["loc"]), _words(item["msg"])) for item in error.errors()]
        raise _invalid(folder, problems + [one for one in found if one[0] not in known]) from None
    if package.model.id != folder.name:
        problems.append(("model.id", f"{package.model.id!r}, but the folder is called {folder.name!r}"))
    cloud = package.out_of_distribution
    if cloud and not (folder / cloud.file).is_file():
        problems.append(("out_of_distribution.file", f"{cloud.file} is not there"))
    if not (folder / package.weights_file).is_file():
        problems.append(("network.file" if package.network else "weights.file", f"{package.weights_file} is not there"))
    if package.network is None and not (folder / "model.py").is_file():
        problems.append(("model.py", "is not there"))
    declaration = None
    try:
        declaration = _declaration(package, folder)
    except Undeclarable as error:
        problems += error.problems
    if problems:
        raise _invalid(folder, problems)
    return _description(package, folder, declaration)


def _declaration(package: _Package, folder: Path) -> Declaration | None:
    if package.network is None:
        return None
    kind = InputKind(package.input.kind)
    return declare(folder, package.network, package.preprocess, package.postprocess, len(package.segments), kind)


def _runtime(runtime: _Runtime, declaration: Declaration | None) -> Runtime:
    """As declared; without a window that of the bundle, where there is one."""
    declared = Runtime(
        timeout_s=runtime.timeout_s,
        precision=runtime.precision,
        window=None if runtime.window is None else (runtime.window[0], runtime.window[1], runtime.window[2]),
        overlap=runtime.overlap,
        batch=runtime.batch,
        blend=runtime.blend,
    )
    windows = declaration.windows if declaration else None
    if windows is None or declared.window is not None:
        return declared
    return replace(declared, window=windows.size, overlap=windows.overlap, batch=windows.batch, blend=windows.blend)


def _description(package: _Package, folder: Path, declaration: Declaration | None) -> ModelDescription:
    model, algorithm, wanted, limits = package.model, package.algorithm, package.input, package.limits
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
            field_of_view_mm=bounds(wanted.field_of_view_mm),
            contrast_agent=wanted.contrast_agent,
            echo_time_ms=bounds(wanted.echo_time_ms),
        ),
        limits=InputLimits(
            orientations=tuple(limits.orientation),
            slices=bounds(limits.slices),
            slice_spacing_mm=bounds(limits.slice_spacing_mm),
            pixel_spacing_mm=bounds(limits.pixel_spacing_mm),
            patient_age_years=bounds(limits.patient_age_years),
            frames_at_most=limits.frames_at_most or 1,
            quality=_quality(limits),
        ),
        runtime=_runtime(package.runtime, declaration),
        weights_file=package.weights_file,
        segments=tuple(segment.segment() for segment in package.segments),
        demonstration=model.demonstration,
        kind=InputKind(wanted.kind),
        declared=declaration.network if declaration else None,
        segmentation_type=package.outputs.segmentation_type(),
        out_of_distribution=package.out_of_distribution.limit() if package.out_of_distribution else None,
        priors=package.priors.wanted(wanted.modality) if package.priors else None,
    )


def _quality(limits: _Limits) -> QualityLimits:
    intensity = limits.intensity
    return QualityLimits(
        saturated_at_most=intensity.saturated_at_most,
        empty_slices_at_most=intensity.empty_slices_at_most,
        percentile_1=bounds(intensity.percentile_1),
        percentile_99=bounds(intensity.percentile_99),
        air_at_least=intensity.air_at_least,
        soft_tissue_at_least=intensity.soft_tissue_at_least,
        truncated_at_most=limits.truncated_at_most,
        whole_organ=limits.whole_organ or "",
        side_px=bounds(limits.picture_side_px),
        colour=limits.colour or "",
        burned_in_annotation=limits.burned_in_annotation or "",
    )


def _invalid(folder: Path, problems: list[tuple[str, str]]) -> InvalidModelPackage:
    words = "; ".join(f"{path}: {problem}" if path else problem for path, problem in problems)
    return InvalidModelPackage(f"{folder.name}: {words}", package=folder.name, problems=problems)


def _words(message: str) -> str:
    return message.removeprefix("Value error, ")
