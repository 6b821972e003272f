"""The deliver role: one sender, one thread for each destination."""

from __future__ import annotations

from node.app.destinations import delivery_policy, dimse_destination
from node.app.place import Heartbeat, Place
from node.app.records import Records
from node.deliver import sender
from node.deliver.sender import Sender, SenderSettings


def serve(records: Records, place: Place) -> None:
    """Send until the process is told to stop."""
    config = records.config
    senders = [
        Sender(
            dimse_destination(config, settings, records.outbox.apply_report),
            records.outbox,
            records.results,
            records.clock,
            owner=f"{place.host}/{place.instance}/{settings.name}",
            settings=SenderSettings(
                policy=delivery_policy(settings), commitment_timeout_s=settings.commitment_timeout_s
            ),
        )
        for settings in config.destinations
    ]
    with Heartbeat(records.roles, place, lambda: {"destinations": [one.name for one in config.destinations]}):
        place.ready()
        sender.serve(senders, place.stop)
        place.stop.wait()
