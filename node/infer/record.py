"""What a finished run leaves behind, as data. Pure."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any

from node.domain.job import Completion, Job
from node.domain.model import ModelDescription
from node.domain.quality import Check
from node.domain.result import InferenceResult, Outcome, Reason, ResultObject
from node.domain.study import StoredInstance
from node.errors import NotFound
from node.ports import EncodedObject, InferenceReply, Run


def not_evaluable(reason: Reason) -> InferenceReply:
    """The reply for a series that admission found outside the model's limits: no model is asked."""
    check = Check("the model's limits, by the headers", reason.text, "within all of them", False, reason.code)
    told = {"model_was_run": False, "checks": [check.plain()]}
    return InferenceReply(InferenceResult(Outcome.NOT_EVALUABLE, reason=reason), None, told)


def wanted_model(job: Job, models: Mapping[str, ModelDescription]) -> ModelDescription:
    """The installed model that the job asks for.

    Raises:
        NotFound: it is not installed, or in another version; another version would be another result.
    """
    model = models.get(job.model)
    if model is None:
        raise NotFound(f"the model {job.model} is not installed", model=job.model)
    if model.version != job.model_version:
        raise NotFound(
            f"the model {job.model} is installed as {model.version}, the job is for {job.model_version}: reprocess "
            "the study",
            model=job.model,
            installed=model.version,
        )
    return model


def storage_key(study_instance_uid: str, encoded: EncodedObject) -> str:
    """Where a result object is kept: its UIDs are ours and deterministic, so a second attempt replaces the first."""
    return f"{study_instance_uid}/{encoded.series_instance_uid}/{encoded.sop_instance_uid}.dcm"


def result_object(encoded: EncodedObject, key: str) -> ResultObject:
    """The row for an object that is stored under ``key``."""
    return ResultObject(
        sop_class_uid=encoded.sop_class_uid,
        sop_instance_uid=encoded.sop_instance_uid,
        series_instance_uid=encoded.series_instance_uid,
        modality=encoded.modality,
        storage_key=key,
        sha256=hashlib.sha256(encoded.part10).hexdigest(),
        size=len(encoded.part10),
        predecessors=encoded.predecessors,
        rendition=encoded.rendition,
    )


def completion(
    run: Run, told: Mapping[str, Any], objects: Sequence[ResultObject], durations_s: Mapping[str, float]
) -> Completion:
    """What COMPLETED writes. Voxels and heat maps stay out of the database: the files beside it hold them."""
    return Completion(
        result=replace(run.result, segmentation=None, heat_maps=(), parametric_maps=()),
        objects=tuple(objects),
        provenance=provenance(run.model, run.sources, told, durations_s),
    )


def provenance(
    model: ModelDescription,
    sources: Sequence[StoredInstance],
    told: Mapping[str, Any],
    durations_s: Mapping[str, float],
) -> dict[str, object]:
    """From which inputs, by which model and software, on what, in which time a result came."""
    durations = {**told.get("durations_s", {}), **durations_s}
    return {
        "model": model.id,
        "model_version": model.version,
        "weights_sha256": model.algorithm.weights_sha256,
        "inputs": [
            {"sop_instance_uid": source.instance.sop_instance_uid, "sha256": source.sha256} for source in sources
        ],
        **told,
        "durations_s": {stage: round(seconds, 4) for stage, seconds in durations.items()},
    }
