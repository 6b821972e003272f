"""The sender over an outbox, a store and a destination in memory."""

from __future__ import annotations

import threading
from collections.abc import Sequence
from pathlib import Path

import pytest

from node.deliver.sender import Sender, SenderSettings, serve
from node.domain.delivery import CommitmentReport, Delivery, DeliveryState
from node.domain.retry import RetryPolicy
from node.domain.study import SopRef
from node.errors import CommitmentFailed, DestinationUnreachable, SopClassRefused, StoreRefused
from tests.fakes.destination import FolderStore, MemoryDestination
from tests.fakes.outbox import MemoryOutbox, StandingClock
from tests.objects import SEG, SR
from tests.waiting import wait_for

SCHEDULED, STORED = DeliveryState.SCHEDULED, DeliveryState.STORED
COMMITTED, FAILED = DeliveryState.COMMITTED, DeliveryState.FAILED
SETTINGS = SenderSettings(policy=RetryPolicy(max_attempts=3, base_s=2.0, cap_s=60.0), idle_s=0.01)


class Bench:
    """A sender with everything around it in memory."""

    def __init__(self, folder: Path, commits: bool = False) -> None:
        self.clock = StandingClock()
        self.outbox = MemoryOutbox(self.clock)
        self.store = FolderStore(folder)
        self.destination = MemoryDestination(commits=commits)
        self.sender = self.new_sender()

    def new_sender(self, owner: str = "s1") -> Sender:
        uids = iter(f"2.25.{number}" for number in range(1, 100))
        return Sender(
            self.destination,
            self.outbox,
            self.store,
            self.clock,
            owner,
            SETTINGS,
            chance=lambda: 1.0,
            transaction_uid=lambda: next(uids),
        )

    def add(self, uid: str, sop_class: str = SEG, job_id: int = 1, max_attempts: int = 3) -> int:
        self.store.put(b"bytes", uid)
        return self.outbox.add("pacs", sop_class, uid, job_id=job_id, max_attempts=max_attempts)


@pytest.fixture
def bench(tmp_path: Path) -> Bench:
    return Bench(tmp_path)


@pytest.fixture
def committing(tmp_path: Path) -> Bench:
    return Bench(tmp_path, commits=True)


def all_committed(transaction_uid: str, refs: Sequence[SopRef]) -> CommitmentReport:
    return CommitmentReport(transaction_uid, tuple(ref.sop_instance_uid for ref in refs), {})


def test_nothing_due_is_nothing_done(bench: Bench) -> None:
    assert not bench.sender.run_once()


def test_what_is_due_is_stored_segmentations_first(bench: Bench) -> None:
    bench.add("1.1", SR)
    bench.add("1.2", SEG)
    assert bench.sender.run_once()
    assert bench.destination.received == ["1.2", "1.1"]
    assert bench.outbox.states() == [STORED, STORED]
    assert not bench.sender.run_once()


def test_an_unreachable_destination_is_tried_again_with_a_growing_delay_then_given_up(bench: Bench) -> None:
    delivery = bench.add("1.1", max_attempts=3)
    bench.destination.unreachable = DestinationUnreachable("no connection")
    waited = []
    for _ in range(3):
        bench.sender.run_once()
        row = bench.outbox.get(delivery)
        if row.run_after is not None and row.state is SCHEDULED:
            delay = (row.run_after - bench.clock.now()).total_seconds()
            waited.append(delay)
            bench.clock.advance(delay - 0.1)
            assert not bench.sender.run_once()
            bench.clock.advance(0.2)
    assert waited == [2.0, 4.0]
    assert (bench.outbox.get(delivery).state, bench.outbox.get(delivery).error_code) == (
        FAILED,
        "DestinationUnreachable",
    )


def test_one_refused_object_is_no_harm_to_the_others(bench: Bench) -> None:
    refused, full, fine = bench.add("1.1"), bench.add("1.2"), bench.add("1.3")
    bench.destination.refusals = {
        "1.1": SopClassRefused(),
        "1.2": StoreRefused("C-STORE answered A700H", status=0xA700),
    }
    bench.sender.run_once()
    assert [bench.outbox.get(one).state for one in (refused, full, fine)] == [FAILED, SCHEDULED, STORED]
    assert bench.outbox.get(refused).error_code == "SopClassRefused"


def test_an_object_that_is_gone_is_not_sent_and_not_tried_again(bench: Bench) -> None:
    lost, fine = bench.add("1.1"), bench.add("1.2")
    bench.store.delete("1.1")
    bench.sender.run_once()
    assert [bench.outbox.get(one).state for one in (lost, fine)] == [FAILED, STORED]
    assert bench.outbox.get(lost).error_code == "ObjectMissing"


def test_an_error_that_is_not_ours_is_kept_with_the_delivery(bench: Bench) -> None:
    delivery = bench.add("1.1")
    bench.destination.unreachable = TypeError("a bug")
    bench.sender.run_once()
    row = bench.outbox.get(delivery)
    assert (row.state, row.error_code, row.error) == (SCHEDULED, "DeliveryError", "unexpected TypeError")


def test_what_was_lost_meanwhile_is_not_overwritten(bench: Bench) -> None:
    delivery = bench.add("1.1")

    def take_over() -> None:
        bench.destination.while_sending = lambda: None
        bench.clock.advance(1000)
        bench.outbox.rescue()
        bench.outbox.claim("pacs", "another", 30.0)

    bench.destination.while_sending = take_over
    bench.sender.run_once()
    row = bench.outbox.get(delivery)
    assert (row.state, row.owner, row.attempt) == (DeliveryState.IN_PROGRESS, "another", 2)


