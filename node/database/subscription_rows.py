"""What happened to workitems, as rows."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime
from typing import Any

from sqlalchemy import Connection, Row, insert, select

from node.database.tables import ups_event, ups_subscription
from node.domain.job import JobState
from node.domain.workitem import EventType, Happened, Subscription, step_state


def note(
    connection: Connection, workitem_uid: str, event_type: EventType, information: Mapping[str, Any], now: datetime
) -> None:
    """What a trigger does not see; unless nobody subscribes to anything."""
    if connection.execute(select(ups_subscription.c.receiving_ae).limit(1)).first() is not None:
        values = {"workitem_uid": workitem_uid, "event_type": int(event_type), "information": dict(information)}
        connection.execute(insert(ups_event).values(created_at=now, **values))


def happened_from_row(row: Row[*tuple[Any, ...]]) -> Happened:
    return Happened(
        id=row.id,
        workitem_uid=row.workitem_uid,
        was=None if row.was is None else step_state(JobState(row.was), row.was_tries),
        became=None if row.became is None else step_state(JobState(row.became), row.tries),
        event_type=None if row.event_type is None else EventType(row.event_type),
        information=row.information or {},
        at=row.created_at,
    )


def subscription_from_row(row: Row[*tuple[Any, ...]]) -> Subscription:
    return Subscription(row.receiving_ae, row.workitem_uid, row.wanted, row.matching, row.suspended_at)
