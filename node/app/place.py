"""Where a role's process stands: its name, what it inherited, its heartbeat."""

from __future__ import annotations

import os
import threading
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

import structlog

from node.errors import AinodeError
from node.ports import RoleBoard

log = structlog.get_logger()

BEAT_S = 2.0


@dataclass(frozen=True, slots=True)
class Place:
    """``ready`` tells the supervisor that the role serves; ``stop`` is set when the process shall drain."""

    role: str
    instance: str
    host: str
    device: str
    listen_fd: int | None
    ready: Callable[[], None]
    stop: threading.Event


class Heartbeat:
    """Beats for one process until it is left; ``detail`` is asked at each beat."""

    def __init__(self, board: RoleBoard, place: Place, detail: Callable[[], Mapping[str, Any]]) -> None:
        self._board = board
        self._place = place
        self._detail = detail
        self._done = threading.Event()
        self._thread = threading.Thread(target=self._beat, name="heartbeat", daemon=True)

    def __enter__(self) -> Heartbeat:
        self._once()
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._done.set()
        self._thread.join()
        self._board.leave(self._place.role, self._place.instance)

    def _once(self) -> None:
        place = self._place
        self._board.beat(place.role, place.instance, os.getpid(), place.host, self._detail())

    def _beat(self) -> None:
        while not self._done.wait(BEAT_S):
            try:
                self._once()
            except AinodeError as error:  # a missed beat is seen as stale; the role itself goes on
                log.warning("role.heartbeat_not_written", error=error.code)
