"""A study's status from its rows."""

from __future__ import annotations

import itertools

import pytest

from node.domain.result import Outcome
from node.show.outcome import IMPORTANCE, Finality, Row, StudyRows, finality, outcomes, state

A, B = "1.1", "1.2"


def series(uid: str = A, state: str = "CLOSED", revision: int = 1) -> Row:
    return {"series_instance_uid": uid, "state": state, "revision": revision}


def admission(verdict: str = "ADMITTED", uid: str = A, model: str = "m") -> Row:
    return {"series_instance_uid": uid, "model": model, "verdict": verdict}


def job(state: str, outcome: str | None = None, uid: str = A, number: int = 1, revision: int = 1) -> Row:
    return {
        **{"id": number, "model": "m", "state": state, "outcome": outcome},
        **{"revision": revision, "series_instance_uids": [uid], "superseded_at": None},
        **{"document_due_at": None, "document_error": None},
        "withdrawn_at": "then" if outcome == Outcome.WITHDRAWN else None,
    }


def delivery(state: str, destination: str = "pacs", number: int = 1) -> Row:
    return {"state": state, "destination": destination, "job": number, "kind": "RESULT"}


# What one series can say, as (admission, job), by the outcome it gives.
SAYING: dict[Outcome, tuple[str, tuple[str, str | None] | None]] = {
    Outcome.POSITIVE: ("ADMITTED", ("COMPLETED", "POSITIVE")),
    Outcome.NEGATIVE: ("ADMITTED", ("COMPLETED", "NEGATIVE")),
    Outcome.NOT_EVALUABLE: ("NOT EVALUABLE", ("COMPLETED", "NOT EVALUABLE")),
    Outcome.FAILED: ("ADMITTED", ("FAILED", None)),
    Outcome.PENDING: ("ADMITTED", ("SCHEDULED", None)),
    Outcome.WITHDRAWN: ("ADMITTED", ("COMPLETED", "WITHDRAWN")),
    Outcome.NOT_WANTED: ("NOT WANTED", None),
}


def saying(*said: Outcome) -> StudyRows:
    uids = [A, B][: len(said)]
    jobs = [
        job(*ran, uid=uid, number=number)
        for number, (uid, outcome) in enumerate(zip(uids, said, strict=True), 1)
        if (ran := SAYING[outcome][1]) is not None
    ]
    admissions = [admission(SAYING[outcome][0], uid) for uid, outcome in zip(uids, said, strict=True)]
    return StudyRows([series(uid) for uid in uids], admissions, jobs, [])


@pytest.mark.parametrize("outcome", list(Outcome))
def test_one_series(outcome: Outcome) -> None:
    assert outcomes(saying(outcome)) == {"m": outcome}


@pytest.mark.parametrize(("first", "second"), list(itertools.product(Outcome, Outcome)))
def test_two_series_give_the_more_important(first: Outcome, second: Outcome) -> None:
    expected = min(first, second, key=IMPORTANCE.index)
    assert outcomes(saying(first, second)) == {"m": expected}


def test_nothing_missing_hides_behind_a_negative() -> None:
    for missing in (Outcome.FAILED, Outcome.PENDING, Outcome.NOT_EVALUABLE):
        assert outcomes(saying(Outcome.NEGATIVE, missing)) == {"m": missing}


def test_admitted_without_a_job_is_a_failure() -> None:
    assert outcomes(StudyRows([series()], [admission()], [], [])) == {"m": Outcome.FAILED}


def test_the_latest_run_counts() -> None:
    runs = [job("COMPLETED", "NEGATIVE", number=1), job("FAILED", number=2)]
    assert outcomes(StudyRows([series()], [admission()], runs, [])) == {"m": Outcome.FAILED}
    assert outcomes(StudyRows([series()], [admission()], runs[::-1], [])) == {"m": Outcome.FAILED}


def test_a_canceled_rerun_takes_nothing_away_and_a_canceled_only_run_is_a_failure() -> None:
    runs = [job("COMPLETED", "POSITIVE", number=1), job("CANCELED", number=2)]
    assert outcomes(StudyRows([series()], [admission()], runs, [])) == {"m": Outcome.POSITIVE}
    assert outcomes(StudyRows([series()], [admission()], runs[1:], [])) == {"m": Outcome.FAILED}


def test_runs_of_an_older_revision_say_nothing() -> None:
    old = job("COMPLETED", "NEGATIVE", revision=1)
    rows = StudyRows([series(revision=2)], [admission()], [old, job("SCHEDULED", number=2, revision=2)], [])
    assert outcomes(rows) == {"m": Outcome.PENDING}
    reopened = StudyRows([series(state="RECEIVING", revision=2)], [admission()], [old], [])
    assert outcomes(reopened) == {"m": Outcome.PENDING}


def test_a_model_that_came_later_and_was_asked_for() -> None:
    assert outcomes(StudyRows([series()], [], [job("COMPLETED", "NEGATIVE")], [])) == {"m": Outcome.NEGATIVE}
    now_wanted = StudyRows([series()], [admission("NOT WANTED")], [job("SCHEDULED")], [])
    assert outcomes(now_wanted) == {"m": Outcome.PENDING}


