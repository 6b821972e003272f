"""The seams between the steps. Steps import these, never each other; ``app`` supplies what stands behind them.

All times are aware UTC datetimes. Every method that changes something returns only after the change is durable.
"""

from __future__ import annotations

import enum
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from pathlib import Path
from typing import Any, BinaryIO, Protocol, TypeVar

from node.domain.admission import Admission
from node.domain.delivery import CommitmentReport, Delivery
from node.domain.job import Completion, Job, Lease, NewJob, Priority
from node.domain.model import ModelDescription
from node.domain.result import InferenceResult
from node.domain.study import ByteRange, Closure, Grid, OpenSeries, Series, SopRef, StoredInstance, Value, Volume
from node.errors import AinodeError

ContextT_contra = TypeVar("ContextT_contra", contravariant=True)


class Clock(Protocol):
    def now(self) -> datetime: ...


class UidFactory(Protocol):
    """Makes the UIDs of what we write: the same parts give the same UID."""

    def derive(self, *parts: str) -> str: ...


class Metrics(Protocol):
    """Counters and durations; names are the field's, labels never hold patient data."""

    def count(self, name: str, amount: int = 1, **labels: str) -> None: ...

    def observe(self, name: str, seconds: float, **labels: str) -> None: ...


# ---------------------------------------------------------------- bytes at rest


@dataclass(frozen=True, slots=True)
class StoredObject:
    key: str
    size: int


class ObjectStore(Protocol):
    """DICOM Part 10 files under keys. One contract suite runs over every implementation."""

    def incoming(self) -> Path:
        """The folder in which a receiver may collect bytes before ``adopt``; swept at start."""
        ...

    def adopt(self, source: Path, key: str) -> StoredObject:
        """Make the file ``source`` (in ``incoming()``) the object ``key``, durably (file and directory flushed).

        Raises:
            StoreUnavailable: nothing was stored; ``source`` is removed.
        """
        ...

    def put(self, data: bytes, key: str) -> StoredObject:
        """Store ``data`` durably under ``key``; an object already there under the same key is replaced atomically."""
        ...

    def locate(self, key: str) -> ByteRange:
        """Where the bytes lie.

        Raises:
            ObjectMissing: there is no such object.
        """
        ...

    def open(self, key: str) -> BinaryIO: ...

    def delete(self, key: str) -> None:
        """Remove the object; nothing happens where it is absent."""
        ...

    def keys(self) -> Iterator[str]: ...


# ---------------------------------------------------------------- what was received


class Recorded(enum.StrEnum):
    NEW = "NEW"
    DUPLICATE = "DUPLICATE"  # same UID, same bytes: nothing was written
    CONFLICT = "CONFLICT"  # same UID, other bytes: kept beside the first, with an alert


class Catalogue(Protocol):
    """The record of associations, studies, series and instances (ADR 0002: why this is a port)."""

    def open_association(
        self, association_id: str, calling_ae: str, called_ae: str, peer_host: str, receiver: str
    ) -> None: ...

    def end_association(self, association_id: str, how: str) -> None:
        """``how``: ``released``, ``aborted`` or ``lost``."""
        ...

    def end_associations_of(self, receiver: str) -> int:
        """End (as ``lost``) what a receiver process of that name left open when it died."""
        ...

    def classify(self, sop_instance_uid: str, sha256: str) -> Recorded:
        """What ``record`` would answer, without writing."""
        ...

    def record(self, stored: StoredInstance) -> Recorded:
        """Write the instance's row, its series and study where they are new, and, for CONFLICT, an alert.

        A NEW instance of a CLOSED series reopens it: state RECEIVING, revision + 1. ``stored.variant`` is ignored on
        input: the next free number is taken. Safe against two associations that record the same UID at once.
        """
        ...

    def open_series(self) -> Sequence[OpenSeries]:
        """Series in state RECEIVING."""
        ...

    def series(self, series_id: int) -> Series:
        """
        Raises:
            NotFound: there is no such series.
        """
        ...

    def close_series(
        self, series_id: int, revision: int, closure: Closure, admissions: Sequence[Admission], jobs: Sequence[NewJob]
    ) -> bool:
        """One transaction: RECEIVING -> CLOSED, the admissions, the jobs. False if the series moved on meanwhile."""
        ...

    def instances(self, study_instance_uid: str, series_instance_uids: Sequence[str]) -> Sequence[StoredInstance]:
        """Variant 0 of every instance of these series."""
        ...

    def raise_alert(self, kind: str, subject: str, detail: Mapping[str, Value]) -> None: ...


