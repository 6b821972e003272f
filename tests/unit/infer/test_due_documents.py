"""The documents that no model writes: of failures, by what the job knows; of withdrawals."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path

import pytest

from node.domain.document import RejectionTitle, Withdrawal, failure_reason
from node.domain.job import Job, JobState, NewJob
from node.domain.rendition import Rendition, Wishes
from node.domain.result import DocumentRef, EarlierResult, Outcome, ResultObject
from node.domain.retry import RetryPolicy
from node.domain.study import Instance, StoredInstance
from node.errors import AinodeError, ResultVerificationFailed, StoreUnavailable
from node.infer.due_documents import DueDocumentWriter
from node.infer.registry import scan
from node.ports import EncodedObject, Run
from tests.fakes.catalogue import FakeCatalogue
from tests.fakes.documents import FakeDocuments
from tests.fakes.history import FakeHistory
from tests.fakes.queue import FakeJobQueue
from tests.fakes.store import MemoryStore

STUDY, SERIES = "1.2.3.1", "1.2.3.2"
KEY = f"{STUDY}/1.2.8/1.2.9.1.dcm"
MODELS = dict(scan([Path(__file__).parents[2] / "fakes" / "models"], ["threshold"]).models)
WITHDRAWAL = Withdrawal(datetime(2026, 1, 2, tzinfo=UTC), "operator@host", "wrong side", RejectionTitle.QUALITY)


WISHES = {
    "viewer": Wishes(frozenset({Rendition.SECONDARY_CAPTURE})),
    "modern": Wishes(segmentation=Rendition.LABELMAP),
}


class FakeWriter:
    """Of results and of rejections: one object each; raises ``error`` while it is set."""

    def __init__(self) -> None:
        self.runs: list[Run] = []
        self.rejected: list[Sequence[bytes]] = []
        self.error: Exception | None = None

    def write(self, run: Run) -> Sequence[EncodedObject]:
        self.runs.append(run)
        if self.error is not None:
            raise self.error
        return [EncodedObject("1.2.1", "1.2.9.1", "1.2.8", "SR", b"SR")]

    def reject(self, objects: Sequence[bytes], withdrawal: Withdrawal) -> EncodedObject:
        self.rejected.append(objects)
        uid = f"1.2.9.{len(self.rejected) + 1}"
        return EncodedObject("1.2.2", uid, "1.2.8", "KO", withdrawal.reason.encode())


class Node:
    def __init__(self, attempts: int = 3) -> None:
        self.documents, self.writer, self.history = FakeDocuments(), FakeWriter(), FakeHistory()
        self.catalogue, self.results = FakeCatalogue(), MemoryStore()
        self.store = MemoryStore(a=b"first", b=b"second")
        for number, key in enumerate("ab"):
            instance = Instance(STUDY, SERIES, "1.2", f"1.2.3.4.{number}", "1.2.840.10008.1.2.1")
            self.catalogue.record(StoredInstance(instance, key, 5, key * 64, "SCANNER", datetime.now(UTC)))
        self.writes = DueDocumentWriter(
            self.documents, self.catalogue, self.store, self.results, self.writer, self.writer, self.history, MODELS,
            RetryPolicy(attempts, base_s=1.0, cap_s=60.0), WISHES,
        )  # fmt: skip

    def add(self, **changes: object) -> None:
        self.documents.add(failed_job(**changes))


def failed_job(**changes: object) -> Job:
    queue = FakeJobQueue()
    number = queue.enqueue(NewJob("k", "threshold", "1.0.0", STUDY, (SERIES,), 1, "ACC", ("pacs",)))
    job = replace(queue.get(number), state=JobState.FAILED, error_code="WorkerLost", error="ended by SIGSEGV")
    return replace(job, **changes)  # type: ignore[arg-type]


def test_nothing_due() -> None:
    assert Node().writes.run_once() is False


def test_a_failure_is_written_without_a_run_of_the_model() -> None:
    node = Node()
    earlier = EarlierResult((DocumentRef(STUDY, "1.2.7", "1.2.1", "1.2.7.1"),))
    node.history.results = [earlier]
    node.add()
    assert node.writes.run_once() is True
    (run,) = node.writer.runs
    assert (run.result.outcome, run.result.reason) == (Outcome.FAILED, failure_reason("WorkerLost"))
    assert (run.model, run.earlier, run.grid) == (MODELS["threshold"], (earlier,), None)
    assert [location.path for location in run.locations] == ["a", "b"]
    assert (node.documents.announced, node.results.objects) == ([KEY], {KEY: b"SR"})
    ((_, rows, failure),) = node.documents.written
    assert [row.storage_key for row in rows] == [KEY]
    assert failure is not None
    assert failure.provenance["error_code"] == "WorkerLost"
    assert [one["sha256"] for one in failure.provenance["inputs"]] == ["a" * 64, "b" * 64]  # type: ignore[attr-defined]


def test_the_words_are_the_codes_and_never_the_errors_own() -> None:
    node = Node()
    for error in ("the 1st attempt at /var/x", "the 2nd attempt at /var/y"):
        node.add(error=error, attempt=len(node.writer.runs) + 1)
        node.writes.run_once()
    first, second = (run.result for run in node.writer.runs)
    assert first == second
    assert first.reason is not None
    assert "/var" not in first.reason.text
    assert failure_reason("NobodyThoughtOfIt").code == "NobodyThoughtOfIt"


@pytest.mark.parametrize("changes", [{"model": "gone"}, {"model_version": "0.9.0"}])
def test_of_a_model_that_is_not_installed_the_job_says_enough(changes: dict[str, str]) -> None:
    node = Node()
    node.add(error_code="NotFound", **changes)
    node.writes.run_once()
    model = node.writer.runs[0].model
    job = failed_job(**changes)
    assert (model.id, model.version, model.algorithm.name) == (job.model, job.model_version, job.model)
    assert model.algorithm.weights_sha256 == "unknown"


@pytest.mark.parametrize("error", [ResultVerificationFailed("differs"), OSError(), StoreUnavailable()])
def test_a_document_that_cannot_be_written_is_tried_again_later_and_later(error: Exception) -> None:
    node = Node(attempts=3)
    node.writer.error = error
    node.add()
    for _ in range(3):
        assert node.writes.run_once() is True
    lasting = None if not isinstance(error, StoreUnavailable) else 4.0
    assert [delay for _, delay in node.documents.failures] == [1.0, 2.0, lasting]
    codes = {code for code, _ in node.documents.failures}
    assert codes == {error.code if isinstance(error, AinodeError) else "ResultError"}
    assert node.results.objects == {}


def test_the_last_try_takes_what_images_are_left() -> None:
    node = Node(attempts=2)
    node.store.delete("b")
    node.add(error_code="ObjectMissing")
    node.writes.run_once()
    assert (node.documents.failures, node.writer.runs) == ([("ObjectMissing", 1.0)], [])
    node.writes.run_once()
    assert [source.storage_key for source in node.writer.runs[0].sources] == ["a"]
    assert len(node.documents.written) == 1


def test_without_any_image_there_is_no_document() -> None:
    node = Node(attempts=1)
    node.store.delete("a")
    node.store.delete("b")
    node.add(error_code="ObjectMissing")
    node.writes.run_once()
    assert node.documents.failures == [("ObjectMissing", None)]


def test_a_withdrawal_rejects_what_is_kept() -> None:
    node = Node()
    node.results.objects["k"] = b"SEG"
    rejected = ResultObject("1.2.0", "1.2.9.0", "1.2.8", "SEG", "k", "ab" * 32, 3)
    node.documents.add(failed_job(state=JobState.COMPLETED), WITHDRAWAL, (rejected,))
    node.writes.run_once()
    assert (node.writer.runs, node.writer.rejected) == ([], [[b"SEG"]])
    ((_, rows, failure),) = node.documents.written
    assert ([row.modality for row in rows], failure) == (["KO"], None)
    assert node.results.objects[f"{STUDY}/1.2.8/1.2.9.2.dcm"] == b"wrong side"


def test_a_destination_is_told_of_the_withdrawal_of_what_it_got() -> None:
    """One note for each form that not every destination takes."""
    node = Node()
    forms = (None, Rendition.SECONDARY_CAPTURE, Rendition.SECONDARY_CAPTURE, Rendition.LABELMAP)
    objects = []
    for number, form in enumerate(forms):
        node.results.objects[f"k{number}"] = b"%d" % number
        one = ResultObject("1.2.0", f"1.2.7.{number}", "1.2.8", "X", f"k{number}", "ab" * 32, 1, rendition=form)
        objects.append(one)
    node.documents.add(failed_job(state=JobState.COMPLETED), WITHDRAWAL, tuple(objects))
    node.writes.run_once()
    assert node.writer.rejected == [[b"0"], [b"1", b"2"], [b"3"]]
    ((_, rows, _),) = node.documents.written
    assert [row.rendition for row in rows] == [None, Rendition.SECONDARY_CAPTURE, Rendition.LABELMAP]


def test_what_a_destination_wants_beside_goes_into_the_run() -> None:
    node = Node()
    node.add(destinations=("viewer", "pacs"))
    node.writes.run_once()
    assert node.writer.runs[0].renditions == {Rendition.SECONDARY_CAPTURE}


def test_what_is_no_longer_ours_is_not_put() -> None:
    node = Node()
    node.documents.lost = True
    node.add()
    node.writes.run_once()
    assert (node.results.objects, node.documents.written) == ({}, [])
