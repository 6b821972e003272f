"""The web role: for now health, readiness and metrics on loopback; the worklist pages come later."""

from __future__ import annotations

import contextlib
import socket
from collections.abc import Iterator

import uvicorn

from node.app.place import Heartbeat, Place
from node.app.records import Records
from node.app.status import node_status
from node.show.health import health_application


def serve(records: Records, place: Place) -> None:
    """Serve until the process is told to stop."""
    web = records.config.web
    listening = socket.create_server((web.host, web.port))
    application = health_application(lambda: node_status(records))
    server = _Server(uvicorn.Config(application, log_config=None, access_log=False), place)
    with listening, Heartbeat(records.roles, place, lambda: {"port": listening.getsockname()[1]}):
        server.run(sockets=[listening])


class _Server(uvicorn.Server):
    """Uvicorn under our supervisor: says when it serves, stops when the process is told to."""

    def __init__(self, config: uvicorn.Config, place: Place) -> None:
        super().__init__(config)
        self._place = place

    @contextlib.contextmanager
    def capture_signals(self) -> Iterator[None]:
        """The process has its own handlers."""
        yield

    async def startup(self, sockets: list[socket.socket] | None = None) -> None:
        await super().startup(sockets)
        self._place.ready()

    async def on_tick(self, counter: int) -> bool:
        return await super().on_tick(counter) or self._place.stop.is_set()
