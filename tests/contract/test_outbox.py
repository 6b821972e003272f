"""``ports.Outbox`` over both databases."""

from __future__ import annotations

import threading
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from datetime import timedelta

import pytest
from sqlalchemy import Engine, select

from node.database.outbox import SqlOutbox
from node.database.tables import job
from node.domain.delivery import CommitmentReport, Delivery, DeliveryState
from node.domain.job import Priority
from node.domain.retry import RetryPolicy
from node.errors import DestinationUnreachable, InvalidTransition, NotFound, SopClassRefused
from node.jobs.queue import SqlJobQueue
from node.ports import Outbox
from tests.contract.rows import SEG, SR, completion, new_job
from tests.fakes.outbox import StandingClock

LEASE_S = 30.0
RESEND_S = 4.0
SCHEDULED, IN_PROGRESS = DeliveryState.SCHEDULED, DeliveryState.IN_PROGRESS
STORED, COMMITTED, FAILED = DeliveryState.STORED, DeliveryState.COMMITTED, DeliveryState.FAILED


@pytest.fixture
def outbox(engine: Engine, clock: StandingClock) -> Outbox:
    return SqlOutbox(engine, clock, resend=RetryPolicy(base_s=RESEND_S))


@pytest.fixture
def queue(engine: Engine, clock: StandingClock) -> SqlJobQueue:
    return SqlJobQueue(engine, clock, delivery_attempts={"pacs": 2})


def finish(queue: SqlJobQueue, key: str, prefix: str, **changes: object) -> int:
    """A completed job about a series of its own, with a report and a segmentation; its id."""
    job_id = queue.enqueue(new_job(key, series_instance_uids=(f"1.2.3.{prefix}",), **changes))
    job = queue.claim("w1", 6.0)
    assert job is not None
    assert job.id == job_id
    assert queue.complete(job, completion(prefix))
    return job_id


def claim(outbox: Outbox, limit: int = 50) -> Sequence[Delivery]:
    return outbox.claim("pacs", "s1", LEASE_S, limit)


def deliver(outbox: Outbox) -> Sequence[Delivery]:
    """Claim and store what is due; as it then stands."""
    claimed = claim(outbox)
    for one in claimed:
        assert outbox.stored(one)
    return [outbox.get(one.id) for one in claimed]


def states(outbox: Outbox, deliveries: Sequence[Delivery]) -> list[DeliveryState]:
    return [outbox.get(one.id).state for one in deliveries]


def test_a_claim_takes_one_job_the_segmentation_first(outbox: Outbox, queue: SqlJobQueue) -> None:
    first, second = finish(queue, "a", "9.1"), finish(queue, "b", "9.2")
    claimed = claim(outbox)
    assert [(one.job_id, one.sop_class_uid) for one in claimed] == [(first, SEG), (first, SR)]
    assert {(one.state, one.owner, one.attempt, one.study_instance_uid) for one in claimed} == {
        (IN_PROGRESS, "s1", 1, "1.2.3")
    }
    assert claimed[0].storage_key == "key-9.1.2"
    assert [one.job_id for one in claim(outbox)] == [second, second]
    assert claim(outbox) == []


def test_the_most_urgent_job_goes_first(outbox: Outbox, queue: SqlJobQueue) -> None:
    finish(queue, "low", "9.1", priority=Priority.LOW)
    urgent = finish(queue, "high", "9.2", priority=Priority.HIGH)
    assert {one.job_id for one in claim(outbox)} == {urgent}


def test_a_claim_takes_no_more_than_its_limit(outbox: Outbox, queue: SqlJobQueue) -> None:
    finish(queue, "a", "9.1")
    assert [one.sop_class_uid for one in claim(outbox, limit=1)] == [SEG]
    assert [one.sop_class_uid for one in claim(outbox, limit=1)] == [SR]


def test_destinations_do_not_share(outbox: Outbox, queue: SqlJobQueue) -> None:
    finish(queue, "a", "9.1", destinations=("pacs", "archive"))
    assert len(outbox.claim("archive", "s2", LEASE_S)) == 2
    assert len(claim(outbox)) == 2


