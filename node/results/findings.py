"""What a model returned about its findings, checked before a single content item is made of it. Pure."""

from __future__ import annotations

import math
from collections.abc import Sequence

from pydicom.dataset import Dataset

from node.domain.location import checked_location
from node.domain.result import CodedConcept, Finding
from node.domain.texts import LONG_STRING, require_concept, require_text
from node.errors import InvalidModelOutput
from node.ports import Run
from node.results.codes import require_known

# Names in measurement groups: Finding, Finding Site, Presence of property, Finding category, Measurement Method.
# A quality of that name would say something else.
NAMES_IN_USE = frozenset({"121071", "363698007", "121052", "276214006", "370129005"})


def require_findings(run: Run, segment_numbers: set[int]) -> None:
    """
    Raises:
        InvalidModelOutput: ``details['field']`` names the first thing of a finding that no result can be made of.
    """
    sources = {source.instance.sop_instance_uid for source in run.sources}
    tracked: dict[int, str | None] = {}
    for index, finding in enumerate(run.result.findings):
        field = f"findings[{index}]"
        _finding(finding, field, segment_numbers)
        known = finding.image is None or finding.image.sop_instance_uid in sources
        _require(known, f"{field}.image", "an image that the run did not look at")
        if finding.segment is not None:
            same = tracked.setdefault(finding.segment, finding.tracking_id) == finding.tracking_id
            _require(same, f"{field}.tracking_id", f"another one than an earlier finding of segment {finding.segment}")


def _finding(finding: Finding, field: str, segment_numbers: set[int]) -> None:
    _concept(finding.concept, f"{field}.concept")
    if finding.site is not None:
        _concept(finding.site, f"{field}.site")
    if finding.segment is not None:
        _require(finding.segment in segment_numbers, f"{field}.segment", f"there is no segment {finding.segment}")
    if finding.probability is not None:
        # NaN fails both comparisons
        _require(0.0 <= finding.probability <= 1.0, f"{field}.probability", f"{finding.probability} is not in 0..1")
    if finding.tracking_id is not None:
        require_text(finding.tracking_id, f"{field}.tracking_id", LONG_STRING)
    for index, measurement in enumerate(finding.measurements):
        _concept(measurement.concept, f"{field}.measurements[{index}].concept")
        _concept(measurement.unit, f"{field}.measurements[{index}].unit")
        _require(
            math.isfinite(measurement.value),
            f"{field}.measurements[{index}].value",
            f"{measurement.value} is no number",
        )
    for index, quality in enumerate(finding.qualities):
        _concept(quality.concept, f"{field}.qualities[{index}].concept")
        _concept(quality.value, f"{field}.qualities[{index}].value")
        free = quality.concept.value not in NAMES_IN_USE
        _require(free, f"{field}.qualities[{index}].concept", "a name that a report uses for something else")


def require_locations(run: Run, headers: Sequence[Dataset]) -> None:
    """
    ``headers``: of the sources; they say how large a picture is.

    Raises:
        InvalidModelOutput: a location that is on no image, not on its image, or not on the grid.
    """
    for index, finding in enumerate(run.result.findings):
        if finding.location is None:
            continue
        field = f"findings[{index}].location"
        if run.grid is not None:
            _require(len(run.grid.sources) == run.grid.shape[0], field, "a location on slices without images")
            checked_location(finding.location, field, run.grid.shape, run.grid.affine)
        else:
            _require(finding.image is not None, field, "a location on no image")
            checked_location(finding.location, field, _rows_and_columns(finding, headers), None)


def _rows_and_columns(finding: Finding, headers: Sequence[Dataset]) -> tuple[int, int]:
    assert finding.image is not None
    uid = finding.image.sop_instance_uid
    (header,) = (header for header in headers if str(header.SOPInstanceUID) == uid)
    return int(header.Rows), int(header.Columns)


def _concept(concept: CodedConcept, field: str) -> None:
    require_concept(concept, field)
    require_known(concept, field)


def _require(condition: bool, field: str, problem: str) -> None:
    if not condition:
        raise InvalidModelOutput(f"{field}: {problem}", field=field)