def test_a_crash_after_the_c_store_sends_the_same_uid_again(bench: Bench) -> None:
    class Killed(BaseException):
        pass

    def killed(_: Delivery) -> bool:
        raise Killed

    delivery = bench.add("1.1")
    stored, bench.outbox.stored = bench.outbox.stored, killed  # type: ignore[method-assign]
    with pytest.raises(Killed):
        bench.sender.run_once()
    bench.outbox.stored = stored  # type: ignore[method-assign]
    bench.clock.advance(SETTINGS.lease_s + 1)
    bench.outbox.rescue()
    bench.new_sender("after the crash").run_once()
    assert bench.destination.received == ["1.1", "1.1"]
    assert bench.outbox.get(delivery).state is STORED


def test_a_long_association_keeps_its_lease(tmp_path: Path) -> None:
    bench = Bench(tmp_path)
    bench.add("1.1")
    renewed = threading.Event()
    renew = bench.outbox.renew

    def counted(deliveries: Sequence[Delivery], lease_s: float) -> bool:
        renewed.set()
        return renew(deliveries, lease_s)

    bench.outbox.renew = counted  # type: ignore[method-assign]
    bench.destination.while_sending = lambda: wait_for(renewed.is_set, "the lease is not renewed") and None
    short = SenderSettings(lease_s=0.03)
    Sender(bench.destination, bench.outbox, bench.store, bench.clock, "s1", short).run_once()
    assert renewed.is_set()
    assert bench.outbox.states() == [STORED]


def test_without_commitment_stored_is_final(bench: Bench) -> None:
    bench.add("1.1")
    bench.sender.run_once()
    bench.sender.run_once()
    assert bench.destination.requests == []


def test_commitment_on_the_same_association(committing: Bench) -> None:
    committing.add("1.1")
    committing.add("1.2", SR)
    committing.destination.report = all_committed
    committing.sender.run_once()
    assert committing.outbox.states() == [COMMITTED, COMMITTED]
    assert committing.destination.requests == [("2.25.1", ("1.1", "1.2"))]


def test_the_transaction_uid_is_kept_before_the_request_goes_out(committing: Bench) -> None:
    committing.add("1.1")

    def early(transaction_uid: str, refs: Sequence[SopRef]) -> None:
        # The report came on another association before this request was even answered.
        assert committing.outbox.apply_report(all_committed(transaction_uid, refs))

    committing.destination.report = early  # type: ignore[assignment]
    committing.sender.run_once()
    assert committing.outbox.states() == [COMMITTED]


def test_a_request_under_way_is_not_repeated(committing: Bench) -> None:
    committing.add("1.1")
    committing.sender.run_once()
    committing.sender.run_once()
    assert len(committing.destination.requests) == 1
    assert committing.outbox.states() == [STORED]


def test_a_request_that_was_never_answered_expires_and_is_asked_again(committing: Bench) -> None:
    committing.add("1.1")
    committing.sender.run_once()
    committing.clock.advance(SETTINGS.commitment_timeout_s + 1)
    assert committing.outbox.expire_commitments() == 1
    committing.destination.report = all_committed
    committing.sender.run_once()
    assert [transaction_uid for transaction_uid, _ in committing.destination.requests] == ["2.25.1", "2.25.2"]
    assert committing.outbox.states() == [COMMITTED]


def test_what_was_not_committed_is_sent_and_asked_for_again(committing: Bench) -> None:
    fine, lost = committing.add("1.1"), committing.add("1.2")
    committing.destination.report = lambda uid, _: CommitmentReport(uid, ("1.1",), {"1.2": 0x0112})
    committing.sender.run_once()
    assert [committing.outbox.get(one).state for one in (fine, lost)] == [COMMITTED, SCHEDULED]
    assert committing.outbox.get(lost).error_code == CommitmentFailed.code
    committing.destination.report = all_committed
    committing.sender.run_once()
    assert committing.outbox.states() == [COMMITTED, COMMITTED]
    assert committing.destination.received == ["1.1", "1.2", "1.2"]
    assert committing.destination.requests[-1] == ("2.25.2", ("1.2",))


def test_a_refused_request_is_withdrawn_and_repeated_after_a_delay(committing: Bench) -> None:
    committing.add("1.1")
    committing.sender.run_once()
    committing.outbox.withdraw_commitment("2.25.1")
    committing.destination.unreachable = DestinationUnreachable("no connection")
    committing.sender.run_once()
    assert committing.outbox.commitments == {}
    committing.destination.unreachable = None
    committing.destination.report = all_committed
    assert not committing.sender.run_once()
    committing.clock.advance(2.1)
    committing.sender.run_once()
    assert committing.outbox.states() == [COMMITTED]


def test_the_loop_survives_a_failing_outbox_and_stops_when_told(bench: Bench) -> None:
    bench.add("1.1")
    claim = bench.outbox.claim
    failures = iter([OSError("database is locked"), OSError("database is locked")])

    def flaky(destination: str, owner: str, lease_s: float, limit: int = 50) -> Sequence[Delivery]:
        error = next(failures, None)
        if error is not None:
            raise error
        return claim(destination, owner, lease_s, limit)

    bench.outbox.claim = flaky  # type: ignore[method-assign]
    stop = threading.Event()
    thread = threading.Thread(target=serve, args=([bench.sender], stop))
    thread.start()
    try:
        wait_for(lambda: bench.outbox.states() == [STORED], "the delivery is not stored")
    finally:
        stop.set()
        thread.join(10)
    assert not thread.is_alive()


def test_stopping_finishes_the_association_and_begins_no_other(bench: Bench) -> None:
    bench.add("1.1", job_id=1)
    bench.add("2.1", job_id=2)
    stop = threading.Event()
    bench.destination.while_sending = stop.set
    bench.sender.run(stop)
    assert bench.outbox.states() == [STORED, SCHEDULED]
