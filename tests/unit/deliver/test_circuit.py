"""The circuit breaker, and a sender behind it: one probe now and then instead of an attempt for every delivery."""

from __future__ import annotations

from pathlib import Path

import pytest

from node.deliver.circuit import Circuit, CircuitSettings
from node.deliver.sender import Sender, SenderSettings
from node.domain.delivery import DeliveryState
from node.domain.retry import RetryPolicy
from node.errors import (
    AccessRefused,
    DeliveryError,
    DestinationBusy,
    DestinationUnreachable,
    StoreRefused,
    StoreUnavailable,
    UnexpectedAnswer,
)
from tests.fakes.destination import FolderStore, MemoryDestination
from tests.fakes.outbox import MemoryOutbox, StandingClock
from tests.objects import SR

SETTINGS = CircuitSettings(open_after=3, probe_every_s=10.0, probe_cap_s=60.0)
GONE = DestinationUnreachable("no connection")


@pytest.fixture
def clock() -> StandingClock:
    return StandingClock()


@pytest.fixture
def circuit(clock: StandingClock) -> Circuit:
    return Circuit(clock, SETTINGS)


def opened(circuit: Circuit) -> None:
    for _ in range(SETTINGS.open_after):
        circuit.failed(GONE)
    assert circuit.state.open


def test_it_opens_after_so_many_failures_in_a_row(circuit: Circuit, clock: StandingClock) -> None:
    circuit.failed(GONE)
    circuit.failed(GONE)
    circuit.sent()
    circuit.failed(GONE)
    circuit.failed(GONE)
    assert not circuit.state.open
    circuit.failed(GONE)
    assert (circuit.state.open, circuit.state.since, circuit.state.error_code) == (
        True, clock.now(), "DestinationUnreachable",
    )  # fmt: skip


def test_one_probe_in_each_interval_whoever_asks(circuit: Circuit, clock: StandingClock) -> None:
    opened(circuit)
    assert not circuit.takes_probe()
    clock.advance(10.0)
    assert [circuit.takes_probe() for _ in range(4)] == [True, False, False, False]
    circuit.failed(GONE)
    clock.advance(9.9)
    assert not circuit.takes_probe()
    clock.advance(0.1)
    assert circuit.takes_probe()


def test_it_is_closed_on_probation_and_opens_at_once(circuit: Circuit, clock: StandingClock) -> None:
    opened(circuit)
    clock.advance(10.0)
    assert circuit.takes_probe()
    circuit.answers()
    assert not circuit.state.open
    circuit.failed(GONE)
    assert circuit.state.open
    circuit.answers()
    circuit.sent()
    circuit.failed(GONE)
    assert not circuit.state.open


def test_who_answers_and_takes_nothing_is_asked_ever_more_rarely(circuit: Circuit, clock: StandingClock) -> None:
    opened(circuit)
    waits = []
    for _ in range(5):
        circuit.answers()
        circuit.failed(GONE)
        assert circuit.state.probe_at is not None
        waits.append((circuit.state.probe_at - clock.now()).total_seconds())
    assert waits == [20.0, 40.0, 60.0, 60.0, 60.0]


def test_busy_opens_it_for_as_long_as_was_asked(circuit: Circuit, clock: StandingClock) -> None:
    circuit.failed(DestinationBusy("503", retry_after_s=120.0))
    assert circuit.state.open
    clock.advance(119.9)
    assert not circuit.takes_probe()
    clock.advance(0.1)
    assert circuit.takes_probe()


def test_busy_without_a_time_is_a_failure_like_others(circuit: Circuit) -> None:
    circuit.failed(DestinationBusy("503", retry_after_s=None))
    assert not circuit.state.open


