"""The record role: rows for what stands in the ingest journal. Receivers do not wait for it, and it yields to them."""

from __future__ import annotations

import os

from node.app.place import Heartbeat, Place
from node.app.receiving import attributes_of_routes
from node.app.records import Records, database_password
from node.app.stores import holding
from node.database.arrivals import SqlArrivalRecord
from node.database.engine import make_engine
from node.receive.reading import Reader
from node.receive.recorder import Recorder

NICENESS = 5


def serve(records: Records, place: Place) -> None:
    """Record until the process is told to stop; what was acknowledged until then waits in the journal."""
    os.nice(NICENESS)
    config = records.config
    # Without a flush for each commit: a power cut takes back the last batches whole, rows and positions together, and
    # they are recorded again from the journal. Every other connection flushes, and with its commits these too.
    engine = make_engine(config.database.url, database_password(config), flush_commits=False)
    arrivals = SqlArrivalRecord(engine, records.clock, holding(records.instances))
    recorder = Recorder(records.journal, arrivals, Reader(attributes_of_routes(config)))
    try:
        with Heartbeat(records.roles, place, lambda: {"waiting": recorder.waiting}):
            place.ready()
            recorder.run(place.stop)
    finally:
        engine.dispose()
