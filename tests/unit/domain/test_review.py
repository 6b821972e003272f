"""When a person is to look at a study, how soon, and what the workitem says."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime

import pytest

from node.domain.job import Priority
from node.domain.result import Outcome
from node.domain.review import (
    LONGEST_COMMENT,
    UNVERIFIED,
    Decision,
    Review,
    Said,
    Standing,
    comment_of,
    decide,
    priority_of,
    summary_of,
)
from node.domain.workitem import StepState

NOW = datetime(2030, 1, 1, tzinfo=UTC)
P, N, F, E, W = (
    Outcome.POSITIVE, Outcome.NEGATIVE, Outcome.FAILED, Outcome.NOT_EVALUABLE, Outcome.WITHDRAWN,
)  # fmt: skip
READY = Standing("1.2", "A1", "b", evaluated=True, ready=True, said=(Said("m", "1", N),))
REVIEW = Review(
    1, "1.9", "1.2", "A1", "b", StepState.SCHEDULED, Priority.LOW, "NEGATIVE", "", ("1.2.1",), (1,), NOW, NOW
)
NOTHING, MAKE = Decision(), Decision(make=True)


def said(*outcomes: Outcome) -> tuple[Said, ...]:
    return tuple(Said(f"m{number}", "1", outcome) for number, outcome in enumerate(outcomes))


@pytest.mark.parametrize(
    ("standing", "latest", "decision"),
    [
        (READY, None, MAKE),
        (replace(READY, ready=False), None, NOTHING),
        (replace(READY, said=()), None, NOTHING),
        (None, None, NOTHING),
        (READY, REVIEW, NOTHING),
        (replace(READY, ready=False), REVIEW, NOTHING),  # sent once more: the same is to be read
        (replace(READY, evaluated=False, ready=False, said=()), REVIEW, Decision(withdraw=True)),
        (replace(READY, basis="c"), REVIEW, Decision(withdraw=True, make=True)),
        (replace(READY, basis="c", ready=False), REVIEW, Decision(withdraw=True)),
        (replace(READY, basis="c"), replace(REVIEW, state=StepState.IN_PROGRESS), Decision(withdraw=True, make=True)),
        (replace(READY, basis="c"), replace(REVIEW, state=StepState.COMPLETED), MAKE),
        (READY, replace(REVIEW, state=StepState.COMPLETED), NOTHING),
        (READY, replace(REVIEW, state=StepState.CANCELED), NOTHING),  # somebody did not want it
        (READY, replace(REVIEW, state=StepState.CANCELED, superseded=True), MAKE),  # the node took it back
        (replace(READY, ready=False), replace(REVIEW, state=StepState.CANCELED, superseded=True), NOTHING),
        (None, REVIEW, Decision(withdraw=True)),
        (None, replace(REVIEW, state=StepState.COMPLETED), NOTHING),
    ],
)
def test_decide(standing: Standing | None, latest: Review | None, decision: Decision) -> None:
    assert decide(standing, latest) == decision


@pytest.mark.parametrize(
    ("outcomes", "urgent", "priority", "summary"),
    [
        ((N, N), False, Priority.LOW, "NEGATIVE"),
        ((N,), True, Priority.MEDIUM, "NEGATIVE"),
        ((N, P), False, Priority.HIGH, "POSITIVE, NEGATIVE"),
        ((F, N), False, Priority.MEDIUM, "FAILED, NEGATIVE"),
        ((E,), False, Priority.MEDIUM, "NOT EVALUABLE"),
        ((W, N), False, Priority.MEDIUM, "WITHDRAWN, NEGATIVE"),
        ((P, F, E), False, Priority.HIGH, "POSITIVE, FAILED, NOT EVALUABLE"),
    ],
)
def test_what_is_missing_never_looks_like_a_negative(
    outcomes: tuple[Outcome, ...], urgent: bool, priority: Priority, summary: str
) -> None:
    found = said(*outcomes)
    assert priority_of(replace(READY, said=found, urgent=urgent)) is priority
    assert summary_of(found) == summary
    assert comment_of(found).endswith(UNVERIFIED)


def test_a_comment_has_its_limit_and_keeps_its_warning() -> None:
    comment = comment_of([Said("m", "1", F, "x" * 20000)])
    assert len(comment) == LONGEST_COMMENT
    assert comment.startswith("m 1: FAILED - xxx")
    assert comment.endswith(UNVERIFIED)
