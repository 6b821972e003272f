"""The log of uses for those who must not wait for it: entries are written by a thread, a few together."""

from __future__ import annotations

import threading
from collections.abc import Callable, Sequence
from datetime import datetime

import structlog

from node.domain.audit import Use
from node.errors import AinodeError, StoreUnavailable
from node.ports import Clock

log = structlog.get_logger()

Noted = tuple[datetime, str, Use]
# So many may wait; then nothing more is done that is to be logged.
MOST_WAITING = 10_000
AT_ONCE = 200
TRY_AGAIN_S = 1.0
CLOSE_S = 10.0


class UsesLater:
    """``ports.Uses``. What could not be written stays and is tried again; until then ``require`` refuses.

    ``write`` raises ``StoreUnavailable`` where nothing was written.
    """

    def __init__(
        self, clock: Clock, write: Callable[[Sequence[Noted]], None], try_again_s: float = TRY_AGAIN_S
    ) -> None:
        self._clock = clock
        self._write = write
        self._try_again_s = try_again_s
        self._waiting: list[Noted] = []
        self._failed = False
        self._closing = False
        self._changed = threading.Condition()
        self._thread = threading.Thread(target=self._run, name="uses", daemon=True)
        self._thread.start()

    def require(self) -> None:
        with self._changed:
            if self._failed or len(self._waiting) >= MOST_WAITING:
                raise StoreUnavailable("the log of uses cannot be written")

    def note(self, actor: str, use: Use) -> None:
        with self._changed:
            self._waiting.append((self._clock.now(), actor, use))
            self._changed.notify_all()

    def close(self) -> None:
        """Write what waits; what cannot be written is counted in the log of the process."""
        with self._changed:
            self._closing = True
            self._changed.notify_all()
        self._thread.join(CLOSE_S)
        if self._waiting:
            log.error("uses.not_written", entries=len(self._waiting))

    def _run(self) -> None:
        while True:
            with self._changed:
                self._changed.wait_for(lambda: self._waiting or self._closing)
                some = self._waiting[:AT_ONCE]
            if not some:
                return
            if not self._written(some) and self._pause():
                return

    def _written(self, some: Sequence[Noted]) -> bool:
        try:
            self._write(some)
        except Exception as error:  # noqa: BLE001  edge of the thread: whatever it is, nothing is forgotten
            code = error.code if isinstance(error, AinodeError) else type(error).__name__
            log.error("uses.failed", error=code, waiting=len(self._waiting))
            self._failed = True
            return False
        with self._changed:
            del self._waiting[: len(some)]
            self._failed = False
        return True

    def _pause(self) -> bool:
        """Whether it is over: closing waits for nobody."""
        with self._changed:
            return self._changed.wait_for(lambda: self._closing, self._try_again_s)
