"""Deliveries that wait for an operator's word, and what was said of a study when it came."""

from __future__ import annotations

from sqlalchemy import Connection, Engine, select, update

from node.database.tables import delivery, study
from node.database.unit_of_work import UnitOfWork
from node.domain.delivery import DeliveryState
from node.domain.retrieval import RemoteStudy
from node.errors import InvalidTransition, NotFound, PatientMismatch
from node.ports import Clock


class SqlHolds:
    def __init__(self, engine: Engine, clock: Clock) -> None:
        self._work = UnitOfWork(engine)
        self._clock = clock

    def received(self, study_instance_uid: str) -> RemoteStudy | None:
        columns = (study.c.patient_id, study.c.patient_birth_date, study.c.patient_sex, study.c.accession_number)
        wanted = select(study.c.study_instance_uid, *columns).where(study.c.study_instance_uid == study_instance_uid)
        with self._work.read() as connection:
            row = connection.execute(wanted).first()
        return None if row is None else RemoteStudy(**row._mapping)

    def release(self, delivery_id: int) -> None:
        """It is sent whatever the PACS says of the patient, with a fresh budget of attempts.

        Raises:
            NotFound: there is no such delivery.
            InvalidTransition: it is not held.
        """
        now = self._clock.now()

        def step(connection: Connection) -> None:
            wanted = select(delivery.c.state, delivery.c.error_code).where(delivery.c.id == delivery_id)
            row = connection.execute(wanted.with_for_update()).first()
            if row is None:
                raise NotFound(f"no delivery {delivery_id}")
            if (row.state, row.error_code) != (DeliveryState.SCHEDULED, PatientMismatch.code):
                raise InvalidTransition(f"delivery {delivery_id} is {row.state} and not held: {row.error_code}")
            changes = {
                "released_at": now,
                "run_after": now,
                "max_attempts": delivery.c.attempt + delivery.c.budget,
                "error_code": None,
                "error": None,
                "updated_at": now,
            }
            connection.execute(update(delivery).where(delivery.c.id == delivery_id).values(**changes))

        self._work.write(step)