# ---------------------------------------------------------------- the job table


class JobQueue(Protocol):
    """The job table. Every save is fenced by state IN_PROGRESS, ``owner`` and ``attempt`` of the job as claimed:

    ``False`` means "no longer yours": drop the result quietly.
    """

    def enqueue(self, job: NewJob) -> int:
        """The id of the job with this key, made if it did not exist."""
        ...

    def claim(self, owner: str, lease_s: float, models: Sequence[str] | None = None) -> Job | None:
        """The most urgent due job, now IN_PROGRESS with ``attempt`` + 1 and a lease.

        None when the queue is paused or nothing is due.
        """
        ...

    def heartbeat(self, job: Job, lease_s: float) -> Lease: ...

    def complete(self, job: Job, completion: Completion) -> bool:
        """COMPLETED, result rows and one delivery per (object, destination) in one transaction (outbox)."""
        ...

    def fail(self, job: Job, error: AinodeError, retry_after_s: float | None) -> bool:
        """SCHEDULED again with ``run_after`` when ``retry_after_s`` is given, else FAILED. Keeps code and message."""
        ...

    def cancel_claimed(self, job: Job) -> bool:
        """IN_PROGRESS -> CANCELED after the run was stopped."""
        ...

    def hand_back(self, job: Job) -> bool:
        """SCHEDULED again as if never claimed (a worker that drains)."""
        ...

    def rescue(self) -> Sequence[int]:
        """Jobs whose lease is over lose their owner, as ``WorkerLost``; their ids.

        They are retried at once, or FAILED when the attempts are used up.
        """
        ...

    def get(self, job_id: int) -> Job:
        """
        Raises:
            NotFound: there is no such job.
        """
        ...

    def cancel(self, job_id: int) -> None:
        """SCHEDULED -> CANCELED at once; IN_PROGRESS: ``cancel_requested``, its worker stops it.

        Raises:
            NotFound, InvalidTransition
        """
        ...

    def retry(self, job_id: int) -> None:
        """FAILED or CANCELED -> SCHEDULED with a fresh budget of attempts (``attempt`` itself never goes back).

        Raises:
            NotFound, InvalidTransition
        """
        ...

    def prioritise(self, job_id: int, priority: Priority) -> None: ...

    def pause(self) -> None: ...

    def resume(self) -> None: ...

    def paused(self) -> bool: ...


# ---------------------------------------------------------------- results on their way


class Outbox(Protocol):
    """Deliveries and commitments. Saves are fenced by IN_PROGRESS, owner and attempt, as in ``JobQueue``."""

    def claim(self, destination: str, owner: str, lease_s: float, limit: int = 50) -> Sequence[Delivery]:
        """Due deliveries of one job to this destination (segmentations before reports), IN_PROGRESS, attempt + 1."""
        ...

    def stored(self, delivery: Delivery) -> bool: ...

    def fail(self, delivery: Delivery, error: AinodeError, retry_after_s: float | None) -> bool:
        """SCHEDULED again when ``retry_after_s`` is given, else FAILED."""
        ...

    def uncommitted(self, destination: str) -> Sequence[Delivery]:
        """STORED deliveries for which no commitment is under way."""
        ...

    def request_commitment(self, transaction_uid: str, deliveries: Sequence[Delivery], expires_at: datetime) -> None:
        """Keep the Transaction UID before the N-ACTION goes out, so that no report can come too early."""
        ...

    def withdraw_commitment(self, transaction_uid: str) -> None:
        """The N-ACTION failed: its deliveries become ``uncommitted`` again."""
        ...

    def apply_report(self, report: CommitmentReport) -> bool:
        """Committed: STORED -> COMMITTED. Failed: SCHEDULED again (or FAILED) as CommitmentFailed. False: unknown UID.

        Idempotent: the same report twice changes nothing the second time.
        """
        ...

    def expire_commitments(self) -> int:
        """Requests without an answer in time: their deliveries become ``uncommitted`` again."""
        ...

    def rescue(self) -> int:
        """IN_PROGRESS deliveries whose lease is over become SCHEDULED."""
        ...

    def get(self, delivery_id: int) -> Delivery: ...

    def retry(self, delivery_id: int) -> None: ...


@dataclass(frozen=True, slots=True)
class Outgoing:
    """An object to send: where its Part 10 bytes lie."""

    sop_class_uid: str
    sop_instance_uid: str
    location: ByteRange


