"""The step: claim a job, run its model, write and keep the result, save. Whatever goes wrong costs one attempt."""

from __future__ import annotations

import random
import threading
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from typing import Any

import structlog

from node.domain.job import Job
from node.domain.model import ModelDescription
from node.domain.rendition import Wishes, wanted_by
from node.domain.result import ResultObject, SegmentationType, heat_maps_key
from node.domain.retry import Retry, RetryPolicy, decide
from node.errors import AinodeError, InferenceError, JobCanceled
from node.infer import given_priors
from node.infer.due_documents import DueDocumentWriter
from node.infer.heat_maps import description, packed
from node.infer.lease import Ending, KeptLease
from node.infer.record import completion, not_evaluable, result_object, storage_key, wanted_model
from node.ports import (
    Catalogue,
    InferenceRequest,
    JobQueue,
    ModelExecutor,
    ObjectStore,
    ResultHistory,
    ResultStore,
    ResultWriter,
    Run,
)
from node.ports.priors import PriorRecord

log = structlog.get_logger()

# An idle worker asks for work this often: a read of the index of waiting jobs, below 1 ms.
IDLE_S = 0.1
# After the job table could not be asked.
TROUBLE_S = 1.0


class Worker:
    """One device's worker. ``run`` returns when ``stop`` is set and the job in hand is finished or handed back."""

    def __init__(
        self,
        queue: JobQueue,
        catalogue: Catalogue,
        store: ObjectStore,
        results: ResultStore,
        executor: ModelExecutor,
        writer: ResultWriter,
        history: ResultHistory,
        models: Mapping[str, ModelDescription],
        policy: RetryPolicy,
        owner: str,
        lease_s: float = 6.0,
        device: str = "auto",
        timeout_s: float = 900.0,
        grace_s: float = 20.0,
        chance: Callable[[], float] = random.random,
        documents: DueDocumentWriter | None = None,
        wishes: Mapping[str, Wishes] | None = None,
        priors: PriorRecord | None = None,
    ) -> None:
        """``documents`` is asked before every job; ``wishes`` are what destinations want beside what every one gets.

        ``priors`` settles what a job is given that still waits for earlier studies.
        """
        self._queue = queue
        self._catalogue = catalogue
        self._store = store
        self._results = results
        self._executor = executor
        self._writer = writer
        self._history = history
        self._models = models
        self._policy = policy
        self._owner = owner
        self._lease_s = lease_s
        self._device = device
        self._timeout_s = timeout_s
        self._grace_s = grace_s
        self._chance = chance
        self._documents = documents
        self._priors = priors
        self._wishes = {} if wishes is None else wishes
        self._draining = threading.Event()

    def run(self, stop: threading.Event) -> None:
        """Work until ``stop`` is set; the job in hand then has ``grace_s`` to finish before it is handed back."""
        self._draining = stop
        try:
            while not stop.is_set():
                try:
                    idle_s = 0.0 if self.run_once() else IDLE_S
                except Exception as error:  # noqa: BLE001  the worker loop's edge: the job table is away, not the worker
                    log.error("job.table_not_answering", error=type(error).__name__)
                    idle_s = TROUBLE_S
                stop.wait(idle_s)
        finally:
            self._executor.close()

    def run_once(self) -> bool:
        """One due document, then one job: claimed and seen through, so that neither holds up the other.

        False when nothing is due.
        """
        wrote = self._documents is not None and self._documents.run_once()
        job = self._queue.claim(self._owner, self._lease_s)
        if job is None:
            return wrote
        log.info("job.claimed", job=job.id, model=job.model, attempt=job.attempt)
        with KeptLease(self._queue, job, self._lease_s, self._draining, self._grace_s) as lease:
            try:
                self._work(job, lease)
            except JobCanceled as error:
                self._stopped(job, lease.ending, error)
            except AinodeError as error:
                self._failed(job, error)
            except Exception as error:
                log.exception("job.failed", job=job.id)
                self._failed(job, InferenceError(f"{type(error).__name__} in the worker", error=type(error).__name__))
        return True

    def _work(self, job: Job, lease: KeptLease) -> None:
        model = wanted_model(job, self._models)
        sources = tuple(self._catalogue.instances(job.study_instance_uid, job.series_instance_uids))
        locations = tuple(self._store.locate(source.storage_key) for source in sources)
        settled = given_priors.settled(job, self._priors)
        priors = given_priors.images_of(settled, self._catalogue)
        begin = time.monotonic()
        if job.unfit is not None:
            reply = not_evaluable(job.unfit)
        else:
            timeout_s = model.runtime.timeout_s or self._timeout_s
            before = given_priors.located(priors, self._store)
            request = InferenceRequest(model, locations, self._device, timeout_s, before)
            reply = self._executor.run(request, lease.stop)
        ran = time.monotonic()
        earlier = tuple(self._history.earlier(job))
        label_maps = model.segmentation_type is SegmentationType.LABELMAP
        wanted = wanted_by(job.destinations, self._wishes, label_maps)
        images = given_priors.instances_of(priors)
        run = Run(job, model, reply.result, reply.grid, sources, locations, earlier, wanted, images)
        kept = self._kept(run)
        if kept is None:
            _dropped(job)
            return
        objects, heat_maps = kept
        told = {**reply.provenance, **heat_maps, **given_priors.told(settled, priors)}
        durations = {"run": ran - begin, "write": time.monotonic() - ran}
        self._save(run, told, objects, durations, lease)

    def _kept(self, run: Run) -> tuple[Sequence[ResultObject], Mapping[str, Any]] | None:
        """Every object of the run, verified by the writer and durable in the results store; None: no longer ours.

        The heat maps of a run are one file beside its main report, which is the last; the provenance names it.
        """
        written = {storage_key(run.job.study_instance_uid, each): each for each in self._writer.write(run)}
        files = {key: each.part10 for key, each in written.items()}
        told: Mapping[str, Any] = {}
        if run.result.heat_maps:
            data, key = packed(run.result.heat_maps), heat_maps_key([*written][-1])
            files[key] = data
            told = {"heat_maps": description(run.result.heat_maps, data, key)}
        if not self._queue.announce(run.job, [*files]):
            return None
        for key, data in files.items():
            self._results.put(data, key)
        return [result_object(each, key) for key, each in written.items()], told

    def _save(
        self,
        run: Run,
        told: Mapping[str, Any],
        objects: Sequence[ResultObject],
        durations: Mapping[str, float],
        lease: KeptLease,
    ) -> None:
        if lease.ending in (Ending.LOST, Ending.CANCELED):
            raise JobCanceled(lease.ending)
        if self._queue.complete(run.job, completion(run, told, objects, durations)):
            log.info("job.completed", job=run.job.id, outcome=run.result.outcome.value, objects=len(objects))
        else:
            _dropped(run.job)

    def _stopped(self, job: Job, ending: Ending | None, error: JobCanceled) -> None:
        if ending is Ending.LOST:
            log.warning("job.lease_lost", job=job.id)
        elif ending is Ending.CANCELED:
            self._queue.cancel_claimed(job)
            log.info("job.canceled", job=job.id)
        elif ending is Ending.DRAINING:
            self._queue.hand_back(job)
            log.info("job.handed_back", job=job.id)
        else:
            self._failed(job, error)

    def _failed(self, job: Job, error: AinodeError) -> None:
        policy = replace(self._policy, max_attempts=job.max_attempts)
        verdict = decide(error, job.attempt, policy, self._chance())
        delay_s = verdict.delay_s if isinstance(verdict, Retry) else None
        mine = self._queue.fail(job, error, delay_s)
        log.warning(
            "job.attempt_failed", job=job.id, attempt=job.attempt, code=error.code, error=error.message,
            retry_after_s=delay_s, mine=mine,
        )  # fmt: skip


def _dropped(job: Job) -> None:
    log.warning("job.lost", job=job.id)
