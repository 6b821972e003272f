"""``/api/v1/events``: changes of the worklist as server-sent events (WHATWG HTML section 9.2)."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator, Callable
from datetime import datetime
from typing import Annotated, Literal

from fastapi import APIRouter, Query
from fastapi.responses import StreamingResponse

from node.ports import Clock
from node.show.following import END, Follower, Listener
from node.show.listing import Changed
from node.show.query import Filters
from node.show.wanted import Wanted

# A line that says nothing, so that who listens, and everything between, knows that the node lives.
KEEP_ALIVE_S = 10.0
RETRY_MS = 2000
MOST_LISTENERS = 500
JSON_ONLY = "json"


def events_router(follower: Follower, clock: Clock) -> APIRouter:
    router = APIRouter(prefix="/api/v1", tags=["studies"])

    @router.get(
        "/events",
        response_class=StreamingResponse,
        responses={200: {"content": {"text/event-stream": {}}}, 503: {"description": "too many listeners"}},
    )
    async def events(
        filters: Filters,
        rows: Annotated[
            Literal["", "en", "zh"], Query(description="A language: each event also has the row of the page.")
        ] = "",
        once: Annotated[bool, Query(description="End after the first turn, with what there is.")] = False,
    ) -> StreamingResponse:
        """One event ``study`` for each study whose line changed: ``{"study", "new", "fits"}``; a study that does not
        fit the filters (any more) is told by its UID alone.
        """
        stream = _stream(follower, filters.wanted, clock.now, rows or JSON_ONLY, once)
        return StreamingResponse(stream, media_type="text/event-stream", headers={"X-Accel-Buffering": "no"})

    return router


def frame(change: Changed, fits: bool, html: str | None) -> str:
    """One event; ``html`` only where a page asks for it."""
    uid = change.document["study_instance_uid"]
    told = (
        {"study_instance_uid": uid, "fits": True, "new": change.new, "html": html}
        if html is not None
        else {"study_instance_uid": uid, "fits": True, "new": change.new, "study": change.document}
    )
    data = json.dumps(told if fits else {"study_instance_uid": uid, "fits": False})
    return f"event: study\ndata: {data}\n\n"


async def _stream(
    follower: Follower,
    wanted: Callable[[datetime], Wanted],
    now: Callable[[], datetime],
    kind: str,
    once: bool,
) -> AsyncIterator[str]:
    listener = Listener(lambda: wanted(now()), kind, asyncio.get_running_loop())
    too_many = follower.listeners >= MOST_LISTENERS
    if follower.stopped or too_many:
        yield f"retry: {15 * RETRY_MS}\n\n"
        return
    follower.listen(listener)
    try:
        yield f"retry: {RETRY_MS}\nevent: ready\ndata: {{}}\n\n"
        while not once:
            try:
                text = await asyncio.wait_for(listener.waiting.get(), KEEP_ALIVE_S)
            except TimeoutError:
                yield "event: alive\ndata: {}\n\n"
                continue
            if text is END:
                return
            yield text
    finally:
        follower.leave(listener)
