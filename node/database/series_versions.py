"""What of a series changes when images come or go: asked before anything that was derived from it is used again."""

from __future__ import annotations

from dataclasses import dataclass

from sqlalchemy import Engine, case, func, select

from node.database.tables import instance, series
from node.database.unit_of_work import UnitOfWork
from node.errors import NotFound


@dataclass(frozen=True, slots=True)
class SeriesVersion:
    """Row id, revision, images that are there, and images that retention has removed."""

    id: int
    revision: int
    instances: int
    removed: int


class SqlSeriesVersions:
    def __init__(self, engine: Engine) -> None:
        self._work = UnitOfWork(engine)

    def of(self, study_instance_uid: str, series_instance_uid: str) -> SeriesVersion:
        """
        Raises:
            NotFound: nothing of this series was received.
        """
        removed = func.coalesce(func.sum(case((instance.c.removed_at.is_not(None), 1), else_=0)), 0)
        statement = (
            select(series.c.id, series.c.revision, func.count(instance.c.id), removed)
            .outerjoin(instance, (instance.c.series_id == series.c.id) & (instance.c.variant == 0))
            .where(
                series.c.study_instance_uid == study_instance_uid, series.c.series_instance_uid == series_instance_uid
            )
            .group_by(series.c.id, series.c.revision)
        )
        with self._work.read() as connection:
            row = connection.execute(statement).first()
        if row is None:
            raise NotFound(f"nothing of series {series_instance_uid} was received")
        return SeriesVersion(*(int(value) for value in row))
