"""What a person may say of a result, and how it becomes a document; command line, API and pages call the same."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace

import structlog

from node.domain.assessment import Agreement, Assessment, CorrectedValue, Decision, DueAssessment, Word
from node.domain.document import RejectionTitle
from node.domain.rendition import Rendition
from node.domain.result import Outcome, ResultObject
from node.domain.retry import RetryPolicy
from node.errors import AinodeError, AlreadyWithdrawn, StoreUnavailable
from node.ports import Clock, ResultStore
from node.ports.assessments import AssessedReportWriter, Assessments, Keeping, Withdrawing

log = structlog.get_logger()

# Writing takes a second; its writer is given so long.
LEASE_S = 30.0
# About a quarter of an hour, as for every document.
RETRY = RetryPolicy(max_attempts=8, base_s=5.0, cap_s=300.0)
REPORTS = "1.2.840.10008.5.1.4.1.1.88."
KEY_OBJECT_SELECTION = "1.2.840.10008.5.1.4.1.1.88.59"


class Assessing:
    """What a person does."""

    def __init__(self, book: Assessments, clock: Clock) -> None:
        self._book = book
        self._clock = clock

    def accept(self, job: int, by: str, reason: str = "") -> Assessment:
        """
        Raises:
            NotFound, InvalidAssessment, InvalidTransition, AlreadyWithdrawn, Superseded: as ``Assessments.record``.
        """
        return self._book.record(job, Word(Decision.ACCEPT, by, self._clock.now(), reason))

    def reject(self, job: int, by: str, reason: str, title: RejectionTitle = RejectionTitle.QUALITY) -> Assessment:
        """
        Raises:
            NotFound, InvalidAssessment, InvalidTransition, AlreadyWithdrawn, Superseded: as ``Assessments.record``.
        """
        return self._book.record(job, Word(Decision.REJECT, by, self._clock.now(), reason, title))

    def correct(
        self, job: int, by: str, outcome: Outcome | None, values: Sequence[CorrectedValue] = (), reason: str = ""
    ) -> Assessment:
        """
        Raises:
            NotFound, InvalidAssessment, InvalidTransition, AlreadyWithdrawn, Superseded: as ``Assessments.record``.
        """
        word = Word(Decision.CORRECT, by, self._clock.now(), reason, outcome=outcome, values=tuple(values))
        return self._book.record(job, word)

    def undo(self, assessment: int, by: str) -> Assessment:
        """
        Raises:
            NotFound, InvalidTransition: as ``Assessments.undo``.
        """
        return self._book.undo(assessment, by)

    def of_study(self, study_instance_uid: str) -> Sequence[Assessment]:
        return self._book.of_study(study_instance_uid)

    def agreement(self) -> Sequence[Agreement]:
        return self._book.agreement()


class AssessmentWriter:
    """Writes what is due: the reports of what was accepted or corrected; a rejection is a withdrawal."""

    def __init__(
        self,
        book: Assessments,
        results: ResultStore,
        writer: AssessedReportWriter,
        keep: Keeping,
        withdraw: Withdrawing,
        retry: RetryPolicy = RETRY,
    ) -> None:
        self._book = book
        self._results = results
        self._writer = writer
        self._keep = keep
        self._withdraw = withdraw
        self._retry = retry

    def run_once(self) -> int:
        """Everything that is due; how many that were."""
        done = 0
        while (due := self._book.claim(LEASE_S)) is not None:
            self._one(due)
            done += 1
        return done

    def _one(self, due: DueAssessment) -> None:
        try:
            objects = self._rejected(due) if due.assessment.word.decision is Decision.REJECT else self._written(due)
        except AinodeError as error:
            # A full disk, or a database that is away, says nothing of the assessment; a withdrawal is final.
            last = due.attempt >= self._retry.max_attempts and not isinstance(error, StoreUnavailable)
            last = last or isinstance(error, AlreadyWithdrawn)
            delay_s = None if last else self._retry.delay_s(due.attempt, 1.0)
            mine = self._book.fail(due, error, delay_s)
            log.error("assessment.not_written", job=due.job.id, code=error.code, retry_after_s=delay_s, mine=mine)
            return
        if self._book.complete(due, objects):
            log.info("assessment.written", job=due.job.id, decision=due.assessment.word.decision.value)
        else:
            log.warning("assessment.lost", job=due.job.id)

    def _rejected(self, due: DueAssessment) -> Sequence[ResultObject]:
        """The note that rejects it is the withdrawal's, which a worker writes."""
        word = due.assessment.word
        try:
            self._withdraw(due.objects[-1].sop_instance_uid, word.by, word.reason, word.title or RejectionTitle.QUALITY)
        except AlreadyWithdrawn:
            # By a try that died behind it, or by an operator.
            log.info("assessment.withdrawn_before", job=due.job.id)
        return ()

    def _written(self, due: DueAssessment) -> Sequence[ResultObject]:
        if due.job.withdrawn_at is not None:
            raise AlreadyWithdrawn(f"the result of job {due.job.id} was withdrawn before the assessment was written")
        kept = []
        for rendition, reports in self._reports(due).items():
            for one in self._writer.assessed(reports, due.findings, due.assessment, due.before):
                kept.append(self._keep(due.job.study_instance_uid, replace(one, rendition=rendition)))
        return kept

    def _reports(self, due: DueAssessment) -> Mapping[Rendition | None, Sequence[bytes]]:
        """Of each rendition by itself: a destination is told of what it got."""
        found: dict[Rendition | None, list[bytes]] = {}
        for one in due.objects:
            if one.sop_class_uid.startswith(REPORTS) and one.sop_class_uid != KEY_OBJECT_SELECTION:
                with self._results.open(one.storage_key) as file:
                    found.setdefault(one.rendition, []).append(file.read())
        return found
