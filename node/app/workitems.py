"""The UPS process: workitems over DIMSE, and reports to those who subscribed."""

from __future__ import annotations

import threading
import uuid

import pydicom.config

from node.app.commissioning import Commissioning
from node.app.packages import open_models
from node.app.place import Heartbeat, Place
from node.app.records import Records
from node.app.reviewing import Standings
from node.app.routing import routes
from node.config import Config, DimseDestination
from node.deliver.association import Peer
from node.deliver.ups_events import UpsReporter
from node.domain.retry import RetryPolicy
from node.jobs.reviews import SqlReviews
from node.jobs.subscriptions import SqlSubscriptions
from node.jobs.workitems import SqlWorkitems
from node.receive.ups_scp import UpsScp
from node.ups.data_set import Node, ReviewWords
from node.ups.notifier import Notifier
from node.ups.reviewing import Reviewing
from node.ups.service import Steps
from node.ups.shelf import Shelf
from node.ups.watch import Watch

JOIN_S = 10.0


def serve(records: Records, place: Place) -> None:
    """Serve workitems until the process is told to stop."""
    config = records.config
    store, subscriptions = shelf(records), SqlSubscriptions(records.engine, records.clock)
    steps = procedure_steps(records)
    notifier = Notifier(
        Watch(subscriptions, steps, store.get),
        subscriptions,
        UpsReporter(subscribers(config)),
        records.clock,
        RetryPolicy(base_s=config.ups.retry_base_s, cap_s=config.ups.retry_cap_s),
        config.ups.give_up_s,
        [one.ae_title for one in config.ups.receivers if one.host is None],
    )
    scp = UpsScp(config.ups, config.node.ae_title, steps)
    before = _accept_any_value(pydicom.config.IGNORE)
    kept = reviews(records)
    kept.follow(config.ups.review.enabled)
    scp.start()
    reviewing = _started(Reviewing(kept, Standings(records, config.ups.review)), place.stop, config.ups.review.enabled)
    try:
        with Heartbeat(records.roles, place, lambda: {"port": scp.port}):
            place.ready()
            notifier.run(place.stop)
    finally:
        scp.stop()
        if reviewing is not None:
            reviewing.join(JOIN_S)
        _accept_any_value(before)


def _started(reviewing: Reviewing, stop: threading.Event, wanted: bool) -> threading.Thread | None:
    if not wanted:
        return None
    thread = threading.Thread(target=reviewing.run, args=(stop,), name="reviews", daemon=True)
    thread.start()
    return thread


def web_steps(records: Records) -> Steps:
    """The service as the web speaks for it, for as long as its process lives."""
    _accept_any_value(pydicom.config.IGNORE)
    return procedure_steps(records)


def _accept_any_value(mode: int) -> int:
    """How pydicom takes values that their VR does not allow, and how it did before: its warnings repeat them."""
    before = pydicom.config.settings.reading_validation_mode
    pydicom.config.settings.reading_validation_mode = mode
    return before


def procedure_steps(records: Records) -> Steps:
    """The service, for whoever speaks for it."""
    config, models = records.config, open_models(records.config)
    store, review = workitem_store(records), config.ups.review
    return Steps(
        Shelf(store, reviews(records)),
        SqlSubscriptions(records.engine, records.clock),
        Commissioning(
            records.catalogue,
            models,
            routes(config),
            records.worklist.series_ids,
            store.patient_id,
            config.work.priors_wait_s,
        ),
        records.clock,
        Node(
            config.node.ae_title,
            {name: model.title for name, model in models.items()},
            {one.name: one.ae_title for one in config.destinations if isinstance(one, DimseDestination)},
            ReviewWords(review.label, (review.code.value, review.code.scheme, review.code.meaning)),
        ),
        [one.ae_title for one in config.ups.receivers],
        unique=lambda: uuid.uuid4().hex,
        max_matches=config.ups.max_matches,
    )


def workitem_store(records: Records) -> SqlWorkitems:
    config = records.config
    return SqlWorkitems(records.engine, records.clock, config.ups.claim_lease_s, config.work.max_attempts)


def reviews(records: Records) -> SqlReviews:
    section, ae_title = records.config.ups.review, records.config.node.ae_title
    return SqlReviews(records.engine, records.clock, section.claim_lease_s, section.code.value, ae_title)


def shelf(records: Records) -> Shelf:
    return Shelf(workitem_store(records), reviews(records))


def subscribers(config: Config) -> dict[str, Peer]:
    return {
        one.ae_title: Peer(
            ae_title=one.ae_title,
            host=one.host,
            port=one.port,
            calling_ae_title=config.node.ae_title,
            timeout_s=config.ups.timeout_s,
        )
        for one in config.ups.receivers
        if one.host is not None and one.port is not None
    }
