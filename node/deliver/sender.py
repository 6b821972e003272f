"""Due deliveries go to one destination, and commitment is asked for what it stored.

One ``Sender``, one thread and one destination belong together: a dead destination delays nobody but itself.

Crashes: an object whose C-STORE was answered but whose row was not yet STORED is sent again, with the same SOP
Instance UID: the destination sees one object twice, never two objects. A Transaction UID is kept before its N-ACTION.
"""

from __future__ import annotations

import contextlib
import random
import threading
import uuid
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta
from typing import Protocol

import structlog

from node.deliver.circuit import Circuit
from node.domain.delivery import Delivery
from node.domain.retry import Retry, RetryPolicy, decide
from node.domain.study import SopRef
from node.errors import (
    AinodeError,
    AssociationRejected,
    DeliveryError,
    DestinationBusy,
    DestinationFull,
    DestinationUnreachable,
    PatientMismatch,
)
from node.ports import Clock, DeliveryOutcome, Destination, ObjectStore, Outbox, Outgoing

log = structlog.get_logger()

# A probe that ends so found nobody who could take anything.
NOBODY = (AssociationRejected, DestinationBusy, DestinationFull, DestinationUnreachable)

# What waits for an operator's word is SCHEDULED for a time that nobody sees.
HELD_S = 200 * 365 * 86400.0


@dataclass(frozen=True, slots=True)
class SenderSettings:
    """How one destination is served; times in seconds.

    A lease is renewed while its association lasts, so it may be short: it is how long the deliveries of a process
    that died wait for another one. ``burst`` associations at most are opened before commitment is asked for, by the one
    of a destination's senders that ``asks``.
    """

    policy: RetryPolicy = field(default_factory=lambda: RetryPolicy(max_attempts=100))
    lease_s: float = 6.0
    commitment_timeout_s: float = 60.0
    claim_limit: int = 50
    commitment_limit: int = 500
    burst: int = 10
    idle_s: float = 0.1
    asks: bool = True


