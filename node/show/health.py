"""``/healthz`` (the process answers), ``/readyz`` (the node serves) and ``/metrics`` (Prometheus text format 0.0.4)."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any

from fastapi import APIRouter
from fastapi.responses import JSONResponse, PlainTextResponse

STATE_LEVELS = {"down": 0, "degraded": 1, "ok": 2}


def health_router(status: Callable[[], dict[str, Any]]) -> APIRouter:
    """``status`` is asked at each request."""
    router = APIRouter(tags=["health"])

    @router.get("/healthz")
    def healthz() -> dict[str, str]:
        return {"status": "ok"}

    @router.get("/readyz", responses={503: {"description": "nothing serves"}})
    def readyz() -> JSONResponse:
        document = status()
        body = {"state": document["state"], "reasons": document["reasons"]}
        return JSONResponse(body, status_code=503 if document["state"] == "down" else 200)

    @router.get("/metrics", response_class=PlainTextResponse)
    def metrics() -> str:
        return exposition(status())

    return router


def exposition(document: dict[str, Any]) -> str:
    """The status document as Prometheus metrics; labels are states and role names, never patient data."""
    lines = ["# TYPE ainode_state gauge", f"ainode_state {STATE_LEVELS[document['state']]}"]
    for kind in ("jobs", "deliveries"):
        lines.append(f"# TYPE ainode_{kind} gauge")
        lines += [f'ainode_{kind}{{state="{state}"}} {count}' for state, count in document[kind].items()]
    lines.append("# TYPE ainode_role_up gauge")
    for name, role in document["roles"].items():
        lines.append(f'ainode_role_up{{role="{name}"}} {int(role["state"] == "up")}')
    lines += _destinations(document.get("destinations", []))
    lines.append("# TYPE ainode_disk_free_bytes gauge")
    lines.append(f"ainode_disk_free_bytes {document['disk']['free_bytes']}")
    return "\n".join(lines) + "\n"


def _destinations(found: Sequence[Mapping[str, Any]]) -> list[str]:
    """1 while its circuit is closed; nothing of one that nobody serves."""
    lines = ["# TYPE ainode_destination_up gauge"]
    lines += [
        f'ainode_destination_up{{destination="{one["name"]}"}} {int(not one["circuit"]["open"])}'
        for one in found
        if one["circuit"]["open"] is not None
    ]
    lines.append("# TYPE ainode_destination_waiting gauge")
    lines += [f'ainode_destination_waiting{{destination="{one["name"]}"}} {one["waiting"]}' for one in found]
    return lines
