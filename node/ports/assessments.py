"""What persons say of results: kept, and written as documents."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, Protocol

from node.domain.assessment import Agreement, Assessment, DueAssessment, Word
from node.domain.document import RejectionTitle
from node.domain.result import ResultObject
from node.errors import AinodeError
from node.ports.results import EncodedObject


class Assessments(Protocol):
    """Every save of a writer is fenced by the attempt and the lease of what it claimed: ``False``: no longer yours."""

    def record(self, job_id: int, word: Word) -> Assessment:
        """Keep a word on the result of a job; it is written when it cannot be undone any more.

        Raises:
            NotFound: there is no such job.
            InvalidAssessment: the word does not fit the result.
            InvalidTransition: the job has no result, or another assessment of it is not written yet.
            AlreadyWithdrawn, Superseded: the result is not current.
        """
        ...

    def undo(self, assessment_id: int, by: str) -> Assessment:
        """
        Raises:
            NotFound: there is no such assessment.
            InvalidTransition: it is too late, it is another one's, or it was undone before.
        """
        ...

    def of_study(self, study_instance_uid: str) -> Sequence[Assessment]:
        """Of all its jobs, the oldest first."""
        ...

    def claim(self, lease_s: float) -> DueAssessment | None:
        """The one that has been due for the longest; None when none is due."""
        ...

    def complete(self, due: DueAssessment, objects: Sequence[ResultObject]) -> bool:
        """Result rows and deliveries of the reports in the transaction that says WRITTEN; none of a rejection, whose

        note the withdrawal writes.
        """
        ...

    def fail(self, due: DueAssessment, error: AinodeError, retry_after_s: float | None) -> bool:
        """Due again after that time; without one it is FAILED, with an alert in the same transaction."""
        ...

    def agreement(self) -> Sequence[Agreement]: ...


class AssessedReportWriter(Protocol):
    """Writes the reports that follow those of a run once a person has judged them."""

    def assessed(
        self,
        reports: Sequence[bytes],
        findings: Sequence[Mapping[str, Any]],
        assessment: Assessment,
        before: Assessment | None,
    ) -> Sequence[EncodedObject]:
        """``reports`` are Part 10 files of all reports of a run in one rendition, the main one last; ``findings`` what

        the job table tells of it; ``before`` the assessment that this one follows.

        Raises:
            ResultVerificationFailed: what was written does not read back as it should.
        """
        ...


class Keeping(Protocol):
    """Makes an object durable in the results store."""

    def __call__(self, study_instance_uid: str, written: EncodedObject) -> ResultObject:
        """
        Raises:
            StoreUnavailable: it is not.
        """
        ...


class Withdrawing(Protocol):
    """Rejects the result that a SOP Instance UID names, with all its objects."""

    def __call__(self, uid: str, by: str, reason: str, title: RejectionTitle) -> object:
        """
        Raises:
            AlreadyWithdrawn, InvalidTransition: it cannot be withdrawn (any more, or yet).
        """
        ...
