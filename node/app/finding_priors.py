"""The search for priors, wired: a thread beside the senders, for it waits for the network as they do."""

from __future__ import annotations

import threading
from collections.abc import Mapping

import structlog

from node.app import fetching
from node.app.packages import open_models
from node.app.priors import TROUBLE_S, PriorFinder
from node.app.records import Records
from node.database.priors import SqlPriors
from node.database.retrievals import SqlRetrievals
from node.domain.model import ModelDescription
from node.errors import NotFound

log = structlog.get_logger()


def started(records: Records, stop: threading.Event) -> threading.Thread:
    """A thread that ends when ``stop`` is set, or at once where no model wants priors."""
    thread = threading.Thread(target=_serve, args=(records, stop), name="priors", daemon=True)
    thread.start()
    return thread


def _serve(records: Records, stop: threading.Event) -> None:
    while not stop.is_set():
        try:
            models = open_models(records.config)
            if any(model.priors for model in models.values()):
                finder(records, models, stop).run(stop)
            return
        except Exception as error:  # noqa: BLE001  the thread's edge: a disk that does not answer may do so again
            log.error("priors.not_looked_for", error=type(error).__name__)
            stop.wait(TROUBLE_S)


def finder(records: Records, models: Mapping[str, ModelDescription], stop: threading.Event) -> PriorFinder:
    try:
        archives = fetching.archives(records)
    except NotFound:
        archives = []
        log.info("priors.only_here", why="no source is configured to be fetched from")
    return PriorFinder(
        SqlPriors(records.engine, records.clock),
        SqlRetrievals(records.engine, records.clock),
        archives,
        models,
        stop.wait,
    )
