"""Whether a node is well, decided from what is known of it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any


def why_not_ok(
    roles: Mapping[str, Any],
    disk: Mapping[str, int],
    broken_models: Sequence[Mapping[str, Any]],
    paused: bool,
    quarantined: int = 0,
    undocumented: int = 0,
) -> list[str]:
    """Everything an administrator should know of, in sentences; empty when all is well.

    ``quarantined`` is the number of jobs that end whatever runs them: a study waits there for a result that does not
    come, so the node is not well until somebody retries or cancels them. ``undocumented`` is the number of failures and
    withdrawals of which no destination was told, for the document could not be written.
    """
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
    if quarantined:
        found.append(
            f"jobs that ended their process at every attempt, quarantined: {quarantined} ('ainode queue list --state "
            "FAILED', then 'queue retry' or 'queue cancel')"
        )
    if undocumented:
        found.append(
            f"failures or withdrawals whose document could not be written: {undocumented} ('ainode queue list', column "
            "document, then 'queue retry', or 'results withdraw' again)"
        )
    return found


def away(destinations: Sequence[Mapping[str, Any]]) -> list[str]:
    """Destinations that do not answer, in sentences."""
    return [
        f"destination {one['name']}: away since {one['circuit']['since']} ({one['circuit']['error_code']}), "
        f"{one['waiting']} deliveries wait"
        for one in destinations
        if one["circuit"]["open"]
    ]


def node_state(roles: Mapping[str, Any], found: Sequence[str]) -> str:
    """``down`` when nothing serves, ``degraded`` when something was found, else ``ok``."""
    if not any(role["state"] == "up" for role in roles.values()):
        return "down"
    return "degraded" if found else "ok"
