"""The timers role: closing series, rescuing what dead processes held, expiring commitments, noting the audit head."""

from __future__ import annotations

import threading

import structlog

from node.admin.timers import Timer, guarded, run_steadily, run_timers
from node.app.assessing import assessment_timer
from node.app.keeping import keeping_timers
from node.app.packages import open_models
from node.app.place import Heartbeat, Place
from node.app.projecting import projection
from node.app.records import Records
from node.app.routing import series_closer
from node.database import tallies

# A series whose evidence is complete waits for this turn; looking costs a read of no rows.
CLOSE_EVERY_S = 0.05
RESCUE_EVERY_S = 1.0
EXPIRE_EVERY_S = 5.0
FOLD_EVERY_S = 5.0
PROJECT_EVERY_S = 5.0
# Where logs are kept elsewhere, the audit log cannot be cut or written anew further back than this unnoticed.
NOTE_EVERY_S = 600.0

log = structlog.get_logger()


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
        # The web role does it at once; without one the changes shall not pile up.
        Timer("lines of the worklist", PROJECT_EVERY_S, projection(records).project_some),
        Timer("fold counts", FOLD_EVERY_S, lambda: tallies.fold(records.engine)),
        *keeping_timers(records),
        assessment_timer(records),
    )
    noting = Timer("note audit head", NOTE_EVERY_S, lambda: note_head(records))
    with Heartbeat(records.roles, place, dict):
        closing.start()
        place.ready()
        guarded(noting)()
        run_timers((*timers, noting), place.stop)
        closing.join()


def note_head(records: Records) -> None:
    """One line that says where the log of uses ends: ``ainode audit verify --head`` compares it."""
    head = records.audit.head()
    if head is None:
        log.error("audit.head_gone")
    else:
        log.info("audit.head", number=head.number, digest=head.digest)
