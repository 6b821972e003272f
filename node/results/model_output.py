"""What a model returned, checked before a single DICOM attribute is made of it. Pure."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np

from node.domain.result import AlgorithmIdentification, CodedConcept, Outcome, Segment, Segmentation
from node.domain.texts import LONG_STRING, require_concept, require_text
from node.domain.voxels import require_fractions, require_parametric_map
from node.errors import InvalidModelOutput
from node.ports import Run
from node.results.codes import require_known
from node.results.findings import require_findings

WRITABLE = frozenset({Outcome.POSITIVE, Outcome.NEGATIVE, Outcome.NOT_EVALUABLE, Outcome.FAILED})
NOTHING_TO_REPORT = frozenset({Outcome.NOT_EVALUABLE, Outcome.FAILED})
MAX_SEGMENTS = 255  # a label map is uint8


def require_valid(run: Run) -> None:
    """
    Raises:
        InvalidModelOutput: ``details['field']`` names the first thing that no result can be made of.
    """
    result = run.result
    _algorithm(run.model.algorithm)
    _require(result.outcome in WRITABLE, "outcome", f"{result.outcome} is no outcome of a run")
    if result.outcome in (Outcome.NOT_EVALUABLE, Outcome.FAILED):
        _require(result.reason is not None, "reason", f"{result.outcome} without a reason")
    if result.outcome in NOTHING_TO_REPORT:
        _require(not result.findings, "findings", f"findings although the outcome is {result.outcome}")
        _require(not result.parametric_maps, "parametric_maps", f"a map although the outcome is {result.outcome}")
    if result.outcome is Outcome.NEGATIVE:
        _require(not any(one.present for one in result.findings), "findings", "a finding although it is NEGATIVE")
    if result.outcome is Outcome.POSITIVE:
        _require(any(one.present for one in result.findings), "findings", "POSITIVE without a finding")
    if result.reason is not None:
        require_text(result.reason.code, "reason.code", LONG_STRING)
        _require(bool(result.reason.text.strip()), "reason.text", "an empty reason")
    if result.segmentation is not None:
        _segmentation(run, result.segmentation)
    for index, parametric_map in enumerate(result.parametric_maps):
        _require(run.grid is not None, "parametric_maps", "a parametric map without a grid")
        assert run.grid is not None
        require_parametric_map(parametric_map, f"parametric_maps[{index}]", run.grid.shape)
        require_known(parametric_map.quantity, f"parametric_maps[{index}].quantity")
    require_findings(run, {segment.number for segment in described_segments(run)})
    sources = {source.instance.sop_instance_uid for source in run.sources}
    for index, image in enumerate(result.key_images):
        known = image.sop_instance_uid in sources
        _require(known, f"key_images[{index}]", "an image that the run did not look at")


def described_segments(run: Run) -> tuple[Segment, ...]:
    """All segments that the model declares, found or not: a number always means the same structure.

    A model that declares none describes them in its result.
    """
    if run.result.segmentation is None:
        return ()
    return run.model.segments or run.result.segmentation.segments


def private_schemes(run: Run) -> tuple[str, ...]:
    """The private coding schemes (PS3.16 section 8: designators that begin with 99) that a result uses, sorted."""
    return tuple(sorted({concept.scheme for concept in _concepts(run) if concept.scheme.startswith("99")}))


def _concepts(run: Run) -> Iterator[CodedConcept]:
    yield run.model.algorithm.family
    for segment in described_segments(run):
        yield from (segment.category, segment.type)
        if segment.anatomic_region:
            yield segment.anatomic_region
    for finding in run.result.findings:
        yield finding.concept
        if finding.site:
            yield finding.site
        for measurement in finding.measurements:
            yield from (measurement.concept, measurement.unit)
        for quality in finding.qualities:
            yield from (quality.concept, quality.value)
    for parametric_map in run.result.parametric_maps:
        yield from (parametric_map.quantity, parametric_map.unit)


def _algorithm(algorithm: AlgorithmIdentification) -> None:
    require_text(algorithm.name, "algorithm.name", LONG_STRING)
    require_text(algorithm.version, "algorithm.version", LONG_STRING)
    require_text(algorithm.manufacturer, "algorithm.manufacturer", LONG_STRING)
    require_text(algorithm.weights_sha256, "algorithm.weights_sha256", LONG_STRING)
    require_concept(algorithm.family, "algorithm.family")


def _segmentation(run: Run, segmentation: Segmentation) -> None:
    label_map = segmentation.label_map
    _require(run.result.outcome in (Outcome.POSITIVE, Outcome.NEGATIVE), "segmentation", "a segmentation of nothing")
    _require(run.grid is not None, "segmentation", "a segmentation without a grid")
    assert run.grid is not None
    _require(isinstance(label_map, np.ndarray), "segmentation.label_map", "no array")
    _require(label_map.dtype == np.uint8, "segmentation.label_map", f"values of type {label_map.dtype}, not uint8")
    _require(
        label_map.shape == run.grid.shape,
        "segmentation.label_map",
        f"shape {label_map.shape} on a grid of {run.grid.shape}",
    )
    described = described_segments(run)
    _require(
        [segment.number for segment in described] == list(range(1, len(described) + 1)),
        "segmentation.segments",
        "segment numbers do not count from 1 without gaps",
    )
    _require(len(described) <= MAX_SEGMENTS, "segmentation.segments", f"{len(described)}, at most {MAX_SEGMENTS}")
    meant = {(segment.number, segment.category, segment.type) for segment in described}
    _require(
        all((segment.number, segment.category, segment.type) in meant for segment in segmentation.segments),
        "segmentation.segments",
        "not the segments that the model declares",
    )
    highest = int(label_map.max(initial=0))
    _require(
        highest <= len(described),
        "segmentation.label_map",
        f"segment number {highest}, but {len(described)} segments are described",
    )
    require_fractions(segmentation, run.model.segmentation_type, len(described), run.grid.shape)
    for segment in described:
        _segment(segment, f"segmentation.segments[{segment.number}]")


def _segment(segment: Segment, field: str) -> None:
    require_text(segment.label, f"{field}.label", LONG_STRING)
    require_concept(segment.category, f"{field}.category")
    require_concept(segment.type, f"{field}.type")
    if segment.anatomic_region is not None:
        require_concept(segment.anatomic_region, f"{field}.anatomic_region")
    if segment.colour_rgb is not None:
        _require(
            len(segment.colour_rgb) == 3 and all(0 <= value <= 255 for value in segment.colour_rgb),
            f"{field}.colour_rgb",
            "no three values of 0 to 255",
        )


def _require(condition: bool, field: str, problem: str) -> None:
    if not condition:
        raise InvalidModelOutput(f"{field}: {problem}", field=field)
