"""Whether a node is well, decided from what is known of it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any


def why_not_ok(
    roles: Mapping[str, Any], disk: Mapping[str, int], broken_models: Sequence[Mapping[str, Any]], paused: bool
) -> list[str]:
    """Everything an administrator should know of, in sentences; empty when all is well."""
    found = [
        f"role {name}: no heartbeat since {role['heartbeat_at']:%Y-%m-%d %H:%M:%SZ}"
        for name, role in roles.items()
        if role["state"] != "up"
    ]
    if not roles:
        found.append("nothing serves: start the node with 'ainode run'")
    if disk["free_bytes"] < disk["watermark_bytes"]:
        found.append("free disk space is below the watermark: instances are refused with A700")
    found += [f"model {model['id']}: {model['problem']}" for model in broken_models]
    if paused:
        found.append("the queue is paused: no job is started ('ainode queue resume')")
    return found


def node_state(roles: Mapping[str, Any], found: Sequence[str]) -> str:
    """``down`` when nothing serves, ``degraded`` when something was found, else ``ok``."""
    if not any(role["state"] == "up" for role in roles.values()):
        return "down"
    return "degraded" if found else "ok"
