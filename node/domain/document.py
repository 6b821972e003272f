"""Documents that are due although no model says anything: of a job that failed, of a result that was withdrawn."""

from __future__ import annotations

import enum
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime

from node.domain.job import Job
from node.domain.result import CodedConcept, Reason, ResultObject


class ResultKind(enum.StrEnum):
    """What an object in the results store is."""

    RESULT = "RESULT"  # what a model said
    FAILED = "FAILED"  # that a run failed
    REJECTION = "REJECTION"  # that the other objects of the job are withdrawn
    ASSESSMENT = "ASSESSMENT"  # the report once more, as a person has accepted or corrected it


class RejectionTitle(enum.StrEnum):
    """Why a result is withdrawn, in an operator's words; ``REJECTIONS`` has the code of each."""

    QUALITY = "quality"
    SAFETY = "safety"
    PATIENT = "patient"
    WORKLIST = "worklist"


# IHE RAD TF-3 4.66.4.1.3.1.3 with PS3.16 CID 7011. An order of another patient is an incorrect worklist entry; there,
# 113039 (Data Retention Policy Expired) says nothing of a result and is no reason to withdraw one.
REJECTIONS: Mapping[RejectionTitle, CodedConcept] = {
    RejectionTitle.QUALITY: CodedConcept("113001", "DCM", "Rejected for Quality Reasons"),
    RejectionTitle.SAFETY: CodedConcept("113037", "DCM", "Rejected for Patient Safety Reasons"),
    RejectionTitle.PATIENT: CodedConcept("113038", "DCM", "Incorrect Modality Worklist Entry"),
    RejectionTitle.WORKLIST: CodedConcept("113038", "DCM", "Incorrect Modality Worklist Entry"),
}


@dataclass(frozen=True, slots=True)
class Withdrawal:
    """An operator's word that a result is not to be used; ``by`` is a login name, ``reason`` goes into the document."""

    at: datetime
    by: str
    reason: str
    title: RejectionTitle


@dataclass(frozen=True, slots=True)
class DueDocument:
    """A document that its writer holds until ``lease_until``; ``attempt`` counts the tries to write it.

    Without ``withdrawal`` it is on the failure of ``job``; with it on the withdrawal of ``objects``.
    """

    job: Job
    attempt: int
    lease_until: datetime
    withdrawal: Withdrawal | None = None
    objects: tuple[ResultObject, ...] = ()


@dataclass(frozen=True, slots=True)
class Failure:
    """What a failed job's row tells once its document is written."""

    reason: Reason
    provenance: dict[str, object]


_SENTENCES: Mapping[str, str] = {
    "WorkerLost": "the process that ran it ended at every attempt",
    "InferenceTimeout": "it was not finished in time",
    "DeviceOutOfMemory": "the images need more memory than there is",
    "NotFound": "the model is not installed, or is installed in another version",
    "InvalidModelPackage": "the model's package cannot be used",
    "WeightsDigestMismatch": "the model's weights are not those that it declares",
    "ModelError": "the model ended with an error",
    "InvalidModelOutput": "the model returned what no result can be made of",
    "ResultVerificationFailed": "a written result did not survive its own re-reading",
    "ObjectMissing": "an image is not in the store any more",
    "StoreUnavailable": "the store did not answer",
}
_ANY_SENTENCE = "an error that has no words of its own"


def failure_reason(error_code: str) -> Reason:
    """Why there is no result, for a reader: the same words for every attempt that ended with the same error.

    The error's own words stay in the job table: they may name files, processes and attempts.
    """
    cause = _SENTENCES.get(error_code, _ANY_SENTENCE)
    return Reason(error_code, f"The analysis failed: {cause}; the images were not evaluated")
