"""The timers role: closing series, rescuing what dead processes held, expiring commitments."""

from __future__ import annotations

from node.admin.timers import Timer, run_timers
from node.app.packages import open_models
from node.app.place import Heartbeat, Place
from node.app.records import Records
from node.app.routing import series_closer

CLOSE_EVERY_S = 0.5
RESCUE_EVERY_S = 1.0
EXPIRE_EVERY_S = 5.0


def serve(records: Records, place: Place) -> None:
    """Run the timers until the process is told to stop."""
    closer = series_closer(records, open_models(records.config))
    timers = (
        Timer("close series", CLOSE_EVERY_S, closer.run_once),
        Timer("rescue jobs", RESCUE_EVERY_S, records.queue.rescue),
        Timer("rescue deliveries", RESCUE_EVERY_S, records.outbox.rescue),
        Timer("expire commitments", EXPIRE_EVERY_S, records.outbox.expire_commitments),
    )
    with Heartbeat(records.roles, place, dict):
        place.ready()
        run_timers(timers, place.stop)
