from __future__ import annotations

import pytest

from node.domain.retry import STORE_CAP_S, GiveUp, Retry, RetryPolicy, decide
from node.errors import InferenceTimeout, InvalidModelOutput, StoreUnavailable

POLICY = RetryPolicy(max_attempts=3, base_s=2.0, cap_s=300.0)


def test_what_passes_is_tried_until_the_attempts_are_used_up() -> None:
    assert [decide(InferenceTimeout(), attempt, POLICY, 1.0) for attempt in (1, 2, 3)] == [
        Retry(2.0),
        Retry(4.0),
        GiveUp(),
    ]


def test_what_does_not_pass_is_given_up_at_once() -> None:
    assert decide(InvalidModelOutput(), 1, POLICY, 1.0) == GiveUp()


@pytest.mark.parametrize(("attempt", "delay_s"), [(1, 2.0), (3, 8.0), (50, STORE_CAP_S), (5000, STORE_CAP_S)])
def test_a_full_disk_is_waited_for(attempt: int, delay_s: float) -> None:
    assert decide(StoreUnavailable("the disk is full"), attempt, POLICY, 1.0) == Retry(delay_s)