def test_no_two_senders_get_the_same_delivery(outbox: Outbox, queue: SqlJobQueue) -> None:
    for number in range(8):
        finish(queue, f"job-{number}", f"9.{number}")
    together = threading.Barrier(3)

    def sender(name: str) -> list[tuple[int, ...]]:
        together.wait(60)
        groups = []
        for _ in range(40):
            claimed = outbox.claim("pacs", name, LEASE_S)
            if claimed:
                groups.append(tuple(one.id for one in claimed))
        return groups

    with ThreadPoolExecutor(3) as pool:
        groups = [group for mine in pool.map(sender, "abc") for group in mine]
    assert {len(group) for group in groups} == {2}, "a job's objects were split between senders"
    ids = [one for group in groups for one in group]
    assert len(ids) == len(set(ids)) == 16


@pytest.mark.parametrize("engine", ["postgresql"], indirect=True)  # SQLite has one writer at a time
def test_a_job_that_another_sender_claims_is_passed_over(outbox: Outbox, queue: SqlJobQueue, engine: Engine) -> None:
    job_id, other = finish(queue, "a", "9.1"), finish(queue, "b", "9.2")
    with engine.begin() as connection:
        connection.execute(select(job.c.id).where(job.c.id == job_id).with_for_update())
        assert {one.job_id for one in claim(outbox)} == {other}


def test_saves_are_fenced(outbox: Outbox, queue: SqlJobQueue, clock: StandingClock) -> None:
    finish(queue, "a", "9.1")
    lost = claim(outbox)[0]
    clock.advance(LEASE_S + 1)
    assert outbox.rescue() == 2
    assert outbox.rescue() == 0
    assert outbox.claim("pacs", "s2", LEASE_S) == [], "what killed one sender does not kill the next at once"
    clock.advance(RESEND_S)
    taken = outbox.claim("pacs", "s2", LEASE_S)[0]
    assert (taken.id, taken.attempt) == (lost.id, 2)
    assert not outbox.stored(replace(taken, attempt=1))
    assert not outbox.stored(replace(taken, owner="s1"))
    assert not outbox.stored(lost)
    assert not outbox.fail(lost, DestinationUnreachable(), None)
    assert not outbox.renew([lost], LEASE_S)
    assert outbox.get(lost.id).owner == "s2"
    assert outbox.stored(taken)
    assert not outbox.stored(taken)


def test_what_kills_its_senders_is_given_up(outbox: Outbox, queue: SqlJobQueue, clock: StandingClock) -> None:
    finish(queue, "a", "9.1")
    finish(queue, "b", "9.2")
    killing = claim(outbox)
    clock.advance(LEASE_S)
    assert outbox.rescue() == 2
    others = claim(outbox)
    assert {one.job_id for one in others} != {one.job_id for one in killing}
    assert all(outbox.stored(one) for one in others)
    clock.advance(RESEND_S)
    assert [one.id for one in claim(outbox)] == [one.id for one in killing]
    clock.advance(LEASE_S)
    assert outbox.rescue() == 2
    assert states(outbox, killing) == [FAILED, FAILED]
    assert {outbox.get(one.id).error_code for one in killing} == {"WorkerLost"}


def test_urgent_results_go_first_after_an_outage(outbox: Outbox, queue: SqlJobQueue, clock: StandingClock) -> None:
    """However long the less urgent ones have waited."""
    low = finish(queue, "low", "9.1", priority=Priority.LOW)
    clock.advance(86_400)
    high = finish(queue, "high", "9.2", priority=Priority.HIGH)
    clock.advance(1)
    higher = finish(queue, "higher", "9.3", priority=Priority.HIGH)
    assert [claim(outbox)[0].job_id for _ in range(3)] == [high, higher, low]


def test_renew_keeps_what_is_still_ours(outbox: Outbox, queue: SqlJobQueue, clock: StandingClock) -> None:
    finish(queue, "a", "9.1")
    claimed = claim(outbox)
    assert outbox.stored(claimed[0])
    clock.advance(LEASE_S - 1)
    assert outbox.renew(claimed, LEASE_S)
    clock.advance(LEASE_S - 1)
    assert outbox.rescue() == 0
    assert outbox.stored(claimed[1])
    assert not outbox.renew(claimed, LEASE_S)


