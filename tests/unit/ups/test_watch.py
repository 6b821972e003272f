"""Who is told what."""

from __future__ import annotations

from datetime import timedelta

import pytest

from node.domain.workitem import GLOBAL, StepState, Subscription
from node.ups.elements import item, to_json
from node.ups.watch import receivers, states_told
from tests.unit.domain.test_workitem import NOW, workitem

S, P, C, X = StepState.SCHEDULED, StepState.IN_PROGRESS, StepState.COMPLETED, StepState.CANCELED
KEYS = to_json(item(WorklistLabel="Night"))
LATER, EARLIER = NOW + timedelta(seconds=1), NOW - timedelta(seconds=1)


@pytest.mark.parametrize(
    ("told", "subscriptions"),
    [
        (("A",), [Subscription("A", "1.9")]),
        ((), [Subscription("A", "1.8")]),
        (("A", "B"), [Subscription("B", GLOBAL), Subscription("A", GLOBAL), Subscription("A", "1.9")]),
        ((), [Subscription("A", GLOBAL), Subscription("A", "1.9", wanted=False)]),
        (("A",), [Subscription("A", GLOBAL), Subscription("A", "1.8", wanted=False)]),
        (("A",), [Subscription("A", GLOBAL, suspended_at=LATER)]),
        ((), [Subscription("A", GLOBAL, suspended_at=EARLIER)]),
        (("A",), [Subscription("A", GLOBAL, suspended_at=EARLIER), Subscription("A", "1.9")]),
        (("A",), [Subscription("A", GLOBAL, matching=KEYS)]),
    ],
)
def test_receivers(told: tuple[str, ...], subscriptions: list[Subscription]) -> None:
    assert receivers(subscriptions, workitem("SCHEDULED"), lambda keys: keys.WorklistLabel == "Night") == told


def test_a_filter_that_does_not_fit_tells_nobody() -> None:
    assert receivers([Subscription("A", GLOBAL, matching=KEYS)], workitem("SCHEDULED"), lambda keys: False) == ()


@pytest.mark.parametrize(
    ("was", "became", "told"),
    [
        (None, S, (S,)),
        (S, P, (P,)),
        (P, P, ()),
        (P, C, (C,)),
        (P, X, (X,)),
        (S, X, (P, X)),
        (None, None, ()),
        (X, X, ()),
    ],
)
def test_states_told(was: StepState | None, became: StepState | None, told: tuple[StepState, ...]) -> None:
    assert states_told(was, became) == told
