"""Studies that were asked for at an archive (``ports.Retrievals``)."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from sqlalchemy import Connection, Engine, Row, and_, func, select, update

from node.database.statements import insert_new
from node.database.tables import instance, retrieval, series
from node.database.unit_of_work import UnitOfWork
from node.domain.retrieval import Purpose, Retrieval, RetrievalState
from node.ports import Clock


class SqlRetrievals:
    def __init__(self, engine: Engine, clock: Clock) -> None:
        self._work = UnitOfWork(engine)
        self._clock = clock

    def request(self, study_instance_uid: str, source: str, ae_title: str, purpose: Purpose) -> Retrieval:
        now = self._clock.now()
        asked: dict[str, Any] = {
            "source": source,
            "ae_title": ae_title,
            "state": RetrievalState.REQUESTED,
            "error_code": None,
            "requested_at": now,
            "updated_at": now,
        }
        new = {**asked, "study_instance_uid": study_instance_uid, "purpose": purpose}

        def step(connection: Connection) -> Retrieval:
            if not insert_new(connection, retrieval, ("study_instance_uid",), new):
                wanted_for_itself = {"purpose": purpose} if purpose is Purpose.DEMAND else {}
                _change(connection, study_instance_uid, asked | wanted_for_itself)
            made = _row(connection, study_instance_uid)
            assert made is not None
            return made

        return self._work.write(step)

    def fetched(self, study_instance_uid: str, instances: int) -> None:
        self._end(study_instance_uid, {"state": RetrievalState.FETCHED, "instances": instances, "error_code": None})

    def failed(self, study_instance_uid: str, error_code: str) -> None:
        self._end(study_instance_uid, {"state": RetrievalState.FAILED, "error_code": error_code})

    def _end(self, study_instance_uid: str, facts: Mapping[str, Any]) -> None:
        values = {**facts, "updated_at": self._clock.now()}
        self._work.write(lambda connection: _change(connection, study_instance_uid, values))

    def of(self, study_instance_uid: str) -> Retrieval | None:
        with self._work.read() as connection:
            return _row(connection, study_instance_uid)

    def held(self, study_instance_uid: str) -> int:
        here = and_(instance.c.variant == 0, instance.c.removed_at.is_(None))
        wanted = select(func.count()).select_from(instance).join(series, series.c.id == instance.c.series_id)
        with self._work.read() as connection:
            found: int = connection.execute(
                wanted.where(series.c.study_instance_uid == study_instance_uid, here)
            ).scalar_one()
        return found


def _change(connection: Connection, study_instance_uid: str, values: Mapping[str, Any]) -> None:
    changed = update(retrieval).where(retrieval.c.study_instance_uid == study_instance_uid)
    connection.execute(changed.values(**values))


def _row(connection: Connection, study_instance_uid: str) -> Retrieval | None:
    found = connection.execute(select(retrieval).where(retrieval.c.study_instance_uid == study_instance_uid)).first()
    return None if found is None else _retrieval(found)


def _retrieval(row: Row[*tuple[Any, ...]]) -> Retrieval:
    return Retrieval(
        study_instance_uid=row.study_instance_uid,
        source=row.source,
        ae_title=row.ae_title,
        purpose=Purpose(row.purpose),
        state=RetrievalState(row.state),
        requested_at=row.requested_at,
        updated_at=row.updated_at,
        instances=row.instances,
        error_code=row.error_code,
    )
