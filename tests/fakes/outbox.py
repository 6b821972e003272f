"""``ports.Outbox`` in memory, with the fencing of the real one."""

from __future__ import annotations

import threading
from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime, timedelta

from node.domain.delivery import AWAY, DELIVERY_TRANSITIONS, CommitmentReport, CommitmentState, Delivery, DeliveryState
from node.errors import AinodeError, CommitmentFailed, InvalidTransition, NotFound

SR_CLASSES = "1.2.840.10008.5.1.4.1.1.88."


class StandingClock:
    """A clock that moves when a test says so."""

    def __init__(self, now: datetime = datetime(2030, 1, 1, tzinfo=UTC)) -> None:
        self._now = now

    def now(self) -> datetime:
        return self._now

    def advance(self, seconds: float) -> None:
        self._now += timedelta(seconds=seconds)


@dataclass
class _Commitment:
    expires_at: datetime
    delivery_ids: tuple[int, ...]
    state: CommitmentState = CommitmentState.REQUESTED


@dataclass
class _Row:
    delivery: Delivery
    lease_until: datetime | None = None


@dataclass
class MemoryOutbox:
    """Rows in memory; ``history`` keeps every state that a delivery went through, in order."""

    clock: StandingClock = field(default_factory=StandingClock)
    history: list[tuple[int, DeliveryState]] = field(default_factory=list)

    def __post_init__(self) -> None:
        self._rows: dict[int, _Row] = {}
        self.commitments: dict[str, _Commitment] = {}
        self._lock = threading.RLock()

    def add(
        self,
        destination: str,
        sop_class_uid: str,
        sop_instance_uid: str,
        storage_key: str = "",
        job_id: int = 1,
        max_attempts: int = 3,
    ) -> int:
        """A new SCHEDULED delivery; its id."""
        with self._lock:
            identity = len(self._rows) + 1
            delivery = Delivery(
                id=identity,
                job_id=job_id,
                destination=destination,
                state=DeliveryState.SCHEDULED,
                study_instance_uid="1.2.3",
                sop_class_uid=sop_class_uid,
                sop_instance_uid=sop_instance_uid,
                storage_key=storage_key or sop_instance_uid,
                attempt=0,
                max_attempts=max_attempts,
                updated_at=self.clock.now(),
            )
            self._rows[identity] = _Row(delivery)
            return identity

    def states(self) -> list[DeliveryState]:
        with self._lock:
            return [row.delivery.state for row in self._rows.values()]

    def claim(self, destination: str, owner: str, lease_s: float, limit: int = 50) -> Sequence[Delivery]:
        with self._lock:
            due = sorted(
                (row for row in self._rows.values() if self._is_due(row.delivery, destination)),
                key=lambda row: (
                    row.delivery.job_id,
                    row.delivery.sop_class_uid.startswith(SR_CLASSES),
                    row.delivery.id,
                ),
            )
            chosen = [row for row in due if row.delivery.job_id == due[0].delivery.job_id][:limit]
            for row in chosen:
                row.lease_until = self.clock.now() + timedelta(seconds=lease_s)
                self._move(row, DeliveryState.IN_PROGRESS, owner=owner, attempt=row.delivery.attempt + 1)
            return [row.delivery for row in chosen]

    def renew(self, deliveries: Sequence[Delivery], lease_s: float) -> bool:
        with self._lock:
            held = [row for delivery in deliveries if (row := self._held(delivery)) is not None]
            for row in held:
                row.lease_until = self.clock.now() + timedelta(seconds=lease_s)
            return bool(held)

    def stored(self, delivery: Delivery) -> bool:
        with self._lock:
            row = self._held(delivery)
            if row is not None:
                self._move(row, DeliveryState.STORED, owner=None, error_code=None, error=None)
            return row is not None

    def fail(self, delivery: Delivery, error: AinodeError, retry_after_s: float | None) -> bool:
        with self._lock:
            row = self._held(delivery)
            if row is None:
                return False
            self._fail(row, error, retry_after_s)
            return True

    def due_again(self, destination: str) -> int:
        with self._lock:
            waiting = [
                row
                for row in self._rows.values()
                if row.delivery.destination == destination
                and row.delivery.state is DeliveryState.SCHEDULED
                and row.delivery.error_code in AWAY
            ]
            for row in waiting:
                row.delivery = replace(row.delivery, run_after=None)
            return len(waiting)

    def uncommitted(self, destination: str, limit: int = 500) -> Sequence[Delivery]:
        with self._lock:
            waiting = [
                row.delivery
                for row in self._rows.values()
                if row.delivery.destination == destination
                and row.delivery.state is DeliveryState.STORED
                and row.delivery.transaction_uid is None
            ]
            return waiting[:limit]

    def request_commitment(self, transaction_uid: str, deliveries: Sequence[Delivery], expires_at: datetime) -> None:
        with self._lock:
            self.commitments[transaction_uid] = _Commitment(expires_at, tuple(one.id for one in deliveries))
            for one in deliveries:
                row = self._rows[one.id]
                row.delivery = replace(row.delivery, transaction_uid=transaction_uid)

    def withdraw_commitment(self, transaction_uid: str) -> None:
        with self._lock:
            self._free(self.commitments.pop(transaction_uid).delivery_ids)

    def apply_report(self, report: CommitmentReport) -> bool:
        with self._lock:
            commitment = self.commitments.get(report.transaction_uid)
            if commitment is None:
                return False
            if commitment.state is not CommitmentState.REQUESTED:
                return True
            for identity in commitment.delivery_ids:
                row = self._rows[identity]
                uid = row.delivery.sop_instance_uid
                if row.delivery.state is not DeliveryState.STORED:
                    continue
                if uid in report.failed:
                    again = 0.0 if row.delivery.attempt < row.delivery.max_attempts else None
                    self._fail(row, CommitmentFailed(f"{report.failed[uid]:04X}H"), again)
                elif uid in report.committed:
                    self._move(row, DeliveryState.COMMITTED)
            self._free(commitment.delivery_ids)
            commitment.state = CommitmentState.FAILED if report.failed else CommitmentState.COMMITTED
            return True

    def expire_commitments(self) -> int:
        with self._lock:
            over = [
                one
                for one in self.commitments.values()
                if one.state is CommitmentState.REQUESTED and one.expires_at <= self.clock.now()
            ]
            for one in over:
                one.state = CommitmentState.EXPIRED
                self._free(one.delivery_ids)
            return len(over)

    def rescue(self) -> int:
        with self._lock:
            over = [
                row
                for row in self._rows.values()
                if row.delivery.state is DeliveryState.IN_PROGRESS
                and row.lease_until is not None
                and row.lease_until <= self.clock.now()
            ]
            for row in over:
                self._move(row, DeliveryState.SCHEDULED, owner=None)
            return len(over)

    def get(self, delivery_id: int) -> Delivery:
        with self._lock:
            if delivery_id not in self._rows:
                raise NotFound(f"no delivery {delivery_id}")
            return self._rows[delivery_id].delivery

    def retry(self, delivery_id: int) -> None:
        with self._lock:
            row = self._rows[delivery_id]
            if row.delivery.state not in {DeliveryState.FAILED, DeliveryState.CANCELED}:
                raise InvalidTransition(f"a delivery in state {row.delivery.state} is not retried")
            budget = row.delivery.max_attempts + row.delivery.attempt
            self._move(row, DeliveryState.SCHEDULED, run_after=None, max_attempts=budget)

    def _is_due(self, delivery: Delivery, destination: str) -> bool:
        return (
            delivery.destination == destination
            and delivery.state is DeliveryState.SCHEDULED
            and (delivery.run_after is None or delivery.run_after <= self.clock.now())
        )

    def _held(self, delivery: Delivery) -> _Row | None:
        """The row, if it is still this owner's, at this attempt."""
        row = self._rows[delivery.id]
        now = row.delivery
        same = now.owner == delivery.owner and now.attempt == delivery.attempt
        return row if same and now.state is DeliveryState.IN_PROGRESS else None

    def _fail(self, row: _Row, error: AinodeError, retry_after_s: float | None) -> None:
        facts = {"owner": None, "error_code": error.code, "error": error.message}
        if retry_after_s is None:
            self._move(row, DeliveryState.FAILED, **facts)
        else:
            due = self.clock.now() + timedelta(seconds=retry_after_s)
            self._move(row, DeliveryState.SCHEDULED, run_after=due, **facts)

    def _move(self, row: _Row, state: DeliveryState, **changes: object) -> None:
        assert state in DELIVERY_TRANSITIONS[row.delivery.state], (row.delivery.state, state)
        row.delivery = replace(row.delivery, state=state, updated_at=self.clock.now(), **changes)  # type: ignore[arg-type]
        self.history.append((row.delivery.id, state))

    def _free(self, identities: Sequence[int]) -> None:
        for identity in identities:
            row = self._rows[identity]
            row.delivery = replace(row.delivery, transaction_uid=None)
