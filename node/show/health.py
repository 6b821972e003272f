"""``/healthz`` (the process answers), ``/readyz`` (the node serves) and ``/metrics`` (Prometheus text format 0.0.4)."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from fastapi import FastAPI
from fastapi.responses import JSONResponse, PlainTextResponse

STATE_LEVELS = {"down": 0, "degraded": 1, "ok": 2}


def health_application(status: Callable[[], dict[str, Any]]) -> FastAPI:
    """An ASGI application over ``status``, which is asked at each request."""
    application = FastAPI(title="ainode", openapi_url="/api/openapi.json", docs_url=None, redoc_url=None)

    @application.get("/healthz")
    def healthz() -> dict[str, str]:
        return {"status": "ok"}

    @application.get("/readyz")
    def readyz() -> JSONResponse:
        document = status()
        body = {"state": document["state"], "reasons": document["reasons"]}
        return JSONResponse(body, status_code=503 if document["state"] == "down" else 200)

    @application.get("/metrics", response_class=PlainTextResponse)
    def metrics() -> str:
        return exposition(status())

    return application


def exposition(document: dict[str, Any]) -> str:
    """The status document as Prometheus metrics; labels are states and role names, never patient data."""
    lines = ["# TYPE ainode_state gauge", f"ainode_state {STATE_LEVELS[document['state']]}"]
    for kind in ("jobs", "deliveries"):
        lines.append(f"# TYPE ainode_{kind} gauge")
        lines += [f'ainode_{kind}{{state="{state}"}} {count}' for state, count in document[kind].items()]
    lines.append("# TYPE ainode_role_up gauge")
    for name, role in document["roles"].items():
        lines.append(f'ainode_role_up{{role="{name}"}} {int(role["state"] == "up")}')
    lines.append("# TYPE ainode_disk_free_bytes gauge")
    lines.append(f"ainode_disk_free_bytes {document['disk']['free_bytes']}")
    return "\n".join(lines) + "\n"
