"""Alerts as rows: what somebody should look at."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from datetime import datetime

from sqlalchemy import Connection, insert

from node.database.tables import alert
from node.domain.study import Value

# Kind, subject and detail.
Alert = tuple[str, str, Mapping[str, Value]]


def raise_alerts(connection: Connection, alerts: Iterable[Alert], now: datetime) -> None:
    """``detail['study_instance_uid']``, where given, ties an alert to its study."""
    values = [
        {
            "kind": kind,
            "subject": subject,
            "study_instance_uid": detail.get("study_instance_uid"),
            "detail": dict(detail),
            "raised_at": now,
        }
        for kind, subject, detail in alerts
    ]
    if values:
        connection.execute(insert(alert), values)
