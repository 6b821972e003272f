"""What the job table tells the log of uses."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from sqlalchemy import Row

from node.domain.audit import Action, Use, provenance_detail
from node.domain.document import DueDocument, Failure, ResultKind
from node.domain.job import Completion, Job
from node.domain.result import ResultObject


def completed(job: Job, completion: Completion) -> Use:
    """Which model, with which weights, of which inputs, wrote which objects."""
    written = {**provenance_detail(completion.provenance), "objects": _objects(completion.objects)}
    return _of_job(Action.JOB_COMPLETED, job, written)


def failed(job: Job | Row[*tuple[Any, ...]], error_code: str) -> Use:
    """``job`` may be a row with the columns that are told of it."""
    return _of_job(Action.JOB_FAILED, job, {"error_code": error_code})


def document(due: DueDocument, objects: Sequence[ResultObject], failure: Failure | None) -> Use:
    """A document that no run wrote: what it is about, and its objects."""
    told = provenance_detail(failure.provenance) if failure is not None else {}
    kind = ResultKind.FAILED if failure is not None else ResultKind.REJECTION
    return _of_job(Action.DOCUMENT_WRITTEN, due.job, {"kind": kind.value, **told, "objects": _objects(objects)})


def job_subject(job_id: int) -> str:
    return f"job {job_id}"


def _of_job(action: Action, job: Job | Row[*tuple[Any, ...]], detail: Mapping[str, Any]) -> Use:
    of_job = {"model": job.model, "model_version": job.model_version, "attempt": job.attempt}
    return Use(action, job_subject(job.id), job.study_instance_uid, {**of_job, **detail})


def _objects(objects: Sequence[ResultObject]) -> list[dict[str, str]]:
    return [{"sop_instance_uid": one.sop_instance_uid, "sha256": one.sha256} for one in objects]
