"""The deliver role: senders in threads of their own, those of a destination behind one circuit breaker."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import replace
from typing import Any

from node.app import finding_priors
from node.app.destinations import LABEL_MAP_SEGMENTATION, delivery_policy, opened
from node.app.patient_checking import patient_check
from node.app.place import Heartbeat, Place
from node.app.reading_back import readers
from node.app.records import Records
from node.config import Destination as Settings
from node.config import DimseDestination, Served
from node.database.destination_rows import SqlDestinations
from node.database.report_rows import SqlReports
from node.deliver import sender, storage_scu
from node.deliver.circuit import Circuit, CircuitSettings
from node.deliver.report import StoredReports
from node.deliver.sender import Sender, SenderSettings
from node.ports import Destination


def serve(records: Records, place: Place) -> None:
    """Send until the process is told to stop."""
    circuits = {one.name: Circuit(records.clock, patience(one)) for one in records.config.destinations}
    senders = [
        _sender(records, place, settings, number, circuits[settings.name])
        for settings in records.config.destinations
        for number in range(settings.concurrency)
    ]
    with Heartbeat(records.roles, place, lambda: told(circuits)):
        place.ready()
        finding_priors.started(records, place.stop)
        sender.serve([*senders, *readers(records)], place.stop)
        place.stop.wait()


def told(circuits: Mapping[str, Circuit]) -> dict[str, Any]:
    """What a heartbeat says of the destinations, as plain JSON."""
    return {"destinations": list(circuits), "circuits": {name: _plain(circuit) for name, circuit in circuits.items()}}


def _plain(circuit: Circuit) -> dict[str, Any]:
    state = circuit.state
    return {
        "open": state.open,
        "failures": state.failures,
        "since": state.since.isoformat() if state.since else None,
        "error_code": state.error_code,
        "probe_at": state.probe_at.isoformat() if state.probe_at else None,
    }


def _sender(records: Records, place: Place, settings: Settings, number: int, circuit: Circuit) -> Sender:
    """``number`` counts the senders of the destination; the first also asks for commitment, and what it takes."""
    destination = opened(
        records.config, settings, StoredReports(SqlReports(records.engine)), records.outbox.apply_report
    )
    return Sender(
        destination,
        records.outbox,
        records.results,
        records.clock,
        owner=f"{place.host}/{place.instance}/{settings.name}/{number}",
        settings=replace(_settings(settings), asks=number == 0),
        circuit=circuit,
        fit=fitting(destination, records.destinations) if number == 0 else lambda: None,
        check=patient_check(records, settings),
    )


def fitting(destination: Destination, known: SqlDestinations) -> Callable[[], None]:
    """Asks a PACS by an association what it takes, and keeps it for those who write the results."""
    if not isinstance(destination, storage_scu.DimseDestination):
        return lambda: None

    def fit() -> None:
        taken = destination.takes([LABEL_MAP_SEGMENTATION])
        known.keep_takes(destination.name, {"label_maps": LABEL_MAP_SEGMENTATION in taken})

    return fit


def patience(settings: Served) -> CircuitSettings:
    return CircuitSettings(
        settings.open_after, settings.probe_every_s, max(settings.retry_cap_s, settings.probe_every_s)
    )


def _settings(settings: Served) -> SenderSettings:
    made = SenderSettings(policy=delivery_policy(settings))
    if isinstance(settings, DimseDestination):
        return replace(made, commitment_timeout_s=settings.commitment_timeout_s)
    return made
