"""Makes the reviews of studies as they are analysed, and takes back what is out of date."""

from __future__ import annotations

import threading
from collections.abc import Callable

import structlog

from node.domain.review import Standing
from node.errors import AinodeError
from node.ports.reviews import Reviews

log = structlog.get_logger()

AT_ONCE = 50
LOOK_EVERY_S = 0.5
TROUBLE_S = 5.0


class Reviewing:
    """``standing`` looks at a study; None: it is gone."""

    def __init__(self, reviews: Reviews, standing: Callable[[str], Standing | None]) -> None:
        self._reviews = reviews
        self._standing = standing

    def run(self, stop: threading.Event) -> None:
        pause = LOOK_EVERY_S
        while not stop.wait(pause):
            try:
                pause = 0.0 if self.run_once() else LOOK_EVERY_S
            except AinodeError as error:
                log.warning("ups.not_reviewed", error=error.code)
                pause = TROUBLE_S
            except Exception as error:  # noqa: BLE001  the loop's edge: the next turn tries again
                log.error("ups.not_reviewed", error=type(error).__name__)
                pause = TROUBLE_S

    def run_once(self) -> int:
        """Settle the studies that changed; how many."""
        self._reviews.expire()
        changed = self._reviews.changed(AT_ONCE)
        made = sum(self._reviews.settle(one, self._standing(one.study_instance_uid)) for one in changed)
        if made:
            log.info("ups.reviews_made", reviews=made)
        return len(changed)