class Destination(Protocol):
    """One place results go to."""

    @property
    def name(self) -> str: ...

    @property
    def commits(self) -> bool:
        """Whether storage commitment is asked for."""
        ...

    def send(self, objects: Sequence[Outgoing]) -> Sequence[DeliveryOutcome]:
        """Send over one association; one outcome for each object, in order. An error of one is no error of another.

        Raises:
            DeliveryError: nothing could be sent at all (unreachable, rejected).
        """
        ...

    def request_commitment(self, transaction_uid: str, refs: Sequence[SopRef]) -> CommitmentReport | None:
        """N-ACTION; the report if it came on the same association, None if it will come on a new one.

        Raises:
            DeliveryError: the request was not accepted.
        """
        ...

    def echo(self) -> None:
        """
        Raises:
            DeliveryError: the destination does not answer.
        """
        ...


@dataclass(frozen=True, slots=True)
class DeliveryOutcome:
    """``error`` is None when the destination answered Success (or a warning, kept in ``status``)."""

    sop_instance_uid: str
    status: int | None
    error: AinodeError | None = None


# ---------------------------------------------------------------- running models


class Model(Protocol):
    """What a model package gives. Geometry belongs to the node: arrays come and go on the input grid."""

    def preprocess(self, volume: Volume) -> Any:
        """A float32 tensor of shape (1, channels, ...)."""
        ...

    def network(self) -> Any:
        """The ``torch.nn.Module`` without weights; the engine loads them."""
        ...

    def postprocess(self, outputs: Any, volume: Volume) -> InferenceResult:
        """``outputs`` is the network's output for the whole preprocessed input, as a float32 CPU tensor."""
        ...


@dataclass(frozen=True, slots=True)
class InferenceRequest:
    """One run for the child process; ``device`` is ``cpu``, ``cuda`` or ``cuda:1``."""

    model: ModelDescription
    images: tuple[ByteRange, ...]
    device: str
    timeout_s: float


@dataclass(frozen=True, slots=True)
class InferenceReply:
    """``grid`` is None when no volume could be made (the outcome is then NOT EVALUABLE).

    ``provenance`` holds library versions, device, precision and durations in seconds.
    """

    result: InferenceResult
    grid: Grid | None
    provenance: Mapping[str, Any] = field(default_factory=dict)


class ModelExecutor(Protocol):
    """Runs a model where a crash, a hang or an out-of-memory costs one attempt and nothing else."""

    def run(self, request: InferenceRequest, stop: Callable[[], AinodeError | None]) -> InferenceReply:
        """``stop`` is asked several times a second; the error it returns ends the run and is raised.

        Raises:
            InferenceTimeout, WorkerLost, DeviceOutOfMemory, JobCanceled: the attempt is lost.
            ModelError: the package or its output is wrong.
        """
        ...

    def close(self) -> None:
        """End the child."""
        ...


# ---------------------------------------------------------------- writing results


@dataclass(frozen=True, slots=True)
class EncodedObject:
    """A finished DICOM object as Part 10 bytes."""

    sop_class_uid: str
    sop_instance_uid: str
    series_instance_uid: str
    modality: str
    part10: bytes


class ResultEncoder(Protocol[ContextT_contra]):
    """Turns one kind of result into a DICOM object; None where the result has nothing of that kind."""

    def encode(self, run: ContextT_contra) -> EncodedObject | None: ...


@dataclass(frozen=True, slots=True)
class Run:
    """What the results step needs to know of a finished run. ``sources`` are the images (variant 0) it looked at."""

    job: Job
    model: ModelDescription
    result: InferenceResult
    grid: Grid | None
    sources: tuple[StoredInstance, ...]
    locations: tuple[ByteRange, ...]


class ResultWriter(Protocol):
    """Encodes, re-reads and verifies every object of a run."""

    def write(self, run: Run) -> Sequence[EncodedObject]:
        """
        Raises:
            InvalidModelOutput: the result cannot be written; ``details['field']`` names what is wrong.
            ResultVerificationFailed: what was written does not read back as it should.
        """
        ...


# ---------------------------------------------------------------- the node itself


class RoleBoard(Protocol):
    """Which processes serve which role, by their heartbeats."""

    def beat(self, role: str, instance: str, pid: int, host: str, detail: Mapping[str, Value]) -> None: ...

    def leave(self, role: str, instance: str) -> None: ...