def test_models_do_not_mix() -> None:
    rows = StudyRows([series()], [admission(), admission("NOT WANTED", model="z")], [job("SCHEDULED")], [])
    assert outcomes(rows) == {"m": Outcome.PENDING, "z": Outcome.NOT_WANTED}


def test_an_unknown_study_is_not_final() -> None:
    assert finality(StudyRows([], [], [], [])) == Finality(known=False, final=False, failed=False)


@pytest.mark.parametrize(
    ("said", "deliveries", "final", "failed", "word"),
    [
        (Outcome.PENDING, [], False, False, "PROCESSING"),
        (Outcome.NOT_WANTED, [], True, False, "COMPLETED"),
        (Outcome.FAILED, [], True, True, "FAILED"),
        (Outcome.POSITIVE, ["SCHEDULED"], False, False, "DELIVERING"),
        (Outcome.POSITIVE, ["COMMITTED", "IN_PROGRESS"], False, False, "DELIVERING"),
        (Outcome.POSITIVE, ["STORED"], False, False, "DELIVERING"),
        (Outcome.POSITIVE, ["COMMITTED"], True, False, "COMPLETED"),
        (Outcome.POSITIVE, ["COMMITTED", "FAILED"], True, True, "FAILED"),
        (Outcome.POSITIVE, ["CANCELED"], True, True, "FAILED"),
        (Outcome.POSITIVE, ["FAILED", "SCHEDULED"], False, True, "DELIVERING"),
    ],
)
def test_finality(said: Outcome, deliveries: list[str], final: bool, failed: bool, word: str) -> None:
    rows = saying(said)
    study = StudyRows(rows.series, rows.admissions, rows.jobs, [delivery(one) for one in deliveries])
    assert finality(study) == Finality(known=True, final=final, failed=failed)
    assert state(study) == word


@pytest.mark.parametrize(("said", "failed"), [(Outcome.FAILED, True), (Outcome.WITHDRAWN, False)])
def test_a_study_is_not_final_before_its_document_is_written_or_given_up(said: Outcome, failed: bool) -> None:
    rows = saying(said)
    due = [{**rows.jobs[0], "document_due_at": "soon"}]
    study = StudyRows(rows.series, rows.admissions, due, [])
    assert (finality(study).final, state(study)) == (False, "DELIVERING")
    given_up = [{**rows.jobs[0], "document_error": "ObjectMissing"}]
    # A withdrawal of which nobody was told is a failure, too.
    assert finality(StudyRows(rows.series, rows.admissions, given_up, [])) == Finality(True, True, True)
    assert finality(rows) == Finality(True, True, failed)


def test_what_did_not_arrive_of_a_withdrawn_result_is_no_loss_but_its_rejection_is() -> None:
    rows = saying(Outcome.WITHDRAWN)

    def fails(kind: str, state: str) -> bool:
        sent = [{**delivery(state), "kind": kind}]
        return finality(StudyRows(rows.series, rows.admissions, rows.jobs, sent)).failed

    assert not fails("RESULT", "CANCELED")
    assert not fails("RESULT", "FAILED")
    assert fails("REJECTION", "FAILED")
    assert not fails("REJECTION", "COMMITTED")


def test_a_failure_that_could_not_be_told_is_no_loss_after_a_success() -> None:
    rows = saying(Outcome.POSITIVE)
    untold = [{**delivery("FAILED"), "kind": "FAILED"}, delivery("COMMITTED")]
    assert not finality(StudyRows(rows.series, rows.admissions, rows.jobs, untold)).failed


def test_stored_is_final_where_nobody_commits() -> None:
    rows = saying(Outcome.POSITIVE)
    stored = [delivery("STORED", "folder")]
    assert finality(StudyRows(rows.series, rows.admissions, rows.jobs, stored, ["pacs"])).final
    assert not finality(StudyRows(rows.series, rows.admissions, rows.jobs, stored, ["folder"])).final
    assert not finality(StudyRows(rows.series, rows.admissions, rows.jobs, stored)).final


def test_a_superseded_result_on_its_way_is_waited_for_and_its_failure_is_none() -> None:
    old = {**job("COMPLETED", "NEGATIVE", revision=1), "superseded_at": "then"}
    new = job("COMPLETED", "POSITIVE", number=2, revision=2)

    def study(state_of_old: str) -> StudyRows:
        sent = [delivery(state_of_old), delivery("COMMITTED", number=2)]
        return StudyRows([series(revision=2)], [admission()], [old, new], sent)

    assert outcomes(study("COMMITTED")) == {"m": Outcome.POSITIVE}
    assert finality(study("SCHEDULED")) == Finality(known=True, final=False, failed=False)
    assert finality(study("FAILED")) == Finality(known=True, final=True, failed=False)
    current = StudyRows([series(revision=2)], [admission()], [old, new], [delivery("FAILED", number=2)])
    assert finality(current).failed


def test_receiving_is_not_final() -> None:
    study = StudyRows([series(), series(B, "RECEIVING")], [], [], [])
    assert not finality(study).final
    assert state(study) == "RECEIVING"


def test_the_failure_of_one_series_counts_beside_a_positive_one() -> None:
    study = saying(Outcome.POSITIVE, Outcome.FAILED)
    assert outcomes(study) == {"m": Outcome.POSITIVE}
    assert finality(study).failed
