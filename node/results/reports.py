"""Which SR documents a run has, and which findings stand in each: one document for each template of groups."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from node.domain.result import Finding, GraphicType
from node.results.context import ResultContext

# PS3.16: a region that a segment delineates, a region that a polygon delineates, anything else.
SEGMENT_GROUP, REGION_GROUP, OTHER_GROUP = "1411", "1410", "1501"
GROUP_TEMPLATES = (SEGMENT_GROUP, REGION_GROUP, OTHER_GROUP)


@dataclass(frozen=True, slots=True)
class Report:
    """One document; ``findings`` are indices, each of a group after ``template``. ``is_root``: the main report.

    Each is in a series of its own: viewers show one document of a series, the last.
    """

    template: str
    series_kind: str
    sop_instance_uid: str
    instance_number: int
    findings: tuple[int, ...]

    @property
    def is_root(self) -> bool:
        return self.instance_number == 1


def template_of(run: ResultContext, finding: Finding) -> str:
    """The template of the finding's measurement group."""
    if run.segment_of(finding) is not None:
        return SEGMENT_GROUP
    delineated = finding.location is not None and finding.location.graphic_type is GraphicType.POLYGON
    return REGION_GROUP if delineated else OTHER_GROUP


def template_told(finding: Mapping[str, Any], has_segmentation: bool) -> str:
    """As ``template_of``, of a finding as the job table tells it."""
    if finding["segment"] is not None and has_segmentation:
        return SEGMENT_GROUP
    location = finding["location"]
    return REGION_GROUP if location is not None and location["graphic_type"] == GraphicType.POLYGON else OTHER_GROUP


def reports_of(run: ResultContext) -> tuple[Report, ...]:
    """The main report, which there always is and which holds what is delineated best, and the further ones.

    TID 1500 allows all kinds of group in one document, but validators in use reject the mixture.
    """
    held: dict[str, list[int]] = {template: [] for template in GROUP_TEMPLATES}
    for index, finding in enumerate(run.run.result.findings):
        held[template_of(run, finding)].append(index)
    used = [template for template in GROUP_TEMPLATES if held[template]] or [OTHER_GROUP]
    return tuple(
        Report(
            template,
            f"SR {template}" if number > 1 else "SR",
            run.further_report_uid(template) if number > 1 else run.sop_instance_uid("SR"),
            number,
            tuple(held[template]),
        )
        for number, template in enumerate(used, 1)
    )
