"""What a model returns that no result can be made of: its field is named, the PACS is told, the worker goes on.

A worker as the node has it, over a database, with the checks of the inference child and the real writers of documents.
"""

from __future__ import annotations

import io
import math
from collections.abc import Callable, Mapping
from dataclasses import replace
from datetime import UTC
from pathlib import Path

import pydicom

from node.app.clock import SystemClock
from node.database.catalogue import SqlCatalogue
from node.database.engine import make_engine
from node.database.history import SqlResultHistory
from node.database.migrations import upgrade
from node.domain.job import JobState, NewJob
from node.domain.result import CodedConcept, Finding, InferenceResult, Measurement, Outcome, Segment, Segmentation
from node.domain.retry import RetryPolicy
from node.domain.study import ByteRange, Grid, Instance, StoredInstance
from node.errors import AinodeError, InvalidModelOutput
from node.infer.due_documents import DueDocumentWriter
from node.infer.outputs import checked
from node.infer.worker import Worker
from node.jobs.documents import SqlDueDocuments
from node.jobs.queue import SqlJobQueue
from node.ports import InferenceReply, InferenceRequest
from node.results.rejection import IocmRejectionWriter
from node.results.writer import DicomResultWriter
from node.show.worklist import Worklist
from tests.fakes.store import MemoryStore
from tests.unit.results.runs import AT, HIPPOCAMPUS, MAKER, MILLILITRE, MODEL, SEGMENTS, VOLUME, grid_of, header, save
from tests.unit.results.runs import positive as expected

SLICES = 3
Say = Callable[[Grid], InferenceResult]


def found(**changes: object) -> InferenceResult:
    return InferenceResult(Outcome.POSITIVE, (replace(Finding(HIPPOCAMPUS), **changes),))  # type: ignore[arg-type]


def three_hundred(grid: Grid) -> InferenceResult:
    first = SEGMENTS[0]
    segments = tuple(Segment(number, f"part {number}", first.category, first.type) for number in range(1, 301))
    result = expected(grid)
    assert result.segmentation is not None
    return replace(result, segmentation=Segmentation(segments, result.segmentation.label_map))


def on_another_grid(grid: Grid) -> InferenceResult:
    return expected(replace(grid, shape=(grid.shape[0], grid.shape[1] + 1, grid.shape[2])))


# By the field that the error names.
BAD: Mapping[str, tuple[str, Say]] = {
    "NaN output": (
        "findings[0].measurements[0].value",
        lambda _: found(measurements=(Measurement(VOLUME, math.nan, MILLILITRE),)),
    ),
    "mask on the wrong grid": ("segmentation.label_map", on_another_grid),
    "300 segments": ("segmentation.segments", three_hundred),
    "unknown code": (
        "findings[0].concept.value",
        lambda _: found(concept=CodedConcept("999999", "DCM", "No such concept")),
    ),
    "probability of 1.2": ("findings[0].probability", lambda _: found(probability=1.2)),
    "70 characters": ("findings[0].concept.meaning", lambda _: found(concept=CodedConcept("1", "SCT", "m" * 70))),
}


class Says:
    """An executor whose model says these things in turn, checked as the inference child does."""

    def __init__(self, *says: Say) -> None:
        self._says = list(says)

    def run(self, request: InferenceRequest, stop: Callable[[], AinodeError | None]) -> InferenceReply:
        grid = grid_of([pydicom.dcmread(image.path) for image in request.images])
        result = checked(self._says.pop(0)(grid), request.model, grid)
        return InferenceReply(result, grid, {"device": "cpu"})

    def close(self) -> None:
        pass


class Files:
    """An object store whose keys are paths."""

    def locate(self, key: str) -> ByteRange:
        return ByteRange(key, 0, Path(key).stat().st_size)


class Node:
    def __init__(self, folder: Path, *says: Say) -> None:
        self.folder = folder
        engine, clock = make_engine(f"sqlite:///{folder / 'node.db'}"), SystemClock()
        upgrade(engine)
        self.engine = engine
        self.catalogue, self.queue = SqlCatalogue(engine, clock), SqlJobQueue(engine, clock)
        self.worklist, self.results = Worklist(engine, clock, committing=[]), MemoryStore()
        writer, history, models = DicomResultWriter(MAKER, zone=UTC), SqlResultHistory(engine), {MODEL.id: MODEL}
        documents = DueDocumentWriter(
            SqlDueDocuments(engine, clock), self.catalogue, Files(), self.results, writer,  # type: ignore[arg-type]
            IocmRejectionWriter(MAKER, UTC), history, models,
        )  # fmt: skip
        self.worker = Worker(
            self.queue, self.catalogue, Files(), self.results, Says(*says), writer, history, models,  # type: ignore[arg-type]
            RetryPolicy(), "w1", lease_s=120.0, documents=documents,
        )  # fmt: skip

    def enqueue(self, name: str, number: int) -> int:
        """A series of its own, so that no result follows another."""
        series, folder = f"1.2.3.{number}", self.folder / str(number)
        folder.mkdir()
        images = [header(k, SeriesInstanceUID=series, SOPInstanceUID=f"{series}.{k + 1}") for k in range(SLICES)]
        for path, image in zip(save(images, folder), images, strict=True):
            place = Instance("1.2.3", series, image.SOPClassUID, image.SOPInstanceUID, "1.2.840.10008.1.2.1")
            self.catalogue.record(StoredInstance(place, str(path), path.stat().st_size, "ab" * 32, "CT1", AT))
        return self.queue.enqueue(NewJob(name, MODEL.id, MODEL.version, "1.2.3", (series,), 0, "A1", ("pacs",)))

    def told(self, job: int) -> pydicom.Dataset:
        """The only document about a job."""
        (written,) = self.worklist.job(job)["objects"]
        (data,) = [data for key, data in self.results.objects.items() if written["sop_instance_uid"] in key]
        return pydicom.dcmread(io.BytesIO(data))


def texts(report: pydicom.Dataset) -> str:
    return " ".join(str(one.value) for one in report.iterall() if one.keyword == "TextValue")


def test_each_is_a_failed_document_with_its_field_and_the_worker_goes_on(tmp_path: Path) -> None:
    node = Node(tmp_path, *(say for _, say in BAD.values()), expected)
    jobs = {name: node.enqueue(name, number) for number, name in enumerate((*BAD, "good"), 1)}
    try:
        # Each turn writes what is due, then runs one job.
        for _ in jobs:
            assert node.worker.run_once()
        assert not node.worker.run_once(), "nothing is left to be told"
        for name, (field, _) in BAD.items():
            job = node.queue.get(jobs[name])
            assert (job.state, job.error_code, job.attempt) == (JobState.FAILED, InvalidModelOutput.code, 1), name
            assert job.error is not None
            assert job.error.startswith(f"{field}:"), (name, job.error)
            report = node.told(job.id)
            assert "FAILED" in report.SeriesDescription, name
            assert "the model returned what no result can be made of" in texts(report), name
            assert report.StudyInstanceUID == "1.2.3"
            assert node.worklist.job(job.id)["outcome"] == Outcome.FAILED
        good = node.queue.get(jobs["good"])
        assert (good.state, good.outcome) == (JobState.COMPLETED, Outcome.POSITIVE)
    finally:
        node.engine.dispose()
