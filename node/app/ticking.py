"""The timers role: closing series, rescuing what dead processes held, expiring commitments."""

from __future__ import annotations

import threading

from node.admin.timers import Timer, run_steadily, run_timers
from node.app.keeping import keeping_timers
from node.app.packages import open_models
from node.app.place import Heartbeat, Place
from node.app.records import Records
from node.app.routing import series_closer
from node.database import tallies

# A series whose evidence is complete waits for this turn; looking costs a read of no rows.
CLOSE_EVERY_S = 0.05
RESCUE_EVERY_S = 1.0
EXPIRE_EVERY_S = 5.0
FOLD_EVERY_S = 5.0


def serve(records: Records, place: Place) -> None:
    """Run the timers until the process is told to stop."""
    wake = threading.Event()
    closer = series_closer(records, open_models(records.config), answered=wake.set)
    closing = threading.Thread(
        target=run_steadily,
        args=(Timer("close series", CLOSE_EVERY_S, closer.run_once), wake, place.stop),
        name="close-series",
        daemon=True,
    )
    timers = (
        Timer("rescue jobs", RESCUE_EVERY_S, records.queue.rescue),
        Timer("rescue deliveries", RESCUE_EVERY_S, records.outbox.rescue),
        Timer("expire commitments", EXPIRE_EVERY_S, records.outbox.expire_commitments),
        Timer("fold counts", FOLD_EVERY_S, lambda: tallies.fold(records.engine)),
        *keeping_timers(records),
    )
    with Heartbeat(records.roles, place, dict):
        closing.start()
        place.ready()
        run_timers(timers, place.stop)
        closing.join()
