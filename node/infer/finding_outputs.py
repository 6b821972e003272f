"""Whether what a model says of its findings can be written down. Pure."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

import numpy as np
import numpy.typing as npt

from node.domain.location import checked_location
from node.domain.result import CodedConcept, Finding, Measurement, Quality, Segment
from node.domain.study import SopRef
from node.domain.texts import LONG_STRING, require_concept, require_text
from node.errors import InvalidModelOutput


@dataclass(frozen=True, slots=True)
class Place:
    """What a model was given: a volume, or a picture (without ``affine``, its one image as the only slice).

    ``shape`` is (k, r, c) or (r, c), ``sources`` the image of each slice.
    """

    shape: Sequence[int]
    sources: Sequence[SopRef]
    affine: npt.NDArray[np.float64] | None = None


def checked_findings(
    findings: Sequence[Finding], declared: Mapping[int, Segment], present: bool, place: Place
) -> tuple[Finding, ...]:
    """``findings`` with plain Python numbers; where a slice was named, with its image.

    Raises:
        InvalidModelOutput: ``details['field']`` names what is wrong.
    """
    return tuple(
        _finding(f"findings[{index}]", finding, declared, present, place) for index, finding in enumerate(findings)
    )


def image_of_slice(field: str, number: object, place: Place) -> SopRef:
    """
    Raises:
        InvalidModelOutput: there is no such slice.
    """
    if isinstance(number, bool) or not isinstance(number, int | np.integer) or not 0 <= number < len(place.sources):
        raise invalid(field, f"{number!r} is no slice; there are {len(place.sources)}, from 0")
    return place.sources[int(number)]


def _finding(field: str, finding: Finding, declared: Mapping[int, Segment], present: bool, place: Place) -> Finding:
    _require_concept(f"{field}.concept", finding.concept)
    if finding.site is not None:
        _require_concept(f"{field}.site", finding.site)
    if finding.segment is not None and finding.segment not in declared:
        raise invalid(f"{field}.segment", f"segment {finding.segment} is not declared in model.toml")
    if finding.tracking_id is not None:
        require_text(finding.tracking_id, f"{field}.tracking_id", LONG_STRING)
    return replace(
        finding,
        measurements=tuple(
            _measurement(f"{field}.measurements[{number}]", measurement)
            for number, measurement in enumerate(finding.measurements)
        ),
        probability=_probability(f"{field}.probability", finding.probability),
        segment=None if finding.segment is None else int(finding.segment),
        present=present and bool(finding.present),
        image=finding.image if finding.slice is None else image_of_slice(f"{field}.slice", finding.slice, place),
        slice=None if finding.slice is None else int(finding.slice),
        location=checked_location(finding.location, f"{field}.location", place.shape, place.affine)
        if finding.location is not None
        else None,
        qualities=tuple(
            _quality(f"{field}.qualities[{number}]", quality) for number, quality in enumerate(finding.qualities)
        ),
    )


def _measurement(field: str, measurement: Measurement) -> Measurement:
    _require_concept(f"{field}.concept", measurement.concept)
    _require_concept(f"{field}.unit", measurement.unit)
    if measurement.unit.scheme != "UCUM":
        raise invalid(f"{field}.unit", f"a unit of {measurement.unit.scheme}, not of UCUM")
    return Measurement(measurement.concept, number_of(f"{field}.value", measurement.value), measurement.unit)


def _quality(field: str, quality: Quality) -> Quality:
    if not isinstance(quality, Quality):
        raise invalid(field, f"{type(quality).__name__} instead of a Quality")
    _require_concept(f"{field}.concept", quality.concept)
    _require_concept(f"{field}.value", quality.value)
    return quality


def _probability(field: str, value: object) -> float | None:
    probability = None if value is None else number_of(field, value)
    if probability is not None and not 0 <= probability <= 1:
        raise invalid(field, f"{probability:g} lies outside 0 to 1")
    return probability


def number_of(field: str, value: object) -> float:
    """
    Raises:
        InvalidModelOutput: no finite number.
    """
    try:
        number = float(value)  # type: ignore[arg-type]
    except (TypeError, ValueError):
        raise invalid(field, f"{type(value).__name__} is no number") from None
    if not math.isfinite(number):
        raise invalid(field, f"{number} is not finite")
    return number


def _require_concept(field: str, concept: CodedConcept) -> None:
    if isinstance(concept, CodedConcept) and not (concept.value and concept.scheme and concept.meaning):
        raise invalid(field, "a coded concept needs value, scheme and meaning")
    require_concept(concept, field)


def invalid(field: str, problem: str) -> InvalidModelOutput:
    return InvalidModelOutput(f"{field}: {problem}", field=field)
