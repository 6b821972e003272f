"""What a destination's status says about one object. Pure."""

from __future__ import annotations

from node.errors import SopClassRefused, StoreRefused
from node.ports import DeliveryOutcome

# PS3.4 Table B.2-1: stored, with something to remark (coercion, data set mismatch, elements discarded).
WARNINGS = frozenset({0xB000, 0xB006, 0xB007})
SOP_CLASS_NOT_SUPPORTED = 0x0122


def outcome_of(sop_instance_uid: str, status: int, comment: str = "", service: str = "C-STORE") -> DeliveryOutcome:
    """What a status of C-STORE, or a Failure Reason of STOW-RS, means (PS3.4 Table B.2-1, PS3.18 Table 10.5.3-2).

    The Error Comment is the peer's own text and may hold anything: only its length is kept.
    """
    if status == 0x0000 or status in WARNINGS:
        return DeliveryOutcome(sop_instance_uid, status)
    refused = f"{service} answered {status:04X}H"
    if status == SOP_CLASS_NOT_SUPPORTED:
        return DeliveryOutcome(sop_instance_uid, status, SopClassRefused(refused, status=status))
    return DeliveryOutcome(sop_instance_uid, status, StoreRefused(refused, status=status, comment_length=len(comment)))
