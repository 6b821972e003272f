"""What was written goes out: a row for each object, and a delivery of it to each destination that it is for."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime

from sqlalchemy import Connection, or_, select

from node.database.delivery_rows import insert_delivery, insert_result, left_out
from node.database.statements import beside
from node.database.tables import delivery, result
from node.domain.delivery import DeliveryState
from node.domain.document import ResultKind
from node.domain.job import Job
from node.domain.rendition import NO_WISHES, Rendition, Wishes
from node.domain.result import Outcome, ResultObject
from node.errors import OutcomeNotChosen

DELIVERY_ATTEMPTS = 100
# Label Map Segmentation Storage (PS3.4 Table B.5-1).
LABEL_MAP = "1.2.840.10008.5.1.4.1.1.66.7"


@dataclass(frozen=True, slots=True)
class Sending:
    """``attempts`` is the budget of a delivery, ``wishes`` what is sent, both by destination."""

    attempts: Mapping[str, int] = field(default_factory=dict)
    wishes: Mapping[str, Wishes] = field(default_factory=dict)

    def insert(
        self,
        connection: Connection,
        job: Job,
        objects: Sequence[ResultObject],
        outcome: Outcome,
        priority: int,
        now: datetime,
        kind: ResultKind = ResultKind.RESULT,
        known: Collection[str] = (),
    ) -> None:
        """``objects`` are all of a run; those with a SOP Instance UID in ``known`` have their rows already.

        Of an ``outcome`` that a destination has not chosen its delivery is made and CANCELED, so that it says why.
        """
        written = [one.rendition for one in objects]
        declared = (None, Rendition.AS_DECLARED)
        label_maps = any(one.sop_class_uid == LABEL_MAP and one.rendition in declared for one in objects)
        wanted = {name: self.wishes.get(name, NO_WISHES).places(written, label_maps) for name in job.destinations}
        for place, one in enumerate(objects):
            if one.sop_instance_uid in known:
                continue
            result_id = insert_result(connection, job.id, one, now, job.attempt, kind)
            for destination in job.destinations:
                if place in wanted[destination]:
                    attempts = self.attempts.get(destination, DELIVERY_ATTEMPTS)
                    is_told = self._is_told(connection, destination, job.id, one, outcome)
                    row = insert_delivery(connection, job.id, result_id, destination, priority, attempts, now)
                    if not is_told:
                        words = f"{outcome} is not among the outcomes that this destination is told"
                        left_out(connection, row, OutcomeNotChosen(words))

    def _is_told(
        self, connection: Connection, destination: str, job_id: int, one: ResultObject, outcome: Outcome
    ) -> bool:
        """Whoever was told something is told, too, what corrects it, replaces it or takes it back."""
        return self.wishes.get(destination, NO_WISHES).tells(outcome) or _was_told(
            connection, destination, job_id, [before.sop_instance_uid for before in one.predecessors]
        )


def _was_told(connection: Connection, destination: str, job_id: int, predecessors: Sequence[str]) -> bool:
    told = select(delivery.c.id).join(result, result.c.id == delivery.c.result_id)
    told = told.where(
        beside(delivery.c.destination) == destination,
        beside(delivery.c.state) != DeliveryState.CANCELED,
        delivery.c.result_id.in_(
            select(result.c.id).where(or_(result.c.job_id == job_id, result.c.sop_instance_uid.in_(predecessors)))
        ),
    )
    return connection.execute(told.limit(1)).first() is not None
