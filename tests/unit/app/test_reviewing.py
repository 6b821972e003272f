"""How a study stands for whoever is to read it."""

from __future__ import annotations

from typing import Any

import pytest

from node.app.reviewing import CANCELED, NO_JOB, standing
from node.domain.job import Priority
from node.domain.result import Outcome
from node.domain.review import Standing
from node.show.outcome import StudyRows
from tests.unit.show.test_outcome import A, B, admission, delivery, series
from tests.unit.show.test_outcome import job as plain_job

P, N, F, E, W = (
    Outcome.POSITIVE, Outcome.NEGATIVE, Outcome.FAILED, Outcome.NOT_EVALUABLE, Outcome.WITHDRAWN,
)  # fmt: skip


def job(state: str, outcome: str | None = None, **changes: Any) -> dict[str, Any]:
    uid, number = changes.pop("uid", A), changes.pop("number", 1)
    more = {
        "model_version": "1.0",
        "accession_number": "A1",
        "workitem_uid": f"2.{number}",
        "priority": Priority.MEDIUM,
        "error_code": "InferenceTimeout" if state == "FAILED" else None,
        "reason": {"code": "NoPixelData", "text": "no pixel data"} if outcome == E else None,
    }
    return {**plain_job(state, outcome, uid=uid, number=number), **more, **changes}


def study(*jobs: dict[str, Any], deliveries: tuple[str, ...] = (), series_state: str = "CLOSED") -> StudyRows:
    uids = sorted({uid for one in jobs for uid in one["series_instance_uids"]}) or [A]
    return StudyRows(
        [series(uid, series_state) for uid in uids],
        [admission(uid=uid) for uid in uids],
        list(jobs),
        [delivery(one) for one in deliveries],
    )


def of(rows: StudyRows, after_delivery: bool = True) -> Standing:
    found = standing("1.2", rows, after_delivery)
    assert found is not None
    return found


def test_a_study_that_is_gone() -> None:
    assert standing("1.2", StudyRows([], [], [], []), True) is None


def test_it_may_be_read_when_the_results_are_there() -> None:
    done = job("COMPLETED", P)
    on_the_way = study(done, deliveries=("SCHEDULED",))
    assert (of(on_the_way).evaluated, of(on_the_way).ready, of(on_the_way, False).ready) == (True, False, True)
    for final in ("COMMITTED", "FAILED"):
        assert of(study(done, deliveries=(final,))).ready
    assert of(on_the_way).basis == of(study(done, deliveries=("COMMITTED",))).basis


@pytest.mark.parametrize(
    "rows", [study(job("SCHEDULED")), study(job("COMPLETED", N), job("IN_PROGRESS", number=2, uid=B))]
)
def test_nothing_is_said_before_everything_is(rows: StudyRows) -> None:
    assert (of(rows).evaluated, of(rows, False).ready, of(rows).said) == (False, False, ())
    assert not of(study(job("COMPLETED", N), series_state="RECEIVING"), False).ready


@pytest.mark.parametrize(
    ("one", "outcome", "reason"),
    [
        (job("COMPLETED", P), P, ""),
        (job("COMPLETED", N), N, ""),
        (job("COMPLETED", E), E, "no pixel data"),
        (job("COMPLETED", W), W, ""),
        (job("FAILED"), F, "the images were not evaluated"),
    ],
)
def test_what_is_said_of_one_series(one: dict[str, Any], outcome: Outcome, reason: str) -> None:
    [said] = of(study(one)).said
    assert (said.model, said.version, said.outcome) == ("m", "1.0", outcome)
    assert said.reason.endswith(reason)


def test_no_series_hides_another() -> None:
    found = of(study(job("COMPLETED", P), job("FAILED", uid=B, number=2)))
    assert [said.outcome for said in found.said] == [P, F]
    assert (found.series, found.jobs) == ((A, B), (1, 2))


def test_a_canceled_run_is_no_result_and_nobody_wants_to_read_what_nobody_wanted() -> None:
    assert of(study(job("CANCELED"))).said == ()
    found = of(study(job("COMPLETED", N), job("CANCELED", uid=B, number=2)))
    assert [(said.outcome, said.reason) for said in found.said] == [(F, CANCELED), (N, "")]
    rerun = of(study(job("COMPLETED", N), job("CANCELED", number=2)))
    assert [said.outcome for said in rerun.said] == [N]


def test_a_model_that_never_ran_is_said_too() -> None:
    rows = study(job("COMPLETED", N))
    rows = StudyRows(rows.series, [*rows.admissions, admission(model="z")], rows.jobs, [])
    assert [(said.model, said.outcome, said.reason) for said in of(rows).said] == [("m", N, ""), ("z", F, NO_JOB)]


def test_another_basis_for_another_result() -> None:
    rows = [
        study(job("COMPLETED", N)),
        study(job("COMPLETED", P)),
        study(job("COMPLETED", N, workitem_uid="2.9")),
        study(job("COMPLETED", N, withdrawn_at="then")),
        study(job("COMPLETED", N), job("COMPLETED", N, uid=B, number=2)),
    ]
    assert len({of(each).basis for each in rows}) == len(rows)
    both = [job("COMPLETED", N), job("COMPLETED", P, uid=B, number=2)]
    assert of(study(*both)).basis == of(study(*reversed(both))).basis
    assert of(study(job("COMPLETED", N, superseded_at="then"), job("COMPLETED", P, number=2))).jobs == (2,)
    assert of(study(job("COMPLETED", N, priority=Priority.HIGH))).urgent
