"""Re-read a written report: its flags, its evidence and references, one measurement group for each finding."""

from __future__ import annotations

from collections.abc import Sequence

from pydicom.dataset import Dataset

from node.results.context import ResultContext
from node.results.reading import evidence, name_of, references_of_content, walk
from node.results.reports import Report
from node.results.verify_groups import MEASUREMENT_GROUP, verify_group
from node.results.voxels import require

OUTCOME = "111017"


def verify_report(context: ResultContext, report: Report, dataset: Dataset, others: Sequence[Dataset]) -> None:
    """``others`` are the objects of the run that this report has to refer to: all of them, where it is the root.

    Raises:
        ResultVerificationFailed: as ``verify``.
    """
    where = report.sop_instance_uid
    require(
        (dataset.CompletionFlag, dataset.PreliminaryFlag, dataset.VerificationFlag)
        == ("COMPLETE", "PRELIMINARY", "UNVERIFIED"),
        "COMPLETE, PRELIMINARY, UNVERIFIED",
        where,
    )
    sources = {str(header.SOPInstanceUID): str(header.SOPClassUID) for header in context.headers}
    ours = {str(other.SOPInstanceUID): str(other.SOPClassUID) for other in others}
    listed = {ref.sop_instance_uid: ref.sop_class_uid for ref in evidence(dataset)}
    require(listed == sources | ours, "the evidence is the sources and our objects", where)
    references = list(references_of_content(dataset))
    require(all(listed.get(r.sop_instance_uid) == r.sop_class_uid for r in references), "references resolve", where)
    require(set(ours) <= {r.sop_instance_uid for r in references}, "every object is reachable from the report", where)
    require(sum(name_of(item) == OUTCOME for item in walk(dataset)) == 1, "the outcome is coded", where)
    groups = [item for item in walk(dataset) if name_of(item) == MEASUREMENT_GROUP]
    require(len(groups) == len(report.findings), "one measurement group for each finding", where)
    for index, group in zip(report.findings, groups, strict=True):
        verify_group(context, report, index, group)
