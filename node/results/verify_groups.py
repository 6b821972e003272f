"""Re-read a measurement group: it says of its finding what the model said, and nothing else."""

from __future__ import annotations

import math

from pydicom.dataset import Dataset

from node.domain.result import Finding
from node.results.context import ResultContext
from node.results.reading import code, coded, images, name_of, named, references, value_code
from node.results.reports import Report, template_of
from node.results.verify_locations import verify_location
from node.results.voxels import require

# A Decimal String has 16 characters.
NUMBER_TOLERANCE = 1e-9
MEASUREMENT_GROUP = "125007"
TRACKING_IDENTIFIER, TRACKING_UID, REFERENCED_SEGMENT = "112039", "112040", "121191"
SOURCE_IMAGE, ILLUSTRATION = "121112", "121200"
FINDING, SITE, PRESENCE = "121071", "363698007", "121052"
ALGORITHM_NAME, ALGORITHM_VERSION, ALGORITHM_PARAMETERS = "111001", "111003", "111002"
PRESENT, ABSENT = "52101004", "272519000"


def verify_group(context: ResultContext, report: Report, index: int, group: Dataset) -> None:
    """
    Raises:
        ResultVerificationFailed: as ``verify``.
    """
    where, finding = report.sop_instance_uid, context.run.result.findings[index]
    template = str(group.ContentTemplateSequence[0].TemplateIdentifier)
    require(template == template_of(context, finding) == report.template, "template of the group", where)
    uids = [str(item.UID) for item in named(group, TRACKING_UID)]
    require(uids == [context.tracking_uid(index)], "Tracking UID", where)
    identifiers = [str(item.TextValue) for item in named(group, TRACKING_IDENTIFIER)]
    require(identifiers == [context.tracking_id(finding)], "Tracking Identifier", where)
    _codes(group, finding, where)
    _segment(context, group, finding, where)
    _images(group, finding, where)
    verify_location(context, group, finding, where)
    _measurements(group, finding, where)
    _algorithm(context, group, where)


def _codes(group: Dataset, finding: Finding, where: str) -> None:
    """What it is, where in the body, whether it is there and what it is like."""
    require([value_code(item) for item in named(group, FINDING)] == [coded(finding.concept)], "Finding", where)
    sites = [value_code(item) for item in named(group, SITE)]
    require(sites == ([coded(finding.site)] if finding.site else []), "Finding Site", where)
    presence = [value_code(item) for item in named(group, PRESENCE)]
    stated = finding.image is not None or not finding.present
    require(presence == ([(PRESENT if finding.present else ABSENT, "SCT")] if stated else []), "presence", where)
    own = {FINDING, SITE, PRESENCE}
    qualities = [
        (code(item.ConceptNameCodeSequence[0]), value_code(item))
        for item in group.ContentSequence
        if item.ValueType == "CODE" and name_of(item) not in own
    ]
    wanted = [(coded(quality.concept), coded(quality.value)) for quality in finding.qualities]
    require(qualities == wanted, "qualities", where)


def _segment(context: ResultContext, group: Dataset, finding: Finding, where: str) -> None:
    segments = [ref.segments for item in named(group, REFERENCED_SEGMENT) for ref in references(item)]
    number = context.segment_of(finding)
    require(segments == ([] if number is None else [(number,)]), "Referenced Segment", where)


def _images(group: Dataset, finding: Finding, where: str) -> None:
    """The image of the finding: of a region as its illustration, else as what was measured."""
    shown = [
        (ref, name_of(item))
        for item in group.ContentSequence
        if item.ValueType == "IMAGE" and name_of(item) in (SOURCE_IMAGE, ILLUSTRATION)
        for ref in images(item)
    ]
    template = str(group.ContentTemplateSequence[0].TemplateIdentifier)
    purpose = SOURCE_IMAGE if template == "1501" else ILLUSTRATION
    require(
        shown == ([] if finding.image is None else [(finding.image, purpose)]), "source images of the finding", where
    )


def _measurements(group: Dataset, finding: Finding, where: str) -> None:
    numbers = [item for item in group.ContentSequence if item.ValueType == "NUM"]
    written = [_measured(item) for item in numbers]
    for measurement in finding.measurements:
        wanted = (coded(measurement.concept), coded(measurement.unit))
        same = [value for *names, value in written if tuple(names) == wanted]
        require(
            any(math.isclose(value, measurement.value, rel_tol=NUMBER_TOLERANCE) for value in same),
            "measurement",
            where,
        )
    expected = len(finding.measurements) + (finding.probability is not None)
    require(len(written) == expected, "number of measurements", where)


def _algorithm(context: ResultContext, group: Dataset, where: str) -> None:
    """Every number says which algorithm and which weights it is from; a group without numbers says it itself."""
    algorithm = context.run.model.algorithm
    for holder in [item for item in group.ContentSequence if item.ValueType == "NUM"] or [group]:
        told = [str(i.TextValue) for name in (ALGORITHM_NAME, ALGORITHM_VERSION) for i in named(holder, name)]
        require(told == [algorithm.name, algorithm.version], "algorithm", where)
        parameters = " ".join(str(item.TextValue) for item in named(holder, ALGORITHM_PARAMETERS))
        require(algorithm.weights_sha256 in parameters, "weights", where)


def _measured(item: Dataset) -> tuple[tuple[str, str], tuple[str, str], float]:
    value = item.MeasuredValueSequence[0]
    return (
        code(item.ConceptNameCodeSequence[0]),
        code(value.MeasurementUnitsCodeSequence[0]),
        float(value.NumericValue),
    )
