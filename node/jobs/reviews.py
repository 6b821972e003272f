"""Reviews of studies as workitems (``ports.reviews.Reviews``).

A person performs them: whoever claims one holds it for ``lease_s`` after each word, for workstations are switched off.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from datetime import datetime, timedelta
from typing import Any

from sqlalchemy import Connection, Engine, and_, delete, func, insert, select, update

from node.database import audit
from node.database.review_rows import (
    JOB_STATES,
    REVIEWS,
    inputs_of,
    insert_review,
    review_from_row,
    review_uid,
    wanted,
)
from node.database.statements import in_state, insert_new
from node.database.subscription_rows import note
from node.database.tables import review, review_change, setting
from node.database.unit_of_work import UnitOfWork
from node.domain.audit import SYSTEM, Action, Use
from node.domain.job import JobState
from node.domain.review import Review, Standing, StudyChanged, decide
from node.domain.workitem import (
    Change,
    EventType,
    Referenced,
    StepState,
    WorkitemQuery,
    cancel_information,
)
from node.errors import NoSuchWorkitem
from node.ports import Clock

FOLLOWED = "ups.review"
_OVER = {"lease_until": None}
NEWER = "the study has changed: another review follows"


class SqlReviews:
    """``code`` is the Scheduled Workitem Code of reviews; ``ae_title``: who asks performers to stop."""

    def __init__(
        self, engine: Engine, clock: Clock, lease_s: float, code: str = "", ae_title: str = "", actor: str = SYSTEM
    ) -> None:
        self._work = UnitOfWork(engine)
        self._clock = clock
        self._lease_s = lease_s
        self._code = code
        self._ae_title = ae_title
        self._actor = actor

    # ------------------------------------------------------------ as workitems

    def get(self, uid: str) -> Review:
        with self._work.read() as connection:
            row = connection.execute(REVIEWS.where(review.c.workitem_uid == uid)).first()
        if row is None:
            raise NoSuchWorkitem("there is no such workitem")
        return review_from_row(row)

    def find(self, query: WorkitemQuery, after: int, limit: int) -> Sequence[Review]:
        fitting = REVIEWS.where(wanted(query, self._code), review.c.id > after).order_by(review.c.id).limit(limit)
        with self._work.read() as connection:
            return [review_from_row(row) for row in connection.execute(fitting)]

    def inputs(self, workitem: Review) -> Sequence[Referenced]:
        with self._work.read() as connection:
            return inputs_of(connection, workitem)

    def outputs(self, workitem: Review) -> Sequence[Referenced]:
        """What a person writes is said by its performer."""
        return ()

    def change(self, uid: str, actor: str, decide: Callable[[Review], Change]) -> Review:
        locked = REVIEWS.where(review.c.workitem_uid == uid).with_for_update(of=review)

        def step(connection: Connection) -> None:
            row = connection.execute(locked).first()
            if row is None:
                raise NoSuchWorkitem("there is no such workitem")
            one = review_from_row(row)
            self._apply(connection, one, decide(one), actor)

        self._work.write(step)
        return self.get(uid)

    def _apply(self, connection: Connection, one: Review, change: Change, actor: str) -> None:
        now = self._clock.now()
        if change.report is not None:
            note(connection, one.uid, *change.report, now)
        values = self._values(one, change, now)
        if values:
            connection.execute(update(review).where(review.c.id == one.row).values(updated_at=now, **values))
        if "state" in values:
            detail = {"state": str(values["state"]), "performer": values.get("performer", one.performer)}
            audit.append(connection, actor, now, [_use(one.uid, one.study_instance_uid, detail)])

    def _values(self, one: Review, change: Change, now: datetime) -> Mapping[str, Any]:
        values: dict[str, Any] = {}
        if change.attributes is not None:
            values["attributes"] = dict(change.attributes)
        if change.priority is not None:
            values["priority"] = int(change.priority)
        if change.claim is not None:
            values |= {
                "state": JobState.IN_PROGRESS,
                "performer": change.claim.performer,
                "transaction_digest": change.claim.digest,
            }
        if change.becomes is not None:
            return values | _OVER | {"state": JOB_STATES[change.becomes], "finished_at": now}
        if change.cancel and one.state is StepState.SCHEDULED:
            return values | _OVER | {"state": JobState.CANCELED, "finished_at": now}
        if change.claim is not None or (one.is_performed_outside and not change.cancel):
            values["lease_until"] = now + timedelta(seconds=self._lease_s)
        return values

    # ------------------------------------------------------------ as they come and go

    def follow(self, wanted: bool) -> None:
        if wanted:
            on = {"name": FOLLOWED, "set_at": self._clock.now()}
            self._work.write(lambda connection: insert_new(connection, setting, ("name",), on))
            return
        with self._work.read() as connection:
            if connection.execute(select(setting.c.name).where(setting.c.name == FOLLOWED)).first() is None:
                return
        self._work.write(self._forget)

    def _forget(self, connection: Connection) -> None:
        connection.execute(delete(setting).where(setting.c.name == FOLLOWED))
        connection.execute(delete(review_change))
        waiting = update(review).where(in_state(review.c.state, JobState.SCHEDULED))
        connection.execute(waiting.values(**self._taken_back()))

    def changed(self, limit: int) -> Sequence[StudyChanged]:
        newest = func.max(review_change.c.id)
        first = (
            select(review_change.c.study_instance_uid, newest.label("number"))
            .group_by(review_change.c.study_instance_uid)
            .order_by(func.min(review_change.c.id))
            .limit(limit)
        )
        with self._work.read() as connection:
            return [StudyChanged(row.study_instance_uid, row.number) for row in connection.execute(first)]

    def settle(self, change: StudyChanged, standing: Standing | None) -> bool:
        return self._work.write(lambda connection: self._settle(connection, change, standing))

    def _settle(self, connection: Connection, change: StudyChanged, standing: Standing | None) -> bool:
        uid, now = change.study_instance_uid, self._clock.now()
        settled = and_(review_change.c.study_instance_uid == uid, review_change.c.id <= change.number)
        connection.execute(delete(review_change).where(settled))
        of_study = REVIEWS.where(review.c.study_instance_uid == uid).order_by(review.c.id.desc()).limit(1)
        row = connection.execute(of_study.with_for_update(of=review)).first()
        latest = None if row is None else review_from_row(row)
        decision = decide(standing, latest)
        if decision.withdraw and latest is not None:
            self._withdraw(connection, latest, now)
        if not decision.make or standing is None or not insert_review(connection, standing, latest, now):
            return False
        detail = {"state": JobState.SCHEDULED.value, "basis": standing.basis}
        audit.append(connection, self._actor, now, [_use(review_uid(standing, latest), uid, detail)])
        return True

    def _withdraw(self, connection: Connection, latest: Review, now: datetime) -> None:
        """Who has begun is asked to stop, and may still end it."""
        if latest.state is StepState.IN_PROGRESS:
            note(connection, latest.uid, EventType.CANCEL_REQUESTED, cancel_information(self._ae_title, NEWER), now)
            values: Mapping[str, Any] = {"superseded_at": now, "updated_at": now}
        else:
            values = self._taken_back()
        connection.execute(update(review).where(review.c.id == latest.row).values(**values))

    def expire(self) -> int:
        now = self._clock.now()
        silent = and_(in_state(review.c.state, JobState.IN_PROGRESS), review.c.lease_until <= now)
        with self._work.read() as connection:
            if connection.execute(select(review.c.id).where(silent).limit(1)).first() is None:
                return 0

        def step(connection: Connection) -> int:
            gone = update(review).where(silent).values(**self._taken_back())
            studies = list(connection.execute(gone.returning(review.c.study_instance_uid)).scalars())
            for uid in studies:
                connection.execute(insert(review_change).values(study_instance_uid=uid))
            return len(studies)

        return self._work.write(step)

    def _taken_back(self) -> dict[str, Any]:
        now = self._clock.now()
        ended = {"state": JobState.CANCELED, "finished_at": now, "updated_at": now, "superseded_at": now}
        return {**_OVER, **ended}


def _use(uid: str, study_uid: str, detail: Mapping[str, Any]) -> Use:
    return Use(Action.REVIEW_CHANGED, f"review:{uid}", study_uid, detail)