def test_a_failed_delivery_waits_then_gives_up(outbox: Outbox, queue: SqlJobQueue, clock: StandingClock) -> None:
    finish(queue, "a", "9.1")
    seg, sr = claim(outbox)
    assert outbox.fail(seg, DestinationUnreachable("connection refused"), 10.0)
    assert outbox.fail(sr, SopClassRefused("not negotiated"), None)
    waiting = outbox.get(seg.id)
    assert (waiting.state, waiting.owner, waiting.error_code) == (SCHEDULED, None, "DestinationUnreachable")
    assert (outbox.get(sr.id).state, outbox.get(sr.id).error) == (FAILED, "not negotiated")
    assert claim(outbox) == []
    clock.advance(10)
    again = claim(outbox)
    assert [(one.id, one.attempt) for one in again] == [(seg.id, 2)]
    assert outbox.stored(again[0])
    assert outbox.get(seg.id).error_code is None


def test_an_operators_retry(outbox: Outbox, queue: SqlJobQueue) -> None:
    finish(queue, "a", "9.1")
    seg, sr = claim(outbox)
    outbox.fail(seg, DestinationUnreachable(), None)
    with pytest.raises(InvalidTransition):
        outbox.retry(sr.id)
    outbox.retry(seg.id)
    again = claim(outbox)[0]
    assert (again.id, again.attempt, again.max_attempts) == (seg.id, 2, 3)
    with pytest.raises(NotFound):
        outbox.retry(404)
    with pytest.raises(NotFound):
        outbox.get(404)


def test_what_is_committed_stays_so(outbox: Outbox, queue: SqlJobQueue, clock: StandingClock) -> None:
    finish(queue, "a", "9.1")
    seg, _ = deliver(outbox)
    outbox.request_commitment("2.25.1", [seg], clock.now() + timedelta(seconds=60))
    outbox.apply_report(CommitmentReport("2.25.1", (seg.sop_instance_uid,), {}))
    with pytest.raises(InvalidTransition):
        outbox.retry(seg.id)


def test_a_commitment_from_request_to_report(outbox: Outbox, queue: SqlJobQueue, clock: StandingClock) -> None:
    finish(queue, "a", "9.1")
    sent = deliver(outbox)
    assert states(outbox, sent) == [STORED, STORED]
    assert [one.id for one in outbox.uncommitted("pacs")] == sorted(one.id for one in sent)
    assert outbox.uncommitted("archive") == []
    outbox.request_commitment("2.25.1", sent, clock.now() + timedelta(seconds=60))
    assert outbox.uncommitted("pacs") == []
    assert outbox.get(sent[0].id).transaction_uid == "2.25.1"
    report = CommitmentReport("2.25.1", tuple(one.sop_instance_uid for one in sent), {})
    assert outbox.apply_report(report)
    committed = [outbox.get(one.id) for one in sent]
    assert [one.state for one in committed] == [COMMITTED, COMMITTED]
    clock.advance(5)
    assert outbox.apply_report(report)
    assert [outbox.get(one.id) for one in sent] == committed
    clock.advance(100)
    assert outbox.expire_commitments() == 0


def test_a_partial_failure_sends_again_what_failed(outbox: Outbox, queue: SqlJobQueue, clock: StandingClock) -> None:
    finish(queue, "a", "9.1")
    seg, sr = deliver(outbox)
    outbox.request_commitment("2.25.1", [seg, sr], clock.now() + timedelta(seconds=60))
    report = CommitmentReport("2.25.1", (sr.sop_instance_uid,), {seg.sop_instance_uid: 0x0112})
    assert outbox.apply_report(report)
    assert states(outbox, [seg, sr]) == [SCHEDULED, COMMITTED]
    refused = outbox.get(seg.id)
    assert refused.error_code == "CommitmentFailed"
    assert "0112H" in (refused.error or "")
    assert claim(outbox) == []
    clock.advance(RESEND_S)
    again = claim(outbox)
    assert [one.id for one in again] == [seg.id]
    # The first report once more, while the object is under way again.
    assert outbox.apply_report(report)
    assert outbox.stored(again[0])
    assert outbox.apply_report(report)
    assert outbox.get(seg.id).state is STORED, "an old answer says nothing of what was sent since"
    outbox.request_commitment("2.25.2", again, clock.now() + timedelta(seconds=60))
    assert outbox.apply_report(CommitmentReport("2.25.2", (), {seg.sop_instance_uid: 0x0112}))
    assert outbox.get(seg.id).state is FAILED, "the attempts are used up"


