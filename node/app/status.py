"""``ainode status``: the node's state in one document."""

from __future__ import annotations

from typing import Any

from node import __version__
from node.app.packages import scan_models
from node.app.records import Records
from node.app.room import room
from node.show.state import away, node_state, why_not_ok


def node_status(records: Records) -> dict[str, Any]:
    """The document of CONTRACT's ``status``; ``reasons`` says in words why the state is not ``ok``."""
    config = records.config
    roles = records.worklist.roles()
    jobs, deliveries = records.worklist.counts()
    space = room(config)
    disk = {"free_bytes": space.free_bytes, "watermark_bytes": space.watermark_bytes}
    found = scan_models(config)
    models: list[dict[str, Any]] = [
        {"id": model.id, "version": model.version, "demonstration": model.demonstration, "problem": None}
        for model in found.models.values()
    ]
    models += [
        {"id": one.package, "version": None, "demonstration": None, "problem": one.error.message}
        for one in found.problems
    ]
    paused = records.queue.paused()
    quarantined, documents = records.worklist.quarantined(), records.worklist.documents()
    broken = [model for model in models if model["problem"]]
    destinations = destination_states(records)
    reasons = why_not_ok(roles, disk, broken, paused, quarantined, documents["given_up"])
    reasons += away(destinations)
    return {
        "state": node_state(roles, reasons),
        "version": __version__,
        "reasons": reasons,
        "roles": roles,
        "jobs": jobs,
        "quarantined": quarantined,
        "documents": documents,
        "deliveries": deliveries,
        "destinations": destinations,
        "disk": disk,
        "devices": records.worklist.devices(),
        "models": models,
        "paused": paused,
    }


def destination_states(records: Records) -> list[dict[str, Any]]:
    """Each with its type, what waits for it, and its circuit: ``open`` is None where nobody serves it."""
    settings = records.config.destinations
    circuits, waiting = records.destinations.circuits(), records.destinations.waiting([one.name for one in settings])
    unknown = {"open": None, "failures": None, "since": None, "error_code": None, "probe_at": None}
    return [
        {"name": one.name, "type": one.type, "waiting": waiting[one.name], "circuit": circuits.get(one.name, unknown)}
        for one in settings
    ]
