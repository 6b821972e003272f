"""The event channel of UPS-RS (PS3.18 sections 8.10.4, 8.10.5, 11.10): who subscribed is told over a WebSocket.

What is to be told stands in the database since what happened there was durable; an open channel takes it from there, in
its order. So nothing is kept for anybody in this process but the few reports that are being sent.
"""

from __future__ import annotations

import asyncio
import contextlib
import json
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field

import structlog
from fastapi import APIRouter, WebSocket
from fastapi.concurrency import run_in_threadpool
from fastapi.responses import JSONResponse
from starlette.websockets import WebSocketState

from node.domain.workitem import PUSH, Report
from node.errors import AinodeError, ForgedRequest, NotLoggedIn, UnknownReceiver
from node.ports import ToldReports
from node.show.problems import problem, status_of
from node.show.session import same_origin
from node.show.site import Site
from node.show.visitor import visit

log = structlog.get_logger()

AT_ONCE = 50
LOOK_EVERY_S = 0.25
# After an error the database is left alone for so long.
TROUBLE_S = 2.0
# Whoever takes nothing for so long has its channel closed; a ping that is not answered closes it, too.
SEND_S = 60.0
MOST_CHANNELS = 64
MESSAGE_IDS = 1 << 16
# Close codes (RFC 6455 section 7.4.1, and of our own).
TRY_AGAIN, REPLACED = 1013, 4001


@dataclass(eq=False)
class Channel:
    """``wake``: there may be something to tell; ``replaced``: the same subscriber has opened another one."""

    wake: asyncio.Event = field(default_factory=asyncio.Event)
    replaced: bool = False


class Channels:
    """The open ones, by AE title: one for each, the newest. Used in one event loop."""

    def __init__(self, reports: ToldReports) -> None:
        self._reports = reports
        self._open: dict[str, Channel] = {}
        self._looking: asyncio.Task[None] | None = None

    @property
    def is_full(self) -> bool:
        return len(self._open) >= MOST_CHANNELS

    async def serve(self, socket: WebSocket, receiver: str) -> None:
        """Tell until either side ends it."""
        channel = self._enter(receiver)
        tasks = [asyncio.create_task(self._tell(socket, receiver, channel)), asyncio.create_task(_until_closed(socket))]
        try:
            await asyncio.wait(tasks, return_when=asyncio.FIRST_COMPLETED)
        finally:
            if self._open.get(receiver) is channel:
                del self._open[receiver]
            for task in tasks:
                task.cancel()
            await asyncio.gather(*tasks, return_exceptions=True)
            await _close(socket, REPLACED if channel.replaced else TRY_AGAIN)

    def _enter(self, receiver: str) -> Channel:
        """A connection that broke may look open for a while: the newer one counts."""
        former = self._open.get(receiver)
        if former is not None:
            former.replaced = True
            former.wake.set()
        channel = self._open[receiver] = Channel()
        channel.wake.set()
        if self._looking is None or self._looking.done():
            self._looking = asyncio.create_task(self._look())
        return channel

    async def _look(self) -> None:
        """One question for all channels, while there are any."""
        while self._open:
            try:
                for receiver in await run_in_threadpool(self._reports.receivers):
                    if receiver in self._open:
                        self._open[receiver].wake.set()
                await asyncio.sleep(LOOK_EVERY_S)
            except AinodeError as error:
                log.warning("ups.channels_not_looked", error=error.code)
                await asyncio.sleep(TROUBLE_S)

    async def _tell(self, socket: WebSocket, receiver: str, channel: Channel) -> None:
        number = 0
        while not channel.replaced:
            await channel.wake.wait()
            channel.wake.clear()
            try:
                waiting = await run_in_threadpool(self._reports.waiting, receiver, AT_ONCE)
            except AinodeError as error:
                log.warning("ups.channel_waits", error=error.code)
                await asyncio.sleep(TROUBLE_S)
                channel.wake.set()
                continue
            if waiting and not channel.replaced:
                number = await self._send(socket, waiting, number)
                channel.wake.set()

    async def _send(self, socket: WebSocket, waiting: Sequence[Report], number: int) -> int:
        """What was sent is told, also where the rest was not."""
        sent: list[Report] = []
        try:
            for report in waiting:
                number += 1
                await asyncio.wait_for(socket.send_text(frame(report, number)), SEND_S)
                sent.append(report)
        finally:
            if sent:
                await asyncio.shield(run_in_threadpool(self._reports.told, sent))
        return number


def frame(report: Report, number: int) -> str:
    """One event report: what N-EVENT-REPORT has in its command set, and the event's information (DICOM JSON model)."""
    command = {
        "00000002": {"vr": "UI", "Value": [PUSH]},
        "00000110": {"vr": "US", "Value": [number % MESSAGE_IDS]},
        "00001000": {"vr": "UI", "Value": [report.workitem_uid]},
        "00001002": {"vr": "US", "Value": [int(report.event_type)]},
    }
    return json.dumps(command | dict(report.information))


def channel_router(site: Site) -> APIRouter:
    """To open a channel takes a session, as to change anything: what it is told nobody is told again."""
    router = APIRouter(prefix="/api/dicom-web")
    if site.reports is None:
        return router
    channels = Channels(site.reports)
    receivers = frozenset(one.ae_title for one in site.config.ups.receivers if one.host is None)

    @router.websocket("/subscribers/{receiver}")
    async def open_channel(socket: WebSocket, receiver: str) -> None:
        refusal = await run_in_threadpool(_refusal, lambda: _require_allowed(socket, receiver, receivers))
        if refusal is None and channels.is_full:
            refusal = problem(503, "TooManyChannels", "too many event channels are open")
        if refusal is not None:
            await socket.send_denial_response(refusal)
            return
        await socket.accept()
        await channels.serve(socket, receiver)

    return router


def _require_allowed(socket: WebSocket, receiver: str, receivers: frozenset[str]) -> None:
    """
    Raises:
        ForgedRequest: a page of another site asks.
        NotLoggedIn, UnknownReceiver, StoreUnavailable
    """
    same_origin(socket)
    if visit(socket).user is None:
        raise NotLoggedIn("log in to open the event channel")
    if receiver not in receivers:
        raise UnknownReceiver("no such subscriber has an event channel")


def _refusal(require: Callable[[], None]) -> JSONResponse | None:
    try:
        require()
    except (ForgedRequest, NotLoggedIn) as error:
        return problem(status_of(error), error.code, error.message)
    except UnknownReceiver as error:
        return problem(404, error.code, error.message)
    except AinodeError as error:
        log.error("ups.channel_not_opened", error=error.code)
        return problem(503, error.code, "try again later")
    return None


async def _until_closed(socket: WebSocket) -> None:
    """What the subscriber says is not listened to, only that it goes."""
    while (await socket.receive())["type"] != "websocket.disconnect":
        pass


async def _close(socket: WebSocket, code: int) -> None:
    if WebSocketState.DISCONNECTED not in (socket.client_state, socket.application_state):
        with contextlib.suppress(RuntimeError, OSError):
            await asyncio.wait_for(socket.close(code), SEND_S)
