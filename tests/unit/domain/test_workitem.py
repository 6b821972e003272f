"""The states of workitems against PS3.4 Table CC.1.1-2, every cell."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime

import pytest

from node.domain.job import Job, JobState, Priority
from node.domain.workitem import (
    StepState,
    Warned,
    Workitem,
    digest_of,
    end_wanted,
    require_claimable,
    require_settable,
    step_state,
)
from node.errors import WorkitemError

NOW = datetime(2030, 1, 1, tzinfo=UTC)
RIGHT, WRONG = digest_of("1.2.3"), digest_of("1.2.4")
JOB = Job(
    id=1,
    key="a",
    state=JobState.SCHEDULED,
    model="m",
    model_version="1",
    study_instance_uid="1.2",
    series_instance_uids=("1.2.1",),
    revision=1,
    accession_number="",
    destinations=(),
    priority=Priority.MEDIUM,
    attempt=0,
    max_attempts=3,
    created_at=NOW,
)
STATES = {
    "SCHEDULED": (JobState.SCHEDULED, 0),
    "IN PROGRESS": (JobState.IN_PROGRESS, 1),
    "COMPLETED": (JobState.COMPLETED, 1),
    "CANCELED": (JobState.CANCELED, 1),
}


def workitem(state: str, holder: str | None = RIGHT) -> Workitem:
    job_state, tries = STATES[state]
    return Workitem("1.9", replace(JOB, state=job_state), tries, NOW, transaction=holder if tries else None)


def answer(wanted: str, state: str, digest: str | None, holder: str | None = RIGHT) -> str:
    """A status, or what the workitem becomes."""
    try:
        if wanted == "IN PROGRESS":
            require_claimable(workitem(state, holder))
            return "IN PROGRESS"
        warned = end_wanted(workitem(state, holder), StepState(wanted), digest)
    except WorkitemError as error:
        return f"{error.dimse_status:04X}"
    return wanted if warned is None else f"{int(warned):04X}"


@pytest.mark.parametrize(
    ("wanted", "digest", "cells"),
    [
        ("IN PROGRESS", RIGHT, ("IN PROGRESS", "C302", "C300", "C300")),
        ("SCHEDULED", RIGHT, ("C303", "C303", "C303", "C303")),
        ("COMPLETED", RIGHT, ("C310", "COMPLETED", "B306", "C300")),
        ("COMPLETED", WRONG, ("C310", "C301", "C301", "C301")),
        ("COMPLETED", None, ("C301", "C301", "C301", "C301")),
        ("CANCELED", RIGHT, ("C310", "CANCELED", "C300", "B304")),
        ("CANCELED", WRONG, ("C310", "C301", "C301", "C301")),
    ],
)
def test_every_change_of_state(wanted: str, digest: str | None, cells: tuple[str, ...]) -> None:
    assert tuple(answer(wanted, state, digest) for state in STATES) == cells


def test_nobody_outside_holds_what_the_node_performs() -> None:
    assert answer("COMPLETED", "IN PROGRESS", RIGHT, holder=None) == "C301"


def test_what_is_superseded_can_only_be_canceled() -> None:
    given = workitem("IN PROGRESS")
    old = replace(given, job=replace(given.job, superseded_at=NOW))
    with pytest.raises(WorkitemError) as caught:
        end_wanted(old, StepState.COMPLETED, RIGHT)
    assert caught.value.dimse_status == 0xC300
    assert end_wanted(old, StepState.CANCELED, RIGHT) is None


@pytest.mark.parametrize(
    ("digest", "cells"),
    [
        (None, ("set", "C301", "C300", "C300")),
        (RIGHT, ("C310", "set", "C300", "C300")),
        (WRONG, ("C310", "C301", "C300", "C300")),
    ],
)
def test_who_may_set_attributes(digest: str | None, cells: tuple[str, ...]) -> None:
    def tried(state: str) -> str:
        try:
            require_settable(workitem(state), digest)
        except WorkitemError as error:
            return f"{error.dimse_status:04X}"
        return "set"

    assert tuple(map(tried, STATES)) == cells


def test_a_workitem_never_goes_back() -> None:
    assert step_state(JobState.SCHEDULED, 0) is StepState.SCHEDULED
    assert step_state(JobState.SCHEDULED, 1) is StepState.IN_PROGRESS
    assert step_state(JobState.FAILED, 3) is StepState.CANCELED


def test_warnings_are_warnings() -> None:
    assert all(warned in {0, 1} or 0xB300 <= warned <= 0xB3FF for warned in Warned)
