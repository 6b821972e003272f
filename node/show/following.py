"""Who looks at the worklist is told what changed: one thread asks the database, however many listen."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field

import structlog

from node.errors import AinodeError
from node.show.listing import Changed, Listing
from node.show.projection import Projection
from node.show.wanted import Wanted

log = structlog.get_logger()

POLL_S = 0.25
# After an error the database is left alone for so long.
TROUBLE_S = 2.0
# What a listener has not taken yet; who is further behind reads its page anew.
MOST_WAITING = 500
END = None


@dataclass(eq=False)
class Listener:
    """One open worklist. Listeners of one ``kind`` are sent the same: it is made once."""

    wanted: Callable[[], Wanted]
    kind: str
    loop: asyncio.AbstractEventLoop
    waiting: asyncio.Queue[str | None] = field(default_factory=lambda: asyncio.Queue(MOST_WAITING + 1))

    def put(self, frames: list[str | None]) -> None:
        """In the loop's own thread."""
        for frame in frames:
            if self.waiting.full():
                return
            # The last place is for the end: who is so far behind reads everything anew when it comes back.
            self.waiting.put_nowait(frame if self.waiting.qsize() < MOST_WAITING else END)


class Follower:
    """``frame(kind, change, fits)`` is the text of an event for listeners of a kind; None: nothing for them."""

    def __init__(
        self, projection: Projection, listing: Listing, frame: Callable[[str, Changed, bool], str | None]
    ) -> None:
        self._projection = projection
        self._listing = listing
        self._frame = frame
        self._listeners: set[Listener] = set()
        self._lock = threading.Lock()
        self._stop = threading.Event()
        self._seen: dict[str, int] = {}
        self._thread = threading.Thread(target=self._run, name="follow-worklist", daemon=True)

    def start(self) -> None:
        self._thread.start()

    def stop(self) -> None:
        """Every stream ends, so that the server can."""
        self._stop.set()
        with self._lock:
            listeners, self._listeners = self._listeners, set()
        for one in listeners:
            _hand_over(one, [END])

    @property
    def stopped(self) -> bool:
        return self._stop.is_set()

    def listen(self, listener: Listener) -> None:
        with self._lock:
            self._listeners.add(listener)

    def leave(self, listener: Listener) -> None:
        with self._lock:
            self._listeners.discard(listener)

    @property
    def listeners(self) -> int:
        return len(self._listeners)

    def _run(self) -> None:
        pause = POLL_S
        while not self._stop.wait(pause):
            try:
                self.turn()
                pause = POLL_S
            except AinodeError as error:
                log.warning("worklist.not_followed", error=error.code)
                pause = TROUBLE_S
            except Exception:
                # An edge: whatever goes wrong, the next turn tries again.
                log.exception("worklist.not_followed")
                pause = TROUBLE_S

    def turn(self) -> int:
        """Bring lines up to date and tell of them; how many were new to us."""
        self._projection.project()
        newest = self._listing.newest_change()
        if newest is None:
            return 0
        changed = self._listing.changed(newest)
        fresh = [one for one in changed if self._seen.get(_uid(one)) != one.revision]
        self._seen = {_uid(one): one.revision for one in changed}
        if fresh:
            self._tell(fresh)
        return len(fresh)

    def _tell(self, changes: Iterable[Changed]) -> None:
        with self._lock:
            listeners = list(self._listeners)
        made: dict[tuple[str, str, bool], str | None] = {}
        for one in listeners:
            wanted = one.wanted()
            frames: list[str | None] = []
            for change in changes:
                key = (one.kind, _uid(change), wanted.fits(change.terms, change.arrived))
                if key not in made:
                    made[key] = self._frame(one.kind, change, key[2])
                if made[key] is not None:
                    frames.append(made[key])
            if frames:
                _hand_over(one, frames)


def _hand_over(listener: Listener, frames: list[str | None]) -> None:
    try:
        listener.loop.call_soon_threadsafe(listener.put, frames)
    except RuntimeError:  # its loop is closed: the server ends
        return


def _uid(change: Changed) -> str:
    uid: str = change.document["study_instance_uid"]
    return uid
