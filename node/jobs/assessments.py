"""What persons say of results, as rows (``ports.Assessments``)."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict
from datetime import datetime, timedelta
from typing import Any

from sqlalchemy import ColumnElement, Connection, Engine, Row, and_, func, insert, select, update

from node.database import audit
from node.database.alerts import raise_alerts
from node.database.job_rows import job_from_row
from node.database.result_rows import objects_of
from node.database.sending import Sending
from node.database.statements import in_state
from node.database.tables import assessment, result, series
from node.database.tables import job as jobs
from node.database.unit_of_work import UnitOfWork
from node.domain.assessment import (
    UNDO,
    Agreement,
    Assessment,
    AssessmentState,
    CorrectedValue,
    Counted,
    Decision,
    DueAssessment,
    Word,
    agreements,
    checked,
)
from node.domain.audit import SYSTEM, USER, Action, Use
from node.domain.document import RejectionTitle, ResultKind
from node.domain.job import JobState
from node.domain.rendition import Wishes
from node.domain.result import Outcome, ResultObject
from node.domain.study import Value
from node.errors import AinodeError, AlreadyWithdrawn, InvalidTransition, NotFound, Superseded
from node.jobs.due import claim_first
from node.jobs.uses import job_subject
from node.ports import Clock

GIVEN_UP = "assessment_given_up"
UNKNOWN_SCANNER = "unknown"
_SCANNER = ("Manufacturer", "ManufacturerModelName", "StationName")
_UNDONE = AssessmentState.UNDONE


class SqlAssessments:
    """``delivery_attempts`` is the budget of a document's deliveries, ``wishes`` what is sent, both by destination.

    ``actor`` is who writes what is due, for the log of uses; what a person says is logged under his own name.
    """

    def __init__(
        self,
        engine: Engine,
        clock: Clock,
        delivery_attempts: Mapping[str, int] | None = None,
        wishes: Mapping[str, Wishes] | None = None,
        actor: str = SYSTEM,
    ) -> None:
        self._work = UnitOfWork(engine)
        self._clock = clock
        self._actor = actor
        self._sending = Sending(dict(delivery_attempts or {}), {} if wishes is None else wishes)
        self._locks = engine.dialect.name == "postgresql"

    # ------------------------------------------------------------ what a person does

    def record(self, job_id: int, word: Word) -> Assessment:
        return self._work.write(lambda connection: self._record(connection, job_id, word))

    def _record(self, connection: Connection, job_id: int, word: Word) -> Assessment:
        job = connection.execute(select(jobs).where(jobs.c.id == job_id).with_for_update()).first()
        if job is None:
            raise NotFound(f"no job {job_id}")
        _require_current(job)
        under_way = and_(assessment.c.job_id == job_id, in_state(assessment.c.state, AssessmentState.PENDING))
        if connection.execute(select(assessment.c.id).where(under_way)).first() is not None:
            raise InvalidTransition(f"job {job_id} was assessed a moment ago: undo that first")
        word = checked(word, Outcome(job.outcome), job.findings or [])
        values = {
            "job_id": job_id,
            "study_instance_uid": job.study_instance_uid,
            "model": job.model,
            "model_version": job.model_version,
            "scanner": _scanner_of(connection, job),
            "outcome_found": job.outcome,
            "decision": word.decision,
            "said_by": word.by,
            "said_at": word.at,
            "reason": word.reason,
            "title": word.title,
            "outcome": word.outcome,
            "corrected": [asdict(one) for one in word.values],
            "state": AssessmentState.PENDING,
            "due_at": word.at + UNDO,
            "attempt": 0,
        }
        row = connection.execute(insert(assessment).values(**values).returning(*assessment.c)).one()
        self._log(connection, f"{USER}:{word.by}", Action.RESULT_ASSESSED, row, word.at)
        return _assessment(row)

    def undo(self, assessment_id: int, by: str) -> Assessment:
        now = self._clock.now()
        return self._work.write(lambda connection: self._undo(connection, assessment_id, by, now))

    def _undo(self, connection: Connection, assessment_id: int, by: str, now: datetime) -> Assessment:
        there = assessment.c.id == assessment_id
        row = connection.execute(select(assessment).where(there).with_for_update()).first()
        if row is None:
            raise NotFound(f"no assessment {assessment_id}")
        if row.said_by != by:
            raise InvalidTransition(f"assessment {assessment_id} is another person's")
        if row.attempt or not _assessment(row).undoable(now):
            raise InvalidTransition(f"assessment {assessment_id} cannot be undone any more: assess the result again")
        undone = update(assessment).where(there).values(state=_UNDONE, due_at=None, done_at=now)
        row = connection.execute(undone.returning(*assessment.c)).one()
        self._log(connection, f"{USER}:{by}", Action.ASSESSMENT_UNDONE, row, now)
        return _assessment(row)

    def of_study(self, study_instance_uid: str) -> Sequence[Assessment]:
        of_it = select(assessment).where(assessment.c.study_instance_uid == study_instance_uid)
        with self._work.read() as connection:
            return [_assessment(row) for row in connection.execute(of_it.order_by(assessment.c.id))]

    # ------------------------------------------------------------ what becomes of it

    def claim(self, lease_s: float) -> DueAssessment | None:
        now = self._clock.now()
        waiting = in_state(assessment.c.state, AssessmentState.PENDING)
        due = select(assessment.c.id).where(waiting, assessment.c.due_at <= now)
        due = due.order_by(assessment.c.due_at, assessment.c.id).limit(1)
        until = now + timedelta(seconds=lease_s)
        return claim_first(self._work, due, self._locks, lambda connection, row: _claimed(connection, row.id, until))

    def complete(self, due: DueAssessment, objects: Sequence[ResultObject]) -> bool:
        now = self._clock.now()
        done = {"state": AssessmentState.WRITTEN, "due_at": None, "done_at": now, "error": None}

        def step(connection: Connection) -> bool:
            row = connection.execute(
                update(assessment).where(_held(due)).values(**done).returning(*assessment.c)
            ).first()
            if row is None:
                return False
            of_job = select(result.c.sop_instance_uid).where(result.c.job_id == due.job.id)
            known = set(connection.execute(of_job).scalars())
            outcome = Outcome(row.outcome or row.outcome_found)
            self._sending.insert(
                connection, due.job, objects, outcome, due.job.priority, now, ResultKind.ASSESSMENT, known
            )
            self._log(connection, self._actor, Action.ASSESSMENT_WRITTEN, row, now, objects)
            return True

        return self._work.write(step)

    def fail(self, due: DueAssessment, error: AinodeError, retry_after_s: float | None) -> bool:
        now = self._clock.now()
        again = None if retry_after_s is None else now + timedelta(seconds=retry_after_s)
        state = AssessmentState.FAILED if again is None else AssessmentState.PENDING

        def step(connection: Connection) -> bool:
            values = {"state": state, "due_at": again, "error": error.code}
            saved = connection.execute(update(assessment).where(_held(due)).values(**values)).rowcount == 1
            if saved and again is None:
                detail: dict[str, Value] = {
                    "study_instance_uid": due.job.study_instance_uid,
                    "job": due.job.id,
                    "error": error.code,
                }
                raise_alerts(connection, [(GIVEN_UP, due.job.series_instance_uids[0], detail)], now)
            return saved

        return self._work.write(step)

    def agreement(self) -> Sequence[Agreement]:
        with self._work.read() as connection:
            return agreements(_counted(row) for row in connection.execute(COUNTED))

    def _log(
        self,
        connection: Connection,
        actor: str,
        action: Action,
        row: Row[*tuple[Any, ...]],
        now: datetime,
        objects: Sequence[ResultObject] = (),
    ) -> None:
        """Without the person's own words: they are a reader's, and may name anybody."""
        told: dict[str, Any] = {
            "assessment": row.id,
            "decision": row.decision,
            "outcome": row.outcome,
            "title": row.title,
        }
        if objects:
            told["objects"] = [{"sop_instance_uid": one.sop_instance_uid, "sha256": one.sha256} for one in objects]
        audit.append(connection, actor, now, [Use(action, job_subject(row.job_id), row.study_instance_uid, told)])


# The latest word on each job, as it counts: one that was undone was never said.
_LATER = assessment.alias()
COUNTED = (
    select(
        assessment.c.model,
        assessment.c.model_version,
        assessment.c.scanner,
        assessment.c.outcome_found,
        assessment.c.decision,
        assessment.c.outcome,
        assessment.c.title,
        func.count().label("many"),
    )
    .where(
        assessment.c.state != _UNDONE,
        ~select(_LATER.c.id)
        .where(_LATER.c.job_id == assessment.c.job_id, _LATER.c.id > assessment.c.id, _LATER.c.state != _UNDONE)
        .exists(),
    )
    .group_by(
        assessment.c.model,
        assessment.c.model_version,
        assessment.c.scanner,
        assessment.c.outcome_found,
        assessment.c.decision,
        assessment.c.outcome,
        assessment.c.title,
    )
)


def _require_current(job: Row[*tuple[Any, ...]]) -> None:
    if job.state != JobState.COMPLETED:
        raise InvalidTransition(f"job {job.id} is {job.state}: it has no result to be assessed")
    if job.withdrawn_at is not None:
        raise AlreadyWithdrawn(f"the result of job {job.id} was withdrawn, by {job.withdrawn_by}")
    if job.superseded_at is not None:
        raise Superseded(f"job {job.id} is superseded: assess the result that stands for it")


def _scanner_of(connection: Connection, job: Row[*tuple[Any, ...]]) -> str:
    """Manufacturer, model and station of the first of its series, as far as they are stated."""
    of_job = select(series.c.attributes).where(
        series.c.study_instance_uid == job.study_instance_uid,
        series.c.series_instance_uid.in_(job.series_instance_uids),
    )
    stated = connection.execute(of_job.order_by(series.c.id).limit(1)).scalar() or {}
    words = [" ".join(str(stated[key]).split()) for key in _SCANNER if stated.get(key)]
    return " / ".join(words) or UNKNOWN_SCANNER


def _held(due: DueAssessment) -> ColumnElement[bool]:
    return and_(
        assessment.c.id == due.assessment.id,
        assessment.c.state == AssessmentState.PENDING,
        assessment.c.due_at == due.lease_until,
        assessment.c.attempt == due.attempt,
    )


def _claimed(connection: Connection, assessment_id: int, until: datetime) -> DueAssessment:
    held = update(assessment).where(assessment.c.id == assessment_id)
    row = connection.execute(held.values(due_at=until, attempt=assessment.c.attempt + 1).returning(*assessment.c)).one()
    job = connection.execute(select(jobs).where(jobs.c.id == row.job_id)).one()
    earlier = select(assessment).where(
        assessment.c.job_id == row.job_id,
        assessment.c.id < row.id,
        assessment.c.state == AssessmentState.WRITTEN,
        assessment.c.decision != Decision.REJECT,
    )
    before = connection.execute(earlier.order_by(assessment.c.id.desc()).limit(1)).first()
    return DueAssessment(
        _assessment(row),
        job_from_row(job),
        objects_of(connection, row.job_id, ResultKind.RESULT),
        tuple(job.findings or ()),
        row.attempt,
        row.due_at,
        None if before is None else _assessment(before),
    )


def _assessment(row: Row[*tuple[Any, ...]]) -> Assessment:
    word = Word(
        Decision(row.decision),
        row.said_by,
        row.said_at,
        row.reason,
        None if row.title is None else RejectionTitle(row.title),
        None if row.outcome is None else Outcome(row.outcome),
        tuple(CorrectedValue(**one) for one in row.corrected),
    )
    return Assessment(
        row.id,
        row.job_id,
        row.study_instance_uid,
        row.model,
        row.model_version,
        row.scanner,
        Outcome(row.outcome_found),
        word,
        AssessmentState(row.state),
        row.error,
    )


def _counted(row: Row[*tuple[Any, ...]]) -> Counted:
    return Counted(
        row.model,
        row.model_version,
        row.scanner,
        Outcome(row.outcome_found),
        Decision(row.decision),
        None if row.outcome is None else Outcome(row.outcome),
        None if row.title is None else RejectionTitle(row.title),
        row.many,
    )
