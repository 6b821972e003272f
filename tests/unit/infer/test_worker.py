"""The worker's promise: whatever goes wrong costs one attempt of one job, and the worker lives on."""

from __future__ import annotations

import threading
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import replace
from datetime import UTC, datetime
from hashlib import sha256
from io import BytesIO
from pathlib import Path
from typing import cast

import numpy as np
import pytest

from node.domain.job import JobState, NewJob
from node.domain.model import ModelDescription
from node.domain.rendition import Rendition, Wishes
from node.domain.result import DocumentRef, EarlierResult, HeatMap, InferenceResult, Outcome, Reason, Segmentation
from node.domain.retry import RetryPolicy
from node.domain.study import Grid, Instance, SopRef, StoredInstance
from node.errors import (
    AinodeError,
    DeviceOutOfMemory,
    InferenceTimeout,
    InvalidModelOutput,
    ModelError,
    ResultVerificationFailed,
    StoreUnavailable,
    WorkerLost,
)
from node.infer.heat_maps import packed
from node.infer.registry import scan
from node.infer.worker import Worker
from node.ports import EncodedObject, InferenceReply, Run
from tests.fakes.catalogue import FakeCatalogue
from tests.fakes.executor import ScriptedExecutor
from tests.fakes.history import FakeHistory
from tests.fakes.queue import FakeJobQueue
from tests.fakes.store import MemoryStore
from tests.waiting import wait_for

STUDY, SERIES = "1.2.3.1", "1.2.3.2"
MODELS = dict(scan([Path(__file__).parents[2] / "fakes" / "models"], ["threshold"]).models)
THRESHOLD: ModelDescription = MODELS["threshold"]
GRID = Grid((1, 2, 3), np.eye(4), "1.2.3.3", (SopRef("1.2", "1.2.3.4.0"),))
LABELS = Segmentation(THRESHOLD.segments, np.ones((1, 2, 3), np.uint8))
POSITIVE = InferenceReply(
    InferenceResult(Outcome.POSITIVE, segmentation=LABELS), GRID, {"device": "cpu", "durations_s": {"network": 0.25}}
)
ONCE = RetryPolicy(max_attempts=99, base_s=60.0)


class FakeWriter:
    """Two objects for each run; raises ``error`` instead while it is set."""

    def __init__(self) -> None:
        self.runs: list[Run] = []
        self.error: Exception | None = None
        self.predecessors: tuple[DocumentRef, ...] = ()
        self.rendition: Rendition | None = None

    def write(self, run: Run) -> Sequence[EncodedObject]:
        self.runs.append(run)
        if self.error is not None:
            raise self.error
        seg = EncodedObject("1.2.0", "1.2.9.0", "1.2.8", "SEG", b"SEG", rendition=self.rendition)
        return [seg, EncodedObject("1.2.1", "1.2.9.1", "1.2.8", "SR", b"SR", self.predecessors)]


class Node:
    """A worker with everything around it in memory."""

    def __init__(
        self, *script: InferenceReply | Exception | None, lease_s: float = 60.0, grace_s: float = 60.0
    ) -> None:
        self.queue = FakeJobQueue()
        self.catalogue = FakeCatalogue()
        self.store = MemoryStore(a=b"first", b=b"second")
        self.results = MemoryStore()
        self.executor = ScriptedExecutor(*script)
        self.writer = FakeWriter()
        self.history = FakeHistory()
        for number, key in enumerate("ab"):
            instance = Instance(
                STUDY, SERIES, "1.2", f"1.2.3.4.{number}", "1.2.840.10008.1.2.1", {"InstanceNumber": number}
            )
            self.catalogue.record(StoredInstance(instance, key, 5, key * 64, "SCANNER", datetime.now(UTC)))
        self.worker = Worker(
            queue=self.queue,
            catalogue=self.catalogue,
            store=self.store,
            results=self.results,
            executor=self.executor,
            writer=self.writer,
            history=self.history,
            models=MODELS,
            policy=ONCE,
            owner="host/work-cpu",
            lease_s=lease_s,
            device="cpu",
            grace_s=grace_s,
            chance=lambda: 1.0,
            wishes={"viewer": Wishes(frozenset({Rendition.SECONDARY_CAPTURE}))},
        )

    def enqueue(self, key: str = "k", **changes: object) -> int:
        job = NewJob(key, "threshold", "1.0.0", STUDY, (SERIES,), 1, "ACC", ("pacs",))
        return self.queue.enqueue(replace(job, **changes))  # type: ignore[arg-type]

    @contextmanager
    def running(self) -> Iterator[threading.Event]:
        stop = threading.Event()
        thread = threading.Thread(target=self.worker.run, args=(stop,))
        thread.start()
        try:
            yield stop
        finally:
            stop.set()
            thread.join(30)
            assert not thread.is_alive(), "the worker did not end"


