"""The step beside the runs: documents that are due although no model says anything, written, kept and saved."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace

import structlog

from node.domain.document import DueDocument, Failure, Withdrawal, failure_reason
from node.domain.job import Job
from node.domain.model import InputLimits, InputSelection, ModelDescription, Runtime
from node.domain.rendition import Rendition, Wishes, wanted_by
from node.domain.result import AlgorithmIdentification, CodedConcept, InferenceResult, Outcome, SegmentationType
from node.domain.retry import RetryPolicy
from node.domain.study import ByteRange, StoredInstance
from node.errors import AinodeError, NotFound, ObjectMissing, ResultError, StoreUnavailable
from node.infer.record import provenance, result_object, storage_key, wanted_model
from node.ports import (
    Catalogue,
    DueDocuments,
    EncodedObject,
    ObjectStore,
    RejectionWriter,
    ResultHistory,
    ResultStore,
    ResultWriter,
    Run,
)

log = structlog.get_logger()

# To write a document takes a second, or a few; its writer is given so long, and twice that the next time.
LEASE_S = 6.0
# About a quarter of an hour: what is away for longer is an operator's matter, and he is told.
RETRY = RetryPolicy(max_attempts=8, base_s=5.0, cap_s=300.0)
UNKNOWN = "unknown"
ARTIFICIAL_INTELLIGENCE = CodedConcept("123110", "DCM", "Artificial Intelligence")


class DueDocumentWriter:
    """Writes one due document at a time: what depends on the job and its images alone, not on attempts or the time."""

    def __init__(
        self,
        documents: DueDocuments,
        catalogue: Catalogue,
        store: ObjectStore,
        results: ResultStore,
        writer: ResultWriter,
        rejections: RejectionWriter,
        history: ResultHistory,
        models: Mapping[str, ModelDescription],
        retry: RetryPolicy = RETRY,
        wishes: Mapping[str, Wishes] | None = None,
    ) -> None:
        self._documents = documents
        self._catalogue = catalogue
        self._store = store
        self._results = results
        self._writer = writer
        self._rejections = rejections
        self._history = history
        self._models = models
        self._retry = retry
        self._wishes = {} if wishes is None else wishes

    def run_once(self) -> bool:
        """Write what has been due for the longest; False when nothing is."""
        document = self._documents.claim(LEASE_S)
        if document is None:
            return False
        try:
            self._write(document)
        except AinodeError as error:
            self._failed(document, error)
        except Exception as error:
            log.exception("document.failed", job=document.job.id)
            self._failed(document, ResultError(f"{type(error).__name__} in the writer of documents"))
        return True

    def _write(self, document: DueDocument) -> None:
        if document.withdrawal is not None:
            self._keep(document, self._notes(document, document.withdrawal))
            return
        run = self._failed_run(document)
        assert run.result.reason is not None
        told = {"model_was_run": False, "error_code": document.job.error_code}
        failure = Failure(run.result.reason, provenance(run.model, run.sources, told, {}))
        self._keep(document, self._writer.write(run), failure)

    def _notes(self, document: DueDocument, withdrawal: Withdrawal) -> list[EncodedObject]:
        """One for each rendition: a destination is told of what it got, and gets no reference to anything else."""
        parts: dict[Rendition | None, list[bytes]] = {}
        for written in document.objects:
            with self._results.open(written.storage_key) as file:
                parts.setdefault(written.rendition, []).append(file.read())
        return [
            replace(self._rejections.reject(objects, withdrawal), rendition=rendition)
            for rendition, objects in parts.items()
        ]

    def _failed_run(self, document: DueDocument) -> Run:
        job = document.job
        reason = failure_reason(job.error_code or UNKNOWN)
        found = tuple(self._catalogue.instances(job.study_instance_uid, job.series_instance_uids))
        sources, locations = self._located(found, partly=document.attempt >= self._retry.max_attempts)
        result = InferenceResult(Outcome.FAILED, reason=reason)
        model, earlier = self._model(job), tuple(self._history.earlier(job))
        wanted = wanted_by(job.destinations, self._wishes, model.segmentation_type is SegmentationType.LABELMAP)
        return Run(job, model, result, None, sources, locations, earlier, wanted)

    def _located(
        self, found: Sequence[StoredInstance], partly: bool
    ) -> tuple[tuple[StoredInstance, ...], tuple[ByteRange, ...]]:
        """The images and where they lie. At the last try a document on those that are left is better than none."""
        there: list[tuple[StoredInstance, ByteRange]] = []
        for source in found:
            try:
                there.append((source, self._store.locate(source.storage_key)))
            except ObjectMissing:
                if not partly:
                    raise
        if not there:
            raise ObjectMissing("no image of the series is left")
        return tuple(source for source, _ in there), tuple(location for _, location in there)

    def _model(self, job: Job) -> ModelDescription:
        """As installed, or as much as the job knows of a model that is not."""
        try:
            return wanted_model(job, self._models)
        except NotFound:
            return absent_model(job)

    def _keep(self, document: DueDocument, objects: Sequence[EncodedObject], failure: Failure | None = None) -> None:
        written = {storage_key(document.job.study_instance_uid, each): each for each in objects}
        kept = self._documents.announce(document, [*written])
        for key, each in written.items() if kept else ():
            self._results.put(each.part10, key)
        rows = [result_object(each, key) for key, each in written.items()]
        if kept and self._documents.complete(document, rows, failure):
            log.info("document.written", job=document.job.id, withdrawn=document.withdrawal is not None)
        else:
            log.warning("document.lost", job=document.job.id)

    def _failed(self, document: DueDocument, error: AinodeError) -> None:
        """A full disk, or a database that is away, says nothing of the document: that is tried until they are back."""
        last = document.attempt >= self._retry.max_attempts and not isinstance(error, StoreUnavailable)
        delay_s = None if last else self._retry.delay_s(document.attempt, 1.0)
        mine = self._documents.fail(document, error, delay_s)
        log.error(
            "document.not_written", job=document.job.id, attempt=document.attempt, code=error.code,
            retry_after_s=delay_s, mine=mine,
        )  # fmt: skip


def absent_model(job: Job) -> ModelDescription:
    """What a document can say of a model that is not installed: its id and its version."""
    algorithm = AlgorithmIdentification(job.model, job.model_version, ARTIFICIAL_INTELLIGENCE, UNKNOWN, UNKNOWN)
    return ModelDescription(
        id=job.model,
        version=job.model_version,
        title=job.model,
        intended_use=UNKNOWN,
        folder="",
        algorithm=algorithm,
        selection=InputSelection(),
        limits=InputLimits(),
        runtime=Runtime(),
        weights_file="",
    )
