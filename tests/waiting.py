"""Waiting for a condition, with a deadline and a message; the only place in the tests that sleeps."""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import TypeVar

T = TypeVar("T")


def wait_for(condition: Callable[[], T], message: str, timeout_s: float = 30.0, poll_s: float = 0.05) -> T:
    """The first true value of ``condition()``.

    Raises:
        AssertionError: ``message``, when the time is over.
    """
    deadline = time.monotonic() + timeout_s
    while True:
        value = condition()
        if value:
            return value
        if time.monotonic() > deadline:
            raise AssertionError(f"not within {timeout_s:g} s: {message}")
        time.sleep(poll_s)
