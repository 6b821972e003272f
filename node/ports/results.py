"""Writing results."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Protocol, TypeVar

from node.domain.document import Withdrawal
from node.domain.job import Job
from node.domain.model import ModelDescription
from node.domain.rendition import Rendition
from node.domain.result import DocumentRef, EarlierResult, InferenceResult
from node.domain.study import ByteRange, Grid, Picture, SopRef, StoredInstance

ContextT_contra = TypeVar("ContextT_contra", contravariant=True)


@dataclass(frozen=True, slots=True)
class EncodedObject:
    """A finished DICOM object as Part 10 bytes; ``predecessors`` are the reports that it names as those it replaces.

    ``rendition`` says which destinations it is for.
    """

    sop_class_uid: str
    sop_instance_uid: str
    series_instance_uid: str
    modality: str
    part10: bytes
    predecessors: tuple[DocumentRef, ...] = ()
    rendition: Rendition | None = None


class ResultEncoder(Protocol[ContextT_contra]):
    """Turns one kind of result into DICOM objects; none where the result has nothing of that kind."""

    def encode(self, run: ContextT_contra) -> Sequence[EncodedObject]: ...


@dataclass(frozen=True, slots=True)
class Run:
    """What the results step needs to know of a finished run.

    ``sources`` are the images (variant 0) it looked at, ``earlier`` what the model said of the same series before,
    oldest first; ``priors`` are images of earlier studies that it was given; ``renditions`` are what at least one
    destination of the job wants beside what every one gets.
    """

    job: Job
    model: ModelDescription
    result: InferenceResult
    grid: Grid | None
    sources: tuple[StoredInstance, ...]
    locations: tuple[ByteRange, ...]
    earlier: tuple[EarlierResult, ...] = ()
    renditions: frozenset[Rendition] = frozenset()
    priors: tuple[StoredInstance, ...] = ()


class SourcePictures(Protocol):
    """The pixels of a source image, for a picture of it."""

    def __call__(self, location: ByteRange, image: SopRef) -> Picture:
        """
        Raises:
            InputError: the image cannot be decoded.
            ObjectMissing: it is gone.
        """
        ...


class ResultHistory(Protocol):
    """What was said before."""

    def earlier(self, job: Job) -> Sequence[EarlierResult]:
        """What jobs of the same model said of the same series, oldest first: results, and documents of failures.

        Of the job itself the failures that were told before this attempt. It does not change any more while the job
        runs: a job that another one replaces is never completed, and its failure is not told.
        """
        ...


class RejectionWriter(Protocol):
    """Writes the note that rejects objects (IHE IOCM)."""

    def reject(self, objects: Sequence[bytes], withdrawal: Withdrawal) -> EncodedObject:
        """``objects`` are Part 10 files of one study; a Key Object Selection that refers to every one of them.

        Raises:
            ResultVerificationFailed: what was written does not read back as it should.
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
