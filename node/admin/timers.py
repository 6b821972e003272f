"""What runs by the clock: a name, an interval, a function. Truth stays in the tables, so nothing is remembered here."""

from __future__ import annotations

import logging
import threading
from collections.abc import Callable, Sequence
from dataclasses import dataclass

import structlog
from apscheduler.schedulers.background import BackgroundScheduler

log = structlog.get_logger()


@dataclass(frozen=True, slots=True)
class Timer:
    """``function`` must be idempotent: it runs again after a crash, and its return value is only logged."""

    name: str
    interval_s: float
    function: Callable[[], object]


def run_timers(timers: Sequence[Timer], stop: threading.Event) -> None:
    """Run every timer at its interval until ``stop``; a run that is under way is finished first."""
    logging.getLogger("apscheduler").setLevel(logging.ERROR)
    scheduler = BackgroundScheduler(timezone="UTC")
    for timer in timers:
        scheduler.add_job(
            guarded(timer),
            "interval",
            seconds=timer.interval_s,
            max_instances=1,
            coalesce=True,
            misfire_grace_time=None,
        )
    scheduler.start()
    stop.wait()
    scheduler.shutdown(wait=True)


def run_steadily(timer: Timer, wake: threading.Event, stop: threading.Event, trouble_s: float = 1.0) -> None:
    """Run one timer in this thread until ``stop``, at once when ``wake`` is set; after an error not for ``trouble_s``.

    For what must not wait: a scheduler's second is a long time there.
    """
    tick = guarded(timer)
    while not stop.is_set():
        if tick():
            wake.wait(timer.interval_s)
            wake.clear()
        else:
            stop.wait(trouble_s)


def guarded(timer: Timer) -> Callable[[], bool]:
    """The timer's function with its edge: an error is recorded, and the next interval tries again.

    It answers whether the function ran without an error.
    """

    def tick() -> bool:
        try:
            result = timer.function()
        except Exception:
            # One of the four edges. The log keeps type and place of a foreign exception, never its words: those may
            # quote what was received.
            log.exception("timer.failed", timer=timer.name)
            return False
        if result:
            log.info("timer.run", timer=timer.name, result=result)
        return True

    return tick