class Bench:
    def __init__(self, folder: Path, clock: StandingClock, circuit: Circuit) -> None:
        self.clock, self.outbox, self.circuit = clock, MemoryOutbox(clock), circuit
        self.store = FolderStore(folder)
        self.probes = 0
        self.fits = 0
        bench = self

        class Counted(MemoryDestination):
            def echo(self) -> None:
                bench.probes += 1
                super().echo()

        self.destination = Counted()
        policy = RetryPolicy(max_attempts=100, base_s=2.0, cap_s=300.0)
        self.sender = Sender(
            self.destination, self.outbox, self.store, clock, "s", SenderSettings(policy=policy),
            circuit=circuit, fit=self._fit, chance=lambda: 1.0,
        )  # fmt: skip

    def _fit(self) -> None:
        self.fits += 1
        raise StoreUnavailable("asked in vain: no reason to stop")

    def add(self, amount: int) -> None:
        for number in range(amount):
            self.store.put(b"bytes", f"1.2.{number}")
            self.outbox.add("pacs", SR, f"1.2.{number}", job_id=number + 1, max_attempts=100)

    def attempts(self) -> int:
        return sum(self.outbox.get(number + 1).attempt for number in range(len(self.outbox.states())))


@pytest.fixture
def bench(tmp_path: Path, clock: StandingClock, circuit: Circuit) -> Bench:
    return Bench(tmp_path, clock, circuit)


def test_an_outage_of_an_hour_costs_few_attempts_and_loses_nothing(bench: Bench, clock: StandingClock) -> None:
    bench.add(20)
    bench.destination.unreachable = GONE
    for _ in range(3600):
        bench.sender.run_once()
        clock.advance(1.0)
    assert bench.attempts() == SETTINGS.open_after
    assert 300 <= bench.probes <= 361
    bench.destination.unreachable = None
    clock.advance(10.0)
    while bench.sender.run_once():
        pass
    assert bench.outbox.states() == [DeliveryState.STORED] * 20
    assert bench.destination.received == [f"1.2.{number}" for number in range(20)], "those that had failed go first"
    assert bench.fits == 1
    assert not bench.circuit.state.open


def test_what_waited_goes_as_soon_as_somebody_is_back(bench: Bench, clock: StandingClock) -> None:
    """Although its own next attempt would be hours later."""
    bench.add(3)
    bench.destination.unreachable = DestinationUnreachable("no connection", retry_after_s=7200.0)
    for _ in range(3):
        bench.sender.run_once()
    assert bench.circuit.state.open
    bench.destination.unreachable = None
    clock.advance(10.0)
    bench.sender.run_once()
    assert bench.outbox.states() == [DeliveryState.STORED] * 3


@pytest.mark.parametrize("error", [UnexpectedAnswer("404"), AccessRefused("403")])
def test_who_answers_a_probe_with_something_else_gets_one_real_attempt(
    bench: Bench, clock: StandingClock, error: DeliveryError
) -> None:
    """Whatever the probe says: a server may take results and answer no questions."""
    bench.add(5)
    bench.destination.unreachable = error
    for _ in range(600):
        bench.sender.run_once()
        clock.advance(1.0)
    assert SETTINGS.open_after < bench.attempts() < 20
    bench.destination.unreachable = None
    clock.advance(120.0)
    while bench.sender.run_once():
        clock.advance(300.0)
    assert bench.outbox.states() == [DeliveryState.STORED] * 5


def test_retry_after_is_kept(bench: Bench, clock: StandingClock) -> None:
    bench.add(1)
    bench.destination.unreachable = DestinationBusy("503", retry_after_s=120.0)
    bench.sender.run_once()
    run_after = bench.outbox.get(1).run_after
    assert run_after is not None
    assert (run_after - clock.now()).total_seconds() == 120.0
    clock.advance(119.0)
    bench.destination.unreachable = None
    assert not bench.sender.run_once()
    clock.advance(1.0)
    assert bench.sender.run_once()
    assert bench.outbox.states() == [DeliveryState.STORED]


def test_what_is_refused_of_one_object_opens_nothing(bench: Bench) -> None:
    bench.add(10)
    bench.destination.refusals = {f"1.2.{number}": StoreRefused("A700") for number in range(10)}
    bench.sender.run_once()
    assert not bench.circuit.state.open
    assert bench.attempts() == 10
