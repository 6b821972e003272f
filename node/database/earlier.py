"""Series of earlier studies of the same patient, to be looked at beside a series."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from sqlalchemy import Engine, and_, func, select

from node.database.priors import is_same_person
from node.database.tables import instance, series, study
from node.database.unit_of_work import UnitOfWork

AT_MOST = 20
_HERE = and_(instance.c.variant == 0, instance.c.removed_at.is_(None))


@dataclass(frozen=True, slots=True)
class EarlierSeries:
    """``study_date`` is YYYYMMDD."""

    study_instance_uid: str
    series_instance_uid: str
    study_date: str
    description: str


class SqlEarlier:
    def __init__(self, engine: Engine) -> None:
        self._work = UnitOfWork(engine)

    def of(self, study_instance_uid: str, series_instance_uid: str) -> Sequence[EarlierSeries]:
        """Those of the same modality whose images are here, the best to compare with first: of the newest study, with
        the same description, of the same body part, with the most images. None of a patient without an ID.
        """
        about = select(study.c.patient_id, study.c.patient_birth_date, study.c.study_date, series).join(
            series, series.c.study_instance_uid == study.c.study_instance_uid
        )
        here = select(func.count()).where(instance.c.series_id == series.c.id, _HERE).scalar_subquery()
        facts = (study.c.patient_birth_date, study.c.study_date, here.label("images"))
        others = select(*facts, series).join(series, series.c.study_instance_uid == study.c.study_instance_uid)
        with self._work.read() as connection:
            shown = connection.execute(about.where(series.c.series_instance_uid == series_instance_uid)).one_or_none()
            if shown is None or not shown.patient_id or not shown.study_date:
                return ()
            wanted = and_(
                study.c.patient_id == shown.patient_id,
                study.c.study_instance_uid != study_instance_uid,
                study.c.study_date != "",
                study.c.study_date <= shown.study_date,
                series.c.modality == shown.modality,
            )
            found = connection.execute(others.where(wanted).order_by(study.c.study_date.desc()).limit(AT_MOST)).all()
        fit = [row for row in found if row.images and is_same_person(shown.patient_birth_date, row.patient_birth_date)]
        fit.sort(
            key=lambda row: (
                row.study_date,
                row.series_description == shown.series_description,
                row.body_part == shown.body_part,
                row.images,
            ),
            reverse=True,
        )
        return [
            EarlierSeries(row.study_instance_uid, row.series_instance_uid, row.study_date, row.series_description)
            for row in fit
        ]