def test_a_report_of_an_unknown_transaction(outbox: Outbox, queue: SqlJobQueue) -> None:
    finish(queue, "a", "9.1")
    sent = deliver(outbox)
    assert not outbox.apply_report(CommitmentReport("2.25.404", (sent[0].sop_instance_uid,), {}))
    assert states(outbox, sent) == [STORED, STORED]


def test_a_report_speaks_only_of_what_was_asked(outbox: Outbox, queue: SqlJobQueue, clock: StandingClock) -> None:
    finish(queue, "a", "9.1")
    seg, sr = deliver(outbox)
    outbox.request_commitment("2.25.1", [seg], clock.now() + timedelta(seconds=60))
    assert outbox.apply_report(CommitmentReport("2.25.1", (seg.sop_instance_uid, sr.sop_instance_uid), {"7.7.7": 1}))
    assert states(outbox, [seg, sr]) == [COMMITTED, STORED]


def test_what_a_report_leaves_out_is_asked_for_again(outbox: Outbox, queue: SqlJobQueue, clock: StandingClock) -> None:
    finish(queue, "a", "9.1")
    seg, sr = deliver(outbox)
    outbox.request_commitment("2.25.1", [seg, sr], clock.now() + timedelta(seconds=60))
    assert outbox.apply_report(CommitmentReport("2.25.1", (seg.sop_instance_uid,), {}))
    assert [one.id for one in outbox.uncommitted("pacs")] == [sr.id]


def test_an_answer_that_does_not_come_expires(outbox: Outbox, queue: SqlJobQueue, clock: StandingClock) -> None:
    finish(queue, "a", "9.1")
    sent = deliver(outbox)
    outbox.request_commitment("2.25.1", sent, clock.now() + timedelta(seconds=60))
    clock.advance(59)
    assert outbox.expire_commitments() == 0
    clock.advance(1)
    assert outbox.expire_commitments() == 1
    assert outbox.expire_commitments() == 0
    assert len(outbox.uncommitted("pacs")) == 2


def test_a_late_report_is_still_true(outbox: Outbox, queue: SqlJobQueue, clock: StandingClock) -> None:
    finish(queue, "a", "9.1")
    seg, sr = deliver(outbox)
    outbox.request_commitment("2.25.1", [seg, sr], clock.now() + timedelta(seconds=60))
    clock.advance(61)
    outbox.expire_commitments()
    outbox.request_commitment("2.25.2", outbox.uncommitted("pacs"), clock.now() + timedelta(seconds=60))
    late = CommitmentReport("2.25.1", (seg.sop_instance_uid,), {sr.sop_instance_uid: 0x0110})
    assert outbox.apply_report(late)
    # What was refused then has been asked for anew: the newer answer decides.
    assert states(outbox, [seg, sr]) == [COMMITTED, STORED]
    assert outbox.apply_report(CommitmentReport("2.25.2", (sr.sop_instance_uid,), {}))
    assert states(outbox, [seg, sr]) == [COMMITTED, COMMITTED]


def test_a_withdrawn_request_is_made_again(outbox: Outbox, queue: SqlJobQueue, clock: StandingClock) -> None:
    finish(queue, "a", "9.1")
    sent = deliver(outbox)
    outbox.request_commitment("2.25.1", sent, clock.now() + timedelta(seconds=60))
    outbox.withdraw_commitment("2.25.1")
    assert len(outbox.uncommitted("pacs")) == 2
    clock.advance(61)
    assert outbox.expire_commitments() == 0


def test_one_report_from_two_associations_at_once(outbox: Outbox, queue: SqlJobQueue, clock: StandingClock) -> None:
    finish(queue, "a", "9.1")
    seg, sr = deliver(outbox)
    outbox.request_commitment("2.25.1", [seg, sr], clock.now() + timedelta(seconds=60))
    report = CommitmentReport("2.25.1", (sr.sop_instance_uid,), {seg.sop_instance_uid: 0x0112})
    with ThreadPoolExecutor(4) as pool:
        assert all(pool.map(lambda _: outbox.apply_report(report), range(4)))
    assert states(outbox, [seg, sr]) == [SCHEDULED, COMMITTED]
