"""The receive role: one Storage SCP on the port that all receivers of the node share."""

from __future__ import annotations

import functools
import socket

from node.app.place import Heartbeat, Place
from node.app.records import Records
from node.app.running import receiver_name
from node.deliver.commitment import parse_report
from node.receive.intake import Intake
from node.receive.storage_scp import StorageScp
from node.store.layout import instance_key
from node.store.space import measure

DRAIN_S = 20.0


def serve(records: Records, place: Place) -> None:
    """Receive until the process is told to stop."""
    config = records.config
    intake = Intake(
        records.instances,
        records.catalogue,
        records.clock,
        instance_key,
        functools.partial(measure, config.node.data_dir, config.node.free_space_watermark_bytes),
        {when.attribute for route in config.routes for when in route.when},
    )
    scp = StorageScp(
        config.receive,
        config.node.ae_title,
        intake,
        records.catalogue,
        lambda information: records.outbox.apply_report(parse_report(information)),
        receiver=receiver_name(place.host, place.instance),
        listener=None if place.listen_fd is None else socket.socket(fileno=place.listen_fd),
    )
    scp.start()
    with Heartbeat(records.roles, place, lambda: {"port": scp.address[1]}):
        place.ready()
        place.stop.wait()
        scp.stop(DRAIN_S)