class Sender:
    """Claims, sends, records, asks for commitment. ``run_once`` is one round of it, ``run`` the loop of a thread."""

    def __init__(
        self,
        destination: Destination,
        outbox: Outbox,
        results: ObjectStore,
        clock: Clock,
        owner: str,
        settings: SenderSettings = SenderSettings(),
        *,
        circuit: Circuit | None = None,
        fit: Callable[[], None] = lambda: None,
        check: Callable[[Sequence[Delivery]], Mapping[int, AinodeError]] = lambda claimed: {},
        chance: Callable[[], float] = random.random,
        transaction_uid: Callable[[], str] = lambda: f"2.25.{uuid.uuid4().int}",
    ) -> None:
        """``circuit`` is shared by the senders of a destination; without one nothing is held back.

        ``fit`` is called at the start, and when the destination is back: what it takes may have changed meanwhile.
        ``check`` says which of the deliveries of a job may not be sent, and why.
        """
        self._destination = destination
        self._circuit = circuit
        self._fit = fit
        self._check = check
        self._outbox = outbox
        self._results = results
        self._clock = clock
        self._owner = owner
        self._settings = settings
        self._chance = chance
        self._transaction_uid = transaction_uid
        self._refusals = 0
        self._ask_from: datetime | None = None
        self._log = log.bind(destination=destination.name)

    def run(self, stop: threading.Event) -> None:
        """Serve until ``stop``; an association under way is finished first."""
        self._look_what_it_takes()
        while not stop.is_set():
            try:
                busy = self.run_once(stop)
            except Exception:  # noqa: BLE001  the sender loop's edge: the table or the store failed, the next round may not
                self._log.exception("deliver.round_failed")
                busy = False
            if not busy:
                stop.wait(self._settings.idle_s)

    def run_once(self, stop: threading.Event | None = None) -> bool:
        """Send what is due, then ask for commitment of what is stored; True if there was anything to do.

        Rescue of what dead senders held and expiry of unanswered requests are the timers' work.
        """
        busy = False
        for _ in range(self._settings.burst):
            if (stop is not None and stop.is_set()) or not self._answers() or not self._send_due():
                break
            busy = True
        if self._settings.asks and self._destination.commits and not (stop is not None and stop.is_set()):
            busy = (self._answers() and self._ask_for_commitment()) or busy
        return busy

    def _answers(self) -> bool:
        """Whether the circuit is closed; where it is open and due for it, it is looked first."""
        if self._circuit is None or not self._circuit.state.open:
            return True
        if not self._circuit.takes_probe():
            return False
        try:
            self._destination.echo()
        except NOBODY as error:
            self._circuit.failed(error)
            self._log.warning("destination.away", error_code=error.code)
            return False
        except DeliveryError as error:
            # Somebody answers, if not what was asked: one real attempt decides, at its own time.
            self._circuit.answers()
            self._log.warning("destination.answers", error_code=error.code)
            return True
        self._circuit.answers()
        self._log.info("destination.back", due=self._outbox.due_again(self._destination.name))
        self._look_what_it_takes()
        return True

    def _look_what_it_takes(self) -> None:
        try:
            self._fit()
        except AinodeError as error:
            self._log.warning("destination.not_fitted", error_code=error.code)

    def _send_due(self) -> bool:
        settings = self._settings
        claimed = self._outbox.claim(self._destination.name, self._owner, settings.lease_s, settings.claim_limit)
        if not claimed:
            return False
        with self._lease_kept(claimed):
            outcomes = self._attempt(claimed)
        for delivery, outcome in zip(claimed, outcomes, strict=True):
            self._record(delivery, outcome)
        return True

    def _attempt(self, claimed: Sequence[Delivery]) -> Sequence[DeliveryOutcome]:
        """One outcome for each delivery, in order, whatever happens."""
        refused = self._refused(claimed)
        found, missing = self._locate([one for one in claimed if one.id not in refused])
        try:
            sent = self._destination.send(list(found.values())) if found else []
            if found and self._circuit is not None:
                self._circuit.sent()
        except DeliveryError as error:
            if self._circuit is not None:
                self._circuit.failed(error)
            sent = [DeliveryOutcome(outgoing.sop_instance_uid, None, error) for outgoing in found.values()]
        except Exception as error:  # noqa: BLE001  the sender loop's edge: one destination's fault is kept with its deliveries
            self._log.exception("deliver.failed")
            kept = DeliveryError(f"unexpected {type(error).__name__}")
            sent = [DeliveryOutcome(outgoing.sop_instance_uid, None, kept) for outgoing in found.values()]
        outcomes = refused | missing | dict(zip(found, sent, strict=True))
        return [outcomes[delivery.id] for delivery in claimed]

    def _refused(self, claimed: Sequence[Delivery]) -> dict[int, DeliveryOutcome]:
        """By delivery id: what may not be sent now; where that cannot be said, nothing may."""
        try:
            why = self._check(claimed)
        except Exception as error:  # noqa: BLE001  the sender loop's edge: what was not checked is not sent
            self._log.exception("deliver.check_failed")
            why = {one.id: DeliveryError(f"unexpected {type(error).__name__}") for one in claimed}
        return {one.id: DeliveryOutcome(one.sop_instance_uid, None, why[one.id]) for one in claimed if one.id in why}

    def _locate(self, claimed: Sequence[Delivery]) -> tuple[dict[int, Outgoing], dict[int, DeliveryOutcome]]:
        """By delivery id: what can be sent, and the outcome of what cannot."""
        found: dict[int, Outgoing] = {}
        missing: dict[int, DeliveryOutcome] = {}
        for delivery in claimed:
            try:
                location = self._results.locate(delivery.storage_key)
            except AinodeError as error:
                missing[delivery.id] = DeliveryOutcome(delivery.sop_instance_uid, None, error)
            else:
                found[delivery.id] = Outgoing(delivery.sop_class_uid, delivery.sop_instance_uid, location)
        return found, missing

    def _record(self, delivery: Delivery, outcome: DeliveryOutcome) -> None:
        facts = self._log.bind(delivery=delivery.id, attempt=delivery.attempt, status=outcome.status)
        if outcome.error is None:
            ours = self._outbox.stored(delivery)
            facts.info("delivery_stored", ours=ours)
            return
        policy = replace(self._settings.policy, max_attempts=delivery.max_attempts)
        verdict = decide(outcome.error, delivery.attempt, policy, self._chance())
        retry_after_s = _delay_s(verdict, outcome.error) if isinstance(verdict, Retry) else None
        if isinstance(outcome.error, PatientMismatch):
            retry_after_s = HELD_S
        ours = self._outbox.fail(delivery, outcome.error, retry_after_s)
        facts.warning("delivery_failed", error_code=outcome.error.code, retry_after_s=retry_after_s, ours=ours)

    def _ask_for_commitment(self) -> bool:
        now = self._clock.now()
        if self._ask_from is not None and now < self._ask_from:
            return False
        waiting = self._outbox.uncommitted(self._destination.name, self._settings.commitment_limit)
        if not waiting:
            return False
        transaction_uid = self._transaction_uid()
        expires_at = now + timedelta(seconds=self._settings.commitment_timeout_s)
        self._outbox.request_commitment(transaction_uid, waiting, expires_at)
        self._request(transaction_uid, waiting)
        return True

    def _request(self, transaction_uid: str, waiting: Sequence[Delivery]) -> None:
        refs = [SopRef(delivery.sop_class_uid, delivery.sop_instance_uid) for delivery in waiting]
        try:
            report = self._destination.request_commitment(transaction_uid, refs)
        except DeliveryError as error:
            self._withdraw(transaction_uid, error.code)
        else:
            self._refusals, self._ask_from = 0, None
            self._log.info("commitment.requested", transaction_uid=transaction_uid, instances=len(refs))
            if report is not None:
                # Applied already where the destination could; twice changes nothing.
                self._outbox.apply_report(report)

    def _withdraw(self, transaction_uid: str, error_code: str) -> None:
        """The objects are uncommitted again, and asked for after a growing delay."""
        self._outbox.withdraw_commitment(transaction_uid)
        self._refusals += 1
        delay_s = self._settings.policy.delay_s(self._refusals, self._chance())
        self._ask_from = self._clock.now() + timedelta(seconds=delay_s)
        self._log.warning("commitment.not_requested", error_code=error_code, retry_after_s=delay_s)

    @contextlib.contextmanager
    def _lease_kept(self, claimed: Sequence[Delivery]) -> Iterator[None]:
        """Renew the lease from a thread of its own while the block runs. Losing it stops nothing: saves are fenced."""
        done = threading.Event()

        def renew() -> None:
            while not done.wait(self._settings.lease_s / 3):
                try:
                    held = self._outbox.renew(claimed, self._settings.lease_s)
                except Exception:  # noqa: BLE001  a timer's edge: the next renewal may succeed
                    self._log.exception("deliver.lease_not_renewed")
                else:
                    if not held:
                        return

        thread = threading.Thread(target=renew, name=f"lease-{self._destination.name}", daemon=True)
        thread.start()
        try:
            yield
        finally:
            done.set()
            thread.join()


def _delay_s(verdict: Retry, error: AinodeError) -> float:
    """What the destination asked for counts where it is longer."""
    asked_s = error.details.get("retry_after_s")
    return max(verdict.delay_s, asked_s) if isinstance(asked_s, int | float) else verdict.delay_s


class Runner(Protocol):
    """A loop of its own: ``Sender``, ``read_back.Reader``."""

    def run(self, stop: threading.Event) -> None: ...


def serve(senders: Sequence[Runner], stop: threading.Event) -> None:
    """Run every sender in a thread of its own until ``stop``; returns when each has finished its association."""
    threads = [
        threading.Thread(target=sender.run, args=(stop,), name=f"sender-{number}")
        for number, sender in enumerate(senders)
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
