"""The web role: the pages, the API, health, readiness and metrics."""

from __future__ import annotations

import contextlib
import socket
from collections.abc import Callable, Iterator

import uvicorn

from node.admin.operations import Operations
from node.app.assessing import assessing
from node.app.dicom_web import dicom_web
from node.app.logins import logins
from node.app.packages import demonstrations
from node.app.place import Heartbeat, Place
from node.app.projecting import projection
from node.app.records import Records
from node.app.status import node_status
from node.app.viewing import StudyPictures
from node.app.workitems import web_steps
from node.domain.audit import SYSTEM, USER
from node.domain.dicom_web import VIEWER_APPLICATION, VIEWER_FOLDER
from node.jobs.subscriptions import SqlSubscriptions
from node.show.application import make_web
from node.show.choices import Choices
from node.show.destinations import Destinations
from node.show.list_page.router import is_loopback
from node.show.listing import Listing
from node.show.site import Site
from node.show.throughput import Throughput
from node.show.waiting import Waiting

# Requests under way end in this time.
DRAIN_S = 5
# Event channels: subscribers have nothing to say; whoever answers no ping is gone.
MOST_FROM_A_SUBSCRIBER = 1 << 12
PING_EVERY_S, PONG_WITHIN_S = 20.0, 60.0


def serve(records: Records, place: Place) -> None:
    """Serve until the process is told to stop."""
    web = records.config.web
    listening = socket.create_server((web.host, web.port))
    # Asked for now: the server closes the socket before the heartbeat ends.
    port = listening.getsockname()[1]
    made = make_web(site(records))
    settings = uvicorn.Config(
        made.application,
        log_config=None,
        access_log=False,
        server_header=False,
        timeout_graceful_shutdown=DRAIN_S,
        ws="websockets-sansio",
        ws_max_size=MOST_FROM_A_SUBSCRIBER,
        ws_ping_interval=PING_EVERY_S,
        ws_ping_timeout=PONG_WITHIN_S,
    )
    server = _Server(settings, place, made.follower.stop)
    with listening, Heartbeat(records.roles, place, lambda: {"port": port}):
        made.follower.start()
        server.run(sockets=[listening])


def site(records: Records) -> Site:
    """What the pages are given of ``records``."""
    engine, clock, worklist = records.engine, records.clock, records.worklist
    return Site(
        config=records.config,
        clock=clock,
        worklist=worklist,
        listing=Listing(engine),
        projection=projection(records),
        waiting=Waiting(engine, clock),
        destinations=Destinations(engine, records.config),
        throughput=Throughput(engine, clock),
        choices=Choices(engine, clock),
        status=lambda: node_status(records),
        actions=lambda user: operations_of(records, f"{USER}:{user}"),
        logins=logins(records, SYSTEM),
        instances=records.instances,
        results=records.results,
        open_reading=is_loopback(records.config.web.host),
        views=StudyPictures(records),
        assessments=assessing(records),
        demonstrations=demonstrations(records.config),
        steps=web_steps(records) if records.config.ups.enabled else None,
        dicom_web=dicom_web(records),
        viewer=records.config.node.data_dir / VIEWER_FOLDER / VIEWER_APPLICATION,
        reports=SqlSubscriptions(engine, clock) if records.config.ups.enabled else None,
    )


def operations_of(records: Records, actor: str) -> Operations:
    """What an operator may do, done in his name."""
    return Operations(records.queue.acting(actor), records.outbox.acting(actor))


class _Server(uvicorn.Server):
    """Uvicorn under our supervisor: says when it serves, stops when the process is told to."""

    def __init__(self, config: uvicorn.Config, place: Place, stopping: Callable[[], None]) -> None:
        super().__init__(config)
        self._place = place
        self._stopping = stopping

    @contextlib.contextmanager
    def capture_signals(self) -> Iterator[None]:
        """The process has its own handlers."""
        yield

    async def startup(self, sockets: list[socket.socket] | None = None) -> None:
        await super().startup(sockets)
        self._place.ready()

    async def on_tick(self, counter: int) -> bool:
        ends = await super().on_tick(counter) or self._place.stop.is_set()
        if ends:
            # Streams of events end by themselves never; the server waits for what is under way.
            self._stopping()
        return ends
