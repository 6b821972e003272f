"""``ainode status``: the node's state in one document."""

from __future__ import annotations

from typing import Any

from node import __version__
from node.app.packages import scan_models
from node.app.records import Records
from node.app.room import room
from node.show.state import node_state, why_not_ok


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
    reasons = why_not_ok(roles, disk, broken, paused, quarantined, documents["given_up"])
    return {
        "state": node_state(roles, reasons),
        "version": __version__,
        "reasons": reasons,
        "roles": roles,
        "jobs": jobs,
        "quarantined": quarantined,
        "documents": documents,
        "deliveries": deliveries,
        "disk": disk,
        "devices": records.worklist.devices(),
        "models": models,
        "paused": paused,
    }
