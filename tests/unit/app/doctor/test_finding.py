"""Checks side by side: none waits for another, and none stops the others."""

from __future__ import annotations

import threading
from collections.abc import Iterator

from node.app.doctor.finding import Check, Finding, Status, document, fail, look_at, misconfigured, ok, warn
from node.errors import ConfigurationError, StoreUnavailable


def test_one_that_hangs_and_those_that_break_stop_no_other() -> None:
    never = threading.Event()

    def hangs() -> Iterator[Finding]:
        never.wait()
        yield ok("hangs", "")

    def raises(error: Exception) -> Iterator[Finding]:
        yield ok("half", "found before")
        raise error

    checks = [
        Check("hangs", hangs, limit_s=0.05),
        Check("ours", lambda: raises(StoreUnavailable("the disk is away"))),
        Check("other", lambda: raises(ZeroDivisionError("secret"))),
        Check("well", lambda: [ok("well.1", "one"), warn("well.2", "two", "do")]),
    ]
    found = look_at(checks)
    never.set()
    assert [(one.id, one.status) for one in found] == [
        ("hangs", Status.FAIL),
        ("ours", Status.FAIL),
        ("other", Status.FAIL),
        ("well.1", Status.OK),
        ("well.2", Status.WARN),
    ]
    assert "0.05 s" in found[0].found
    assert found[1].found == "StoreUnavailable: the disk is away"
    assert "ZeroDivisionError" in found[2].found
    assert "secret" not in found[2].found
    assert all(one.advice for one in found if one.status is not Status.OK)


def test_a_warning_is_no_failure() -> None:
    told = document([ok("a", "x"), warn("b", "y", "do")])
    assert told["ok"] is True
    assert told["checks"][1] == {"id": "b", "status": "WARN", "found": "y", "advice": "do"}
    assert document([ok("a", "x"), fail("b", "y", "do")])["ok"] is False


def test_every_problem_of_a_configuration_is_told() -> None:
    found = misconfigured(ConfigurationError([("receive.port", "too large"), ("web.port", "too small")]))
    assert [(one.id, one.status, one.found) for one in found] == [
        ("configuration", Status.FAIL, "receive.port: too large"),
        ("configuration", Status.FAIL, "web.port: too small"),
    ]
