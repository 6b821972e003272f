"""Results on their way: one delivery for each (result object, destination)."""

from __future__ import annotations

import enum
from dataclasses import dataclass
from datetime import datetime

from node.errors import AccessRefused, AssociationRejected, DestinationBusy, DestinationFull, DestinationUnreachable


class DeliveryState(enum.StrEnum):
    SCHEDULED = "SCHEDULED"
    IN_PROGRESS = "IN_PROGRESS"
    STORED = "STORED"
    COMMITTED = "COMMITTED"
    FAILED = "FAILED"
    CANCELED = "CANCELED"


# STORED, COMMITTED -> SCHEDULED: the destination did not commit, or does not have it: the object is sent again.
DELIVERY_TRANSITIONS: dict[DeliveryState, frozenset[DeliveryState]] = {
    DeliveryState.SCHEDULED: frozenset({DeliveryState.IN_PROGRESS, DeliveryState.CANCELED}),
    DeliveryState.IN_PROGRESS: frozenset(
        {DeliveryState.STORED, DeliveryState.SCHEDULED, DeliveryState.FAILED, DeliveryState.CANCELED},
    ),
    DeliveryState.STORED: frozenset({DeliveryState.COMMITTED, DeliveryState.SCHEDULED, DeliveryState.FAILED}),
    DeliveryState.COMMITTED: frozenset({DeliveryState.SCHEDULED, DeliveryState.FAILED}),
    DeliveryState.FAILED: frozenset({DeliveryState.SCHEDULED}),
    DeliveryState.CANCELED: frozenset({DeliveryState.SCHEDULED}),
}


# What a delivery ends with when nothing at all could be sent there: it says nothing of the object.
AWAY = (
    AccessRefused.code,
    AssociationRejected.code,
    DestinationBusy.code,
    DestinationFull.code,
    DestinationUnreachable.code,
)


@dataclass(frozen=True, slots=True)
class Delivery:
    id: int
    job_id: int
    destination: str
    state: DeliveryState
    study_instance_uid: str
    sop_class_uid: str
    sop_instance_uid: str
    storage_key: str
    attempt: int
    max_attempts: int
    updated_at: datetime
    owner: str | None = None
    run_after: datetime | None = None
    transaction_uid: str | None = None
    error_code: str | None = None
    error: str | None = None
    released_at: datetime | None = None


@dataclass(frozen=True, slots=True)
class Acknowledged:
    """An object that a destination says that it has, STORED or COMMITTED, and that is to be looked for there.

    ``tries`` counts this look; ``missing`` how often it was found not to be there before.
    """

    delivery_id: int
    destination: str
    study_instance_uid: str
    series_instance_uid: str
    sop_class_uid: str
    sop_instance_uid: str
    stored_at: datetime
    attempt: int
    max_attempts: int
    tries: int = 1
    missing: int = 0


class CommitmentState(enum.StrEnum):
    REQUESTED = "REQUESTED"
    COMMITTED = "COMMITTED"
    FAILED = "FAILED"
    EXPIRED = "EXPIRED"


@dataclass(frozen=True, slots=True)
class CommitmentReport:
    """What an N-EVENT-REPORT says (PS3.4 J.3.3): ``failed`` maps SOP Instance UID to Failure Reason."""

    transaction_uid: str
    committed: tuple[str, ...]
    failed: dict[str, int]