def test_nothing_due() -> None:
    assert Node().worker.run_once() is False


def test_a_job_is_run_written_kept_and_completed() -> None:
    node = Node(POSITIVE)
    job = node.enqueue()
    assert node.worker.run_once() is True
    assert node.queue.get(job).state is JobState.COMPLETED
    assert node.queue.get(job).outcome is Outcome.POSITIVE
    request = node.executor.requests[0]
    assert (request.model, request.device, request.timeout_s) == (THRESHOLD, "cpu", 900.0)
    assert [image.path for image in request.images] == ["a", "b"]
    run = node.writer.runs[0]
    assert run.result.segmentation is LABELS
    assert [source.storage_key for source in run.sources] == ["a", "b"]
    assert node.results.objects == {f"{STUDY}/1.2.8/1.2.9.0.dcm": b"SEG", f"{STUDY}/1.2.8/1.2.9.1.dcm": b"SR"}
    completion = node.queue.completions[job]
    assert completion.result.segmentation is None
    assert [(each.modality, each.size) for each in completion.objects] == [("SEG", 3), ("SR", 2)]
    assert completion.provenance["weights_sha256"] == THRESHOLD.algorithm.weights_sha256
    assert completion.provenance["inputs"] == [
        {"sop_instance_uid": "1.2.3.4.0", "sha256": "a" * 64},
        {"sop_instance_uid": "1.2.3.4.1", "sha256": "b" * 64},
    ]
    assert completion.provenance["durations_s"].keys() == {"network", "run", "write"}  # type: ignore[attr-defined]


def test_what_a_destination_wants_beside_goes_into_the_run_and_into_the_row() -> None:
    node = Node(POSITIVE, POSITIVE)
    node.writer.rendition = Rendition.SECONDARY_CAPTURE
    job = node.enqueue(destinations=("viewer", "pacs"))
    node.worker.run_once()
    assert node.writer.runs[0].renditions == {Rendition.SECONDARY_CAPTURE}
    forms = [each.rendition for each in node.queue.completions[job].objects]
    assert forms == [Rendition.SECONDARY_CAPTURE, None]
    node.enqueue("k2")
    node.worker.run_once()
    assert node.writer.runs[1].renditions == frozenset()


def test_heat_maps_are_kept_beside_the_main_report() -> None:
    """In one file that the provenance names; not in the database."""
    image = SopRef("1.2", "1.2.3.4.0", 2)
    heat_map = HeatMap(image, np.array([[0, 0.5], [0.25, 1]], np.float32))
    node = Node(InferenceReply(InferenceResult(Outcome.POSITIVE, heat_maps=(heat_map,)), None, {"device": "cpu"}))
    job = node.enqueue()
    node.worker.run_once()
    completion = node.queue.completions[job]
    assert completion.result.heat_maps == ()
    key = f"{STUDY}/1.2.8/1.2.9.1.dcm.heat-maps.npz"
    told = cast("dict[str, object]", completion.provenance["heat_maps"])
    assert key in node.queue.announced[job]
    data = node.results.objects[key]
    assert (told["storage_key"], told["images"]) == (key, ["1.2.3.4.0_2"])
    assert (told["size"], told["sha256"]) == (len(data), sha256(data).hexdigest())
    np.testing.assert_array_equal(np.load(BytesIO(data))["1.2.3.4.0_2"], [[0, 128], [64, 255]])
    assert packed((heat_map,)) == data, "the same maps give the same bytes"


def test_the_timeout_of_the_package_comes_before_the_nodes() -> None:
    node = Node(POSITIVE)
    model = replace(THRESHOLD, runtime=replace(THRESHOLD.runtime, timeout_s=7.0))
    node.worker._models = {"threshold": model}
    node.enqueue()
    node.worker.run_once()
    assert node.executor.requests[0].timeout_s == 7.0


