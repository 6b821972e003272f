from __future__ import annotations

import threading

from node.admin.timers import Timer, guarded, run_steadily, run_timers
from tests.waiting import wait_for


def test_an_error_is_recorded_and_the_timer_goes_on() -> None:
    calls: list[int] = []

    def fails_first() -> None:
        calls.append(1)
        if len(calls) == 1:
            raise OSError("disk")

    tick = guarded(Timer("t", 1.0, fails_first))
    tick()
    tick()
    assert len(calls) == 2


def test_timers_run_at_their_interval_until_stopped() -> None:
    stop = threading.Event()
    calls: list[int] = []
    broken: list[int] = []

    def breaks() -> None:
        broken.append(1)
        raise ValueError("always")

    timers = [Timer("a", 0.05, lambda: calls.append(1)), Timer("b", 0.05, breaks)]
    thread = threading.Thread(target=run_timers, args=(timers, stop))
    thread.start()
    try:
        wait_for(lambda: len(calls) >= 3 and len(broken) >= 3, "both timers ran three times")
    finally:
        stop.set()
        thread.join(10)
    assert not thread.is_alive()
    after = len(calls)
    assert not wait_quietly(lambda: len(calls) > after)


def test_a_steady_timer_runs_at_once_when_it_is_woken_and_rests_after_an_error() -> None:
    wake, stop = threading.Event(), threading.Event()
    calls: list[int] = []

    def fails_second() -> None:
        calls.append(1)
        if len(calls) == 2:
            raise OSError("disk")

    timer = Timer("t", 3600.0, fails_second)
    thread = threading.Thread(target=run_steadily, args=(timer, wake, stop, 0.01))
    thread.start()
    try:
        wait_for(lambda: len(calls) == 1, "it runs at the start")
        wake.set()
        wait_for(lambda: len(calls) == 3, "woken it runs, and after its error once more")
    finally:
        stop.set()
        wake.set()
        thread.join(10)
    assert not thread.is_alive()


def wait_quietly(condition: object) -> bool:
    """Whether ``condition`` becomes true within a few intervals."""
    assert callable(condition)
    try:
        wait_for(condition, "a further call", timeout_s=0.3)
    except AssertionError:
        return False
    return True
