"""Instances, jobs and results as tests need them."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from dataclasses import replace
from datetime import datetime

from node.domain.job import Completion, NewJob, Priority
from node.domain.result import CodedConcept, Finding, InferenceResult, Measurement, Outcome, Reason, ResultObject
from node.domain.study import Instance, StoredInstance, Value

STUDY, SERIES = "1.2.3", "1.2.3.4"
CT, SEG, SR = "1.2.840.10008.5.1.4.1.1.2", "1.2.840.10008.5.1.4.1.1.66.4", "1.2.840.10008.5.1.4.1.1.88.33"
VOLUME = CodedConcept("118565006", "SCT", "Volume")
HIPPOCAMPUS = CodedConcept("5366008", "SCT", "Hippocampus")
ML = CodedConcept("mL", "UCUM", "milliliter")


def stored(
    sop_instance_uid: str,
    at: datetime,
    *,
    content: str = "pixels",
    study: str = STUDY,
    series: str = SERIES,
    association_id: str | None = None,
    attributes: Mapping[str, Value] | None = None,
) -> StoredInstance:
    headers: dict[str, Value] = {
        "Modality": "CT",
        "AccessionNumber": "A1",
        "PatientID": "P1",
        "SeriesDescription": "T1",
    }
    return StoredInstance(
        instance=Instance(study, series, CT, sop_instance_uid, "1.2.840.10008.1.2.1", headers | dict(attributes or {})),
        storage_key=f"{study}/{series}/{sop_instance_uid}-{content}",
        size=len(content),
        sha256=hashlib.sha256(content.encode()).hexdigest(),
        calling_ae="CT1",
        received_at=at,
        association_id=association_id,
    )


def new_job(key: str, **changes: object) -> NewJob:
    job = NewJob(
        key=key,
        model="hippocampus",
        model_version="1.0",
        study_instance_uid=STUDY,
        series_instance_uids=(SERIES,),
        revision=1,
        accession_number="A1",
        destinations=("pacs",),
        priority=Priority.MEDIUM,
    )
    return replace(job, **changes)  # type: ignore[arg-type]


def written(sop_class_uid: str, sop_instance_uid: str) -> ResultObject:
    modality = "SEG" if sop_class_uid == SEG else "SR"
    return ResultObject(sop_class_uid, sop_instance_uid, "1.2.3.99", modality, f"key-{sop_instance_uid}", "ab" * 32, 7)


def completion(prefix: str = "9.1", outcome: Outcome = Outcome.POSITIVE, reason: Reason | None = None) -> Completion:
    """A report and a segmentation, in the wrong order for sending."""
    findings = (Finding(HIPPOCAMPUS, (Measurement(VOLUME, 3.25, ML),), 0.9, 1),) if outcome is Outcome.POSITIVE else ()
    return Completion(
        result=InferenceResult(outcome, findings, reason=reason),
        objects=(written(SR, f"{prefix}.1"), written(SEG, f"{prefix}.2")),
        provenance={"device": "cpu", "seconds": 1.5},
    )