def test_an_unfit_series_is_written_down_without_asking_the_model() -> None:
    node = Node()
    job = node.enqueue(unfit=Reason("slices", "the series has 3 slices, the model needs at least 16"))
    node.worker.run_once()
    assert node.executor.requests == []
    assert node.queue.get(job).outcome is Outcome.NOT_EVALUABLE
    assert node.writer.runs[0].grid is None
    assert node.queue.completions[job].provenance["model_was_run"] is False


@pytest.mark.parametrize("error", [InferenceTimeout("slow"), WorkerLost("died"), DeviceOutOfMemory("full"), OSError()])
def test_a_passing_error_costs_one_attempt_and_is_retried_later(error: Exception) -> None:
    node = Node(error)
    job = node.enqueue()
    assert node.worker.run_once() is True
    row = node.queue.get(job)
    assert (row.state, row.attempt) == (JobState.SCHEDULED, 1)
    assert row.run_after is not None
    assert row.error_code == (error.code if isinstance(error, AinodeError) else "InferenceError")


@pytest.mark.parametrize("error", [ModelError("bug"), InvalidModelOutput("NaN", field="outputs")])
def test_a_lasting_error_fails_the_job_at_once(error: AinodeError) -> None:
    node = Node(error)
    job = node.enqueue()
    node.worker.run_once()
    assert (node.queue.get(job).state, node.queue.get(job).error_code) == (JobState.FAILED, error.code)


def test_a_job_fails_when_its_attempts_are_used_up() -> None:
    node = Node(*[WorkerLost("died")] * 3)
    node.worker._policy = RetryPolicy(max_attempts=99, base_s=0.0)
    job = node.enqueue()
    for attempt, state in ((1, JobState.SCHEDULED), (2, JobState.SCHEDULED), (3, JobState.FAILED)):
        assert node.worker.run_once() is True
        assert (node.queue.get(job).attempt, node.queue.get(job).state) == (attempt, state)
    assert node.worker.run_once() is False


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"model": "gone"}, "gone is not installed"),
        ({"model_version": "0.9.0"}, "installed as 1.0.0, the job is for 0.9.0"),
    ],
)
def test_a_model_that_is_not_installed_fails_its_jobs(changes: dict[str, str], words: str) -> None:
    node = Node()
    job = node.enqueue(**changes)
    node.worker.run_once()
    row = node.queue.get(job)
    assert (row.state, row.error_code) == (JobState.FAILED, "NotFound")
    assert words in str(row.error)


def test_an_image_gone_from_the_store() -> None:
    node = Node()
    node.store.delete("b")
    job = node.enqueue()
    node.worker.run_once()
    assert (node.queue.get(job).state, node.queue.get(job).error_code) == (JobState.FAILED, "ObjectMissing")


def test_a_result_that_does_not_verify() -> None:
    node = Node(POSITIVE)
    node.writer.error = ResultVerificationFailed("a voxel differs")
    job = node.enqueue()
    node.worker.run_once()
    assert node.queue.get(job).error_code == "ResultVerificationFailed"
    assert node.results.objects == {}


def test_a_full_disk_is_tried_again() -> None:
    node = Node(POSITIVE)
    node.results.fail_with = StoreUnavailable("no space")
    job = node.enqueue()
    node.worker.run_once()
    assert (node.queue.get(job).state, node.queue.get(job).error_code) == (JobState.SCHEDULED, "StoreUnavailable")
    # Before the first was put, all were announced: what a broken attempt leaves is freed.
    assert node.queue.announced[job] == [f"{STUDY}/1.2.8/1.2.9.0.dcm", f"{STUDY}/1.2.8/1.2.9.1.dcm"]


def test_a_canceled_job_is_stopped() -> None:
    node = Node(None, lease_s=0.3)
    job = node.enqueue()
    with node.running():
        wait_for(lambda: node.executor.requests, "the run began")
        node.queue.cancel(job)
        wait_for(lambda: node.queue.get(job).state is JobState.CANCELED, "the job is canceled")


