"""Results on their way."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Protocol

from node.domain.delivery import CommitmentReport, Delivery
from node.domain.study import ByteRange, SopRef
from node.errors import AinodeError


class Outbox(Protocol):
    """Deliveries and commitments. Saves are fenced by IN_PROGRESS, owner and attempt, as in ``JobQueue``."""

    def claim(self, destination: str, owner: str, lease_s: float, limit: int = 50) -> Sequence[Delivery]:
        """Due deliveries of one job to this destination (segmentations before reports), IN_PROGRESS, attempt + 1."""
        ...

    def stored(self, delivery: Delivery) -> bool: ...

    def renew(self, deliveries: Sequence[Delivery], lease_s: float) -> bool:
        """Prolong the lease of those that are still ours; False when none of them is."""
        ...

    def fail(self, delivery: Delivery, error: AinodeError, retry_after_s: float | None) -> bool:
        """SCHEDULED again when ``retry_after_s`` is given, else FAILED."""
        ...

    def due_again(self, destination: str) -> int:
        """What waits there because nobody answered (``domain.delivery.AWAY``) is due, as if it had never been tried.

        So the oldest of the most urgent results go first. How many there are.
        """
        ...

    def uncommitted(self, destination: str, limit: int = 500) -> Sequence[Delivery]:
        """STORED deliveries for which no commitment is under way, the oldest first, ``limit`` at most."""
        ...

    def request_commitment(self, transaction_uid: str, deliveries: Sequence[Delivery], expires_at: datetime) -> None:
        """Keep the Transaction UID before the N-ACTION goes out, so that no report can come too early."""
        ...

    def withdraw_commitment(self, transaction_uid: str) -> None:
        """The N-ACTION failed: its deliveries become ``uncommitted`` again."""
        ...

    def apply_report(self, report: CommitmentReport) -> bool:
        """Committed: STORED -> COMMITTED. Failed: SCHEDULED again (or FAILED) as CommitmentFailed. False: unknown UID.

        Idempotent: the same report twice changes nothing the second time.
        """
        ...

    def expire_commitments(self) -> int:
        """Requests without an answer in time: their deliveries become ``uncommitted`` again."""
        ...

    def rescue(self) -> int:
        """IN_PROGRESS deliveries whose lease is over: SCHEDULED after a growing delay, or FAILED, as ``WorkerLost``."""
        ...

    def get(self, delivery_id: int) -> Delivery: ...

    def retry(self, delivery_id: int) -> None: ...


@dataclass(frozen=True, slots=True)
class Outgoing:
    """An object to send: where its Part 10 bytes lie."""

    sop_class_uid: str
    sop_instance_uid: str
    location: ByteRange


class Destination(Protocol):
    """One place results go to."""

    @property
    def name(self) -> str: ...

    @property
    def commits(self) -> bool:
        """Whether storage commitment is asked for."""
        ...

    def send(self, objects: Sequence[Outgoing]) -> Sequence[DeliveryOutcome]:
        """Send over one association; one outcome for each object, in order. An error of one is no error of another.

        Raises:
            DeliveryError: nothing could be sent at all (unreachable, rejected).
        """
        ...

    def request_commitment(self, transaction_uid: str, refs: Sequence[SopRef]) -> CommitmentReport | None:
        """N-ACTION; the report if it came on the same association, None if it will come on a new one.

        Raises:
            DeliveryError: the request was not accepted.
        """
        ...

    def echo(self) -> None:
        """
        Raises:
            DeliveryError: the destination does not answer.
        """
        ...


@dataclass(frozen=True, slots=True)
class DeliveryOutcome:
    """``error`` is None when the destination answered Success (or a warning, kept in ``status``)."""

    sop_instance_uid: str
    status: int | None
    error: AinodeError | None = None
