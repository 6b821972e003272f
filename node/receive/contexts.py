"""Which presentation contexts we accept, as data.

Storage: pynetdicom's unrestricted storage service takes every abstract syntax that is a storage SOP class, private or
unknown to it, and of the transfer syntaxes proposed the first. ``prefer_known`` therefore decides which is first, and
``refuse_other_services`` keeps it from taking a class of another service for one that it does not know.
Everything is kept as it was sent: nothing is decoded or transcoded, so every transfer syntax is welcome.
"""

from __future__ import annotations

from collections.abc import Sequence

from pydicom.uid import UID, ExplicitVRBigEndian
from pynetdicom.association import Association
from pynetdicom.presentation import PresentationContext
from pynetdicom.sop_class import StorageCommitmentPushModel, Verification  # type: ignore[attr-defined]

UNCOMPRESSED = ("1.2.840.10008.1.2.1", "1.2.840.10008.1.2", "1.2.840.10008.1.2.2")


def other_than_storage() -> list[PresentationContext]:
    """Verification, and Storage Commitment with both roles.

    A PACS that reports a commitment on an association of its own proposes to be the SCP there (PS3.4 J.3.3).
    """
    verification = _context(Verification)
    commitment = _context(StorageCommitmentPushModel)
    commitment.scu_role = True
    commitment.scp_role = True
    return [verification, commitment]


def proposes_storage(contexts: Sequence[PresentationContext], served: Sequence[PresentationContext] = ()) -> bool:
    """Whether anything but Verification, Storage Commitment and what is ``served`` besides is proposed: to store."""
    others = {context.abstract_syntax for context in (*other_than_storage(), *served)}
    return any(context.abstract_syntax not in others for context in contexts)


def is_known(transfer_syntax_uid: str) -> bool:
    """Whether the standard defines (or once defined) this transfer syntax (PS3.6 Annex A)."""
    uid = UID(transfer_syntax_uid)
    return not uid.is_private and uid.type == "Transfer Syntax"


def prefer_known(contexts: Sequence[PresentationContext]) -> None:
    """Order the proposed transfer syntaxes of each context, in place.

    The standard's own stay in the order of the proposal, then come the retired big endian and what nobody knows.
    """
    for context in contexts:
        context.transfer_syntax.sort(key=_rank)


def sent_to(association: Association) -> frozenset[str]:
    """The SOP classes that the peer would take from us on this association: it asks to be SCP of them (C-GET)."""
    selected = association.requestor.role_selection
    return frozenset(str(uid) for uid, role in selected.items() if role.scp_role)


def prefer_uncompressed(contexts: Sequence[PresentationContext], sent: frozenset[str]) -> None:
    """Order the transfer syntaxes of contexts in which we send, in place: the uncompressed ones first, but for images.

    Nothing is transcoded: a report cannot go where a syntax of images was accepted. Images may be compressed here, and
    who asks says which of its syntaxes come first.
    """
    for context in contexts:
        uid = UID(str(context.abstract_syntax))
        if uid in sent and "Image Storage" not in uid.name:
            context.transfer_syntax.sort(key=lambda syntax: syntax not in UNCOMPRESSED[:2])


class _OtherService(UID):
    """A SOP class with a keyword that pynetdicom knows; those whose keyword it does not know it takes for storage."""

    @property
    def keyword(self) -> str:
        return "Verification"


def refuse_other_services(contexts: Sequence[PresentationContext], served: Sequence[PresentationContext] = ()) -> None:
    """Mark, in place, the abstract syntaxes that the standard defines for something else than storage or ``served``.

    pynetdicom has other keywords than PS3.6 for some (Modality Worklist), and none for what was retired before.
    """
    ours = {context.abstract_syntax for context in (*other_than_storage(), *served)}
    for context in contexts:
        if context.abstract_syntax not in ours and _is_of_another_service(UID(str(context.abstract_syntax))):
            # Its setter would make it a plain UID again.
            context._abstract_syntax = _OtherService(str(context.abstract_syntax))


def _is_of_another_service(uid: UID) -> bool:
    name = uid.name
    if uid.is_private or name in ("", uid):  # not in PS3.6, or without a name there
        return False
    return "Storage" not in name or name.startswith("Storage ")


def _rank(transfer_syntax: object) -> int:
    if transfer_syntax == ExplicitVRBigEndian:
        return 1
    return 0 if is_known(str(transfer_syntax)) else 2


def _context(abstract_syntax: str) -> PresentationContext:
    context = PresentationContext()
    context.abstract_syntax = UID(abstract_syntax)
    context.transfer_syntax = list(UNCOMPRESSED)
    return context
