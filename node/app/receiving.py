"""The receive role: one Storage SCP on the port that all receivers of the node share."""

from __future__ import annotations

import socket

from node.app.place import Heartbeat, Place
from node.app.querying import may_ask, query_services, uses_of
from node.app.records import Records
from node.app.room import measuring
from node.app.running import receiver_name
from node.config import Config
from node.deliver.commitment import parse_report
from node.receive.intake import Intake
from node.receive.recording import RecordLater, RecordNow
from node.receive.storage_scp import StorageScp
from node.store.incoming import IncomingFolder

DRAIN_S = 20.0


def serve(records: Records, place: Place) -> None:
    """Receive until the process is told to stop."""
    config = records.config
    files = config.store.kind == "files"
    recording = RecordNow(records.catalogue) if files else RecordLater(records.journal, records.clock)
    intake = Intake(records.instances, recording, records.clock, measuring(config), attributes_of_routes(config))
    uses = uses_of(records)
    incoming = IncomingFolder(config.node.data_dir / "incoming")
    scp = StorageScp(
        config.receive,
        config.node.ae_title,
        intake,
        incoming.path,
        lambda information: records.outbox.apply_report(parse_report(information)),
        receiver=receiver_name(place.host, place.instance),
        listener=None if place.listen_fd is None else socket.socket(fileno=place.listen_fd),
        services=query_services(records, uses),
        may_ask=may_ask(config),
    )
    scp.start()
    with Heartbeat(records.roles, place, lambda: {"port": scp.address[1]}):
        place.ready()
        place.stop.wait()
        scp.stop(DRAIN_S)
        uses.close()
    incoming.close()


def attributes_of_routes(config: Config) -> set[str]:
    """Keywords that routes ask for, besides those always kept."""
    return {when.attribute for route in config.routes for when in route.when}
