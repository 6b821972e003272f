from __future__ import annotations

from pydicom.uid import AllTransferSyntaxes
from pynetdicom import build_context
from pynetdicom.sop_class import StorageCommitmentPushModel, Verification  # type: ignore[attr-defined]

from node.receive.contexts import is_known, other_than_storage, prefer_known, refuse_other_services

BIG_ENDIAN = "1.2.840.10008.1.2.2"
IMPLICIT = "1.2.840.10008.1.2"
EXPLICIT = "1.2.840.10008.1.2.1"
HTJ2K = "1.2.840.10008.1.2.4.202"
PRIVATE = "1.2.840.113619.5.2"


def test_every_transfer_syntax_of_the_standard_is_known() -> None:
    assert all(is_known(uid) for uid in AllTransferSyntaxes)
    assert is_known("1.2.840.10008.1.2.1.98")
    assert not is_known(PRIVATE)
    assert not is_known("1.2.840.10008.5.1.4.1.1.2")
    assert not is_known("")


def test_the_proposals_order_is_kept_but_for_the_retired_and_the_unknown() -> None:
    context = build_context("1.2.840.10008.5.1.4.1.1.2", [PRIVATE, BIG_ENDIAN, HTJ2K, IMPLICIT, EXPLICIT])
    prefer_known([context])
    assert context.transfer_syntax == [HTJ2K, IMPLICIT, EXPLICIT, BIG_ENDIAN, PRIVATE]


def test_verification_and_commitment_in_both_roles() -> None:
    verification, commitment = other_than_storage()
    assert verification.abstract_syntax == Verification
    assert commitment.abstract_syntax == StorageCommitmentPushModel
    assert (commitment.scu_role, commitment.scp_role) == (True, True)


def test_classes_of_other_services_are_not_taken_for_storage() -> None:
    """pynetdicom goes by keywords, and has none for these."""
    worklist, detached = build_context("1.2.840.10008.5.1.4.31"), build_context("1.2.840.10008.3.1.2.1.1")
    storage = [build_context(uid) for uid in (PRIVATE, "1.2.840.10008.5.1.4.1.1.6", "1.2.840.10008.5.1.4.1.1.9999")]
    before = [context.abstract_syntax for context in storage]
    refuse_other_services([worklist, detached, *storage])
    assert [str(context.abstract_syntax) for context in (worklist, detached)] == [
        "1.2.840.10008.5.1.4.31", "1.2.840.10008.3.1.2.1.1",
    ]  # fmt: skip
    for context in (worklist, detached):
        assert context.abstract_syntax is not None
        assert context.abstract_syntax.keyword == "Verification"
    assert all(context.abstract_syntax is uid for context, uid in zip(storage, before, strict=True))
