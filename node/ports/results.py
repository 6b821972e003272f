"""Writing results."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Protocol, TypeVar

from node.domain.job import Job
from node.domain.model import ModelDescription
from node.domain.result import DocumentRef, EarlierResult, InferenceResult
from node.domain.study import ByteRange, Grid, StoredInstance

ContextT_contra = TypeVar("ContextT_contra", contravariant=True)


@dataclass(frozen=True, slots=True)
class EncodedObject:
    """A finished DICOM object as Part 10 bytes; ``predecessors`` are the reports that it names as those it replaces."""

    sop_class_uid: str
    sop_instance_uid: str
    series_instance_uid: str
    modality: str
    part10: bytes
    predecessors: tuple[DocumentRef, ...] = ()


class ResultEncoder(Protocol[ContextT_contra]):
    """Turns one kind of result into a DICOM object; None where the result has nothing of that kind."""

    def encode(self, run: ContextT_contra) -> EncodedObject | None: ...


@dataclass(frozen=True, slots=True)
class Run:
    """What the results step needs to know of a finished run.

    ``sources`` are the images (variant 0) it looked at, ``earlier`` what the model said of the same series before,
    oldest first.
    """

    job: Job
    model: ModelDescription
    result: InferenceResult
    grid: Grid | None
    sources: tuple[StoredInstance, ...]
    locations: tuple[ByteRange, ...]
    earlier: tuple[EarlierResult, ...] = ()


class ResultHistory(Protocol):
    """What was said before."""

    def earlier(self, job: Job) -> Sequence[EarlierResult]:
        """What completed jobs of the same model said of the same series, oldest first; not what the job itself said.

        It does not change any more while the job runs: a job that another one replaces is never completed.
        """
        ...


class ResultWriter(Protocol):
    """Encodes, re-reads and verifies every object of a run."""

    def write(self, run: Run) -> Sequence[EncodedObject]:
        """
        Raises:
            InvalidModelOutput: the result cannot be written; ``details['field']`` names what is wrong.
            ResultVerificationFailed: what was written does not read back as it should.
        """
        ...
