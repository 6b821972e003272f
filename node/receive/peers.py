"""Who may open an association with us: a pure decision (PS3.8 section 9.3.4)."""

from __future__ import annotations

import enum
from collections.abc import Sequence
from dataclasses import dataclass

from node.config import AllowedPeer


class Rejection(enum.Enum):
    """Result, source and reason of an A-ASSOCIATE-RJ: permanent, by the service user; but for the last: transient, by

    the presentation part of the service provider, so that the sender tries again later.
    """

    CALLING_AE_NOT_RECOGNISED = (1, 1, 3)
    CALLED_AE_NOT_RECOGNISED = (1, 1, 7)
    TEMPORARY_CONGESTION = (2, 3, 1)


@dataclass(frozen=True, slots=True)
class Caller:
    """What an A-ASSOCIATE-RQ says about itself, and the address that it came from."""

    calling_ae: str
    called_ae: str
    host: str


def reject(caller: Caller, ae_title: str, check_called_ae: bool, allow: Sequence[AllowedPeer]) -> Rejection | None:
    """None when the association may go on. An empty allow list lets every calling AE title in."""
    if check_called_ae and caller.called_ae.strip() != ae_title.strip():
        return Rejection.CALLED_AE_NOT_RECOGNISED
    if allow and not is_among(caller, allow):
        return Rejection.CALLING_AE_NOT_RECOGNISED
    return None


def is_among(caller: Caller, allow: Sequence[AllowedPeer]) -> bool:
    """Whether the list names the caller: an empty one names nobody."""
    return any(_is(peer, caller) for peer in allow)


def _is(peer: AllowedPeer, caller: Caller) -> bool:
    same_title = peer.ae_title.strip() == caller.calling_ae.strip()
    return same_title and peer.host in (None, caller.host)
