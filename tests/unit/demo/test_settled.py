"""A commitment that the node knows of already, and the PACS a moment later."""

from __future__ import annotations

from typing import Any

import pytest

from node.demo import main_job


def a_look(*objects: tuple[bool, bool]) -> dict[str, Any]:
    """A document with one object for each pair of received and committed."""
    found = [{"received": received, "committed": committed} for received, committed in objects]
    return {"studies": [{"objects": found}, {"objects": []}]}


def test_what_was_received_is_looked_at_again_until_it_is_committed(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(main_job, "POLL_S", 0.0)
    looks = [a_look((True, False), (True, True)), a_look((True, True), (True, True)), a_look((True, False))]
    assert main_job._settled(iter(looks).__next__) is looks[1]


def test_what_never_came_is_not_waited_for() -> None:
    looks = [a_look((False, False))]
    assert main_job._settled(iter(looks).__next__) is looks[0]


def test_what_is_never_committed_is_told_so(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(main_job, "SETTLE_S", -1.0)
    looks = [a_look((True, False))]
    assert main_job._settled(iter(looks).__next__) is looks[0]
