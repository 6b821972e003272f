"""Earlier studies that a job is given: settled once, the same at every attempt."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from node.domain.job import Job
from node.domain.prior import Priors, PriorSeries, PriorState
from node.domain.study import StoredInstance
from node.errors import ObjectMissing
from node.ports import Catalogue, ObjectStore
from node.ports.inference import PriorImages
from node.ports.priors import PriorRecord

OfSeries = tuple[PriorSeries, tuple[StoredInstance, ...]]
TOO_LATE = Priors(PriorState.MISSING, reason="they were not found in the time that the job waits")


def settled(job: Job, record: PriorRecord | None) -> Priors | None:
    """What the job is given; None where its model wants nothing. Who looks for them has had his time."""
    if job.priors is None or job.priors.state is not PriorState.WANTED or record is None:
        return job.priors
    return record.settle(job.id, TOO_LATE)


def images_of(priors: Priors | None, catalogue: Catalogue) -> list[OfSeries]:
    """
    Raises:
        ObjectMissing: images of a prior are here no longer.
    """
    found: list[OfSeries] = []
    for one in priors.series if priors else ():
        instances = tuple(catalogue.instances(one.study_instance_uid, [one.series_instance_uid]))
        if not instances:
            raise ObjectMissing("a prior that the job was given is here no longer: reprocess the study")
        found.append((one, instances))
    return found


def located(priors: Sequence[OfSeries], store: ObjectStore) -> tuple[PriorImages, ...]:
    """
    Raises:
        ObjectMissing: bytes are gone.
    """
    return tuple(
        PriorImages(series, tuple(store.locate(each.storage_key) for each in instances)) for series, instances in priors
    )


def instances_of(priors: Sequence[OfSeries]) -> tuple[StoredInstance, ...]:
    return tuple(each for _, instances in priors for each in instances)


def told(priors: Priors | None, given: Sequence[OfSeries]) -> Mapping[str, Any]:
    """For the provenance: what became of the wish, and every image with its digest."""
    if priors is None:
        return {}
    images = [
        {"sop_instance_uid": each.instance.sop_instance_uid, "sha256": each.sha256} for each in instances_of(given)
    ]
    return {"priors_state": priors.state.value, "priors_reason": priors.reason, "prior_inputs": images}
