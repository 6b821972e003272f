"""What was written goes out: a row for each object, and a delivery of it to each destination that it is for."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime

from sqlalchemy import Connection

from node.database.delivery_rows import insert_delivery, insert_result
from node.domain.document import ResultKind
from node.domain.job import Job
from node.domain.rendition import NO_WISHES, Rendition, Wishes
from node.domain.result import ResultObject

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
        priority: int,
        now: datetime,
        kind: ResultKind = ResultKind.RESULT,
        known: Collection[str] = (),
    ) -> None:
        """``objects`` are all of a run; those with a SOP Instance UID in ``known`` have their rows already."""
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
                    insert_delivery(connection, job.id, result_id, destination, priority, attempts, now)