def test_however_long_the_lease_an_operators_cancel_is_seen_soon() -> None:
    node = Node(None, lease_s=3600.0)
    job = node.enqueue()
    with node.running():
        wait_for(lambda: node.executor.requests, "the run began")
        node.queue.cancel(job)
        wait_for(lambda: node.queue.get(job).state is JobState.CANCELED, "the job is canceled")


def test_what_was_said_before_goes_into_the_run_and_what_is_replaced_into_its_row() -> None:
    node = Node(POSITIVE)
    named = DocumentRef(STUDY, "1.2.7", "1.2.840.10008.5.1.4.1.1.88.34", "1.2.7.1")
    node.history.results = [EarlierResult((named,))]
    node.writer.predecessors = (named,)
    job = node.enqueue()
    node.worker.run_once()
    assert node.history.asked == [job]
    assert node.writer.runs[0].earlier == (EarlierResult((named,)),)
    assert [one.predecessors for one in node.queue.completions[job].objects] == [(), (named,)]


def test_a_lost_lease_drops_everything_quietly() -> None:
    node = Node(None, lease_s=0.3)
    job = node.enqueue()
    with node.running():
        wait_for(lambda: node.executor.requests, "the run began")
        node.queue.take_away(job)
        wait_for(lambda: node.queue.heartbeats > 0, "a heartbeat was answered")
    assert (node.queue.get(job).owner, node.queue.get(job).state) == ("another worker", JobState.IN_PROGRESS)
    assert node.writer.runs == []


def test_a_job_table_away_for_longer_than_the_lease_ends_the_run() -> None:
    node = Node(None, lease_s=0.3)
    job = node.enqueue()
    with node.running():
        wait_for(lambda: node.executor.requests, "the run began")
        node.queue.fail_with = ConnectionError("the database is away")
        wait_for(lambda: node.executor.stopped, "the run was stopped")
        node.queue.fail_with = None
    # Its row still says IN_PROGRESS: the rescue takes it when the lease is over.
    assert node.queue.get(job).state is JobState.IN_PROGRESS
    assert node.writer.runs == []


def test_a_result_that_came_too_late_is_dropped() -> None:
    node = Node(POSITIVE)
    job = node.enqueue()
    write = node.writer.write

    def slowly(run: Run) -> Sequence[EncodedObject]:
        node.queue.take_away(job)
        return write(run)

    node.writer.write = slowly  # type: ignore[method-assign]
    assert node.worker.run_once() is True
    assert node.queue.completions == {}
    assert node.results.objects == {}, "nothing is put that nobody would free"


def test_the_next_job_is_done_after_every_kind_of_failure() -> None:
    node = Node(WorkerLost("died"), ModelError("bug"), ValueError("nobody foresaw this"), POSITIVE)
    jobs = [node.enqueue(key=str(number)) for number in range(4)]
    with node.running():
        wait_for(lambda: node.queue.get(jobs[3]).state is JobState.COMPLETED, "the fourth job is completed")
    states = [node.queue.get(job).state for job in jobs[:3]]
    assert states == [JobState.SCHEDULED, JobState.FAILED, JobState.SCHEDULED]
    assert node.executor.closed


def test_a_draining_worker_finishes_within_its_grace() -> None:
    node = Node(POSITIVE)
    job = node.enqueue()
    stop = threading.Event()
    write = node.writer.write

    def while_draining(run: Run) -> Sequence[EncodedObject]:
        stop.set()
        return write(run)

    node.writer.write = while_draining  # type: ignore[method-assign]
    node.worker.run(stop)
    assert node.queue.get(job).state is JobState.COMPLETED


def test_a_draining_worker_hands_back_what_takes_too_long() -> None:
    node = Node(None, grace_s=0.05)
    job = node.enqueue()
    with node.running():
        wait_for(lambda: node.executor.requests, "the run began")
    row = node.queue.get(job)
    assert (row.state, row.attempt, row.error_code) == (JobState.SCHEDULED, 0, None)
    assert node.executor.closed


def test_a_job_table_away_does_not_end_the_worker() -> None:
    node = Node(POSITIVE)
    node.queue.fail_with = ConnectionError("the database is away")
    job = node.enqueue()
    with node.running():
        wait_for(lambda: node.queue.refusals, "a claim failed")
        node.queue.fail_with = None
        wait_for(lambda: node.queue.get(job).state is JobState.COMPLETED, "the job is completed")
