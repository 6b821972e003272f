"""How series were closed, and what that taught about their senders (``ports.Closings``)."""

from __future__ import annotations

from collections.abc import Callable, Mapping

from sqlalchemy import Connection, Engine, and_, func, select, update

from node.database.statements import insert_new
from node.database.tables import sending_habit, series, series_closing
from node.database.unit_of_work import UnitOfWork
from node.domain.completeness import Habit, Sender
from node.ports import Clock, EarlierClosing


class SqlClosings:
    def __init__(self, engine: Engine, clock: Clock) -> None:
        self._work = UnitOfWork(engine)
        self._clock = clock

    def habits(self) -> Mapping[Sender, Habit]:
        with self._work.read() as connection:
            rows = connection.execute(select(sending_habit)).all()
        return {Sender(row.calling_ae, row.modality): _habit(row.silences_s, row.distrusted) for row in rows}

    def learn(self, sender: Sender, change: Callable[[Habit], Habit]) -> Habit:
        return self._work.write(lambda connection: self._learn(connection, sender, change))

    def _learn(self, connection: Connection, sender: Sender, change: Callable[[Habit], Habit]) -> Habit:
        key = {"calling_ae": sender.calling_ae, "modality": sender.modality}
        nothing = {"silences_s": [], "distrusted": {}, "updated_at": self._clock.now()}
        insert_new(connection, sending_habit, tuple(key), key | nothing)
        of_sender = and_(*(sending_habit.c[column] == value for column, value in key.items()))
        row = connection.execute(select(sending_habit).where(of_sender).with_for_update()).one()
        habit = change(_habit(row.silences_s, row.distrusted))
        connection.execute(
            update(sending_habit)
            .where(of_sender)
            .values(
                silences_s=list(habit.silences_s),
                distrusted=dict(habit.distrusted),
                updated_at=self._clock.now(),
            )
        )
        return habit

    def earlier(self, series_id: int, revision: int) -> EarlierClosing | None:
        wanted = and_(series_closing.c.series_id == series_id, series_closing.c.revision == revision)
        with self._work.read() as connection:
            row = connection.execute(select(series_closing.c.reason, series_closing.c.closed_at).where(wanted)).first()
        return None if row is None else EarlierClosing(row.reason, row.closed_at)

    def instances_of_study(self, study_instance_uid: str) -> int:
        counted = select(func.coalesce(func.sum(series.c.instances), 0))
        with self._work.read() as connection:
            found = connection.execute(counted.where(series.c.study_instance_uid == study_instance_uid)).scalar_one()
        return int(found)


def _habit(silences_s: list[float], distrusted: Mapping[str, int]) -> Habit:
    return Habit(tuple(silences_s), dict(distrusted))
