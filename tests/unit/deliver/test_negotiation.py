"""What is proposed, and what an object goes through."""

from __future__ import annotations

import pytest
from pydicom.uid import (
    DeflatedExplicitVRLittleEndian,
    ExplicitVRBigEndian,
    ExplicitVRLittleEndian,
    ImplicitVRLittleEndian,
    JPEG2000Lossless,
)

from node.deliver.negotiation import MAX_CONTEXTS, Syntax, associations, choose, proposals
from node.errors import SopClassRefused
from tests.objects import MR, SEG

EXPLICIT, IMPLICIT, J2K = str(ExplicitVRLittleEndian), str(ImplicitVRLittleEndian), str(JPEG2000Lossless)


def test_own_syntax_first_then_both_uncompressed_ones_each_once() -> None:
    proposed = proposals([Syntax(MR, J2K), Syntax(SEG, EXPLICIT), Syntax(MR, EXPLICIT), Syntax(MR, J2K)])
    assert proposed == [
        Syntax(MR, J2K),
        Syntax(MR, EXPLICIT),
        Syntax(MR, IMPLICIT),
        Syntax(SEG, EXPLICIT),
        Syntax(SEG, IMPLICIT),
    ]


@pytest.mark.parametrize(
    ("own", "accepted", "chosen"),
    [
        (EXPLICIT, {EXPLICIT: 1, IMPLICIT: 3}, EXPLICIT),
        (IMPLICIT, {EXPLICIT: 1, IMPLICIT: 3}, IMPLICIT),
        (EXPLICIT, {IMPLICIT: 3}, IMPLICIT),
        (IMPLICIT, {EXPLICIT: 1}, EXPLICIT),
        (str(DeflatedExplicitVRLittleEndian), {EXPLICIT: 1, IMPLICIT: 3}, EXPLICIT),
        (J2K, {J2K: 1, IMPLICIT: 3}, J2K),
    ],
)
def test_the_own_syntax_else_an_uncompressed_one(own: str, accepted: dict[str, int], chosen: str) -> None:
    contexts = {Syntax(SEG, syntax): number for syntax, number in accepted.items()}
    assert choose(Syntax(SEG, own), contexts) == (Syntax(SEG, chosen), accepted[chosen])


@pytest.mark.parametrize("own", [J2K, str(ExplicitVRBigEndian)])
def test_pixels_are_never_transcoded(own: str) -> None:
    with pytest.raises(SopClassRefused, match="transfer syntax"):
        choose(Syntax(SEG, own), {Syntax(SEG, EXPLICIT): 1, Syntax(SEG, IMPLICIT): 3})


def test_a_class_without_a_context_is_refused() -> None:
    with pytest.raises(SopClassRefused, match="SOP class") as caught:
        choose(Syntax(SEG, EXPLICIT), {Syntax(MR, EXPLICIT): 1})
    assert not caught.value.retryable
    assert caught.value.details["sop_class_uid"] == SEG


def test_more_contexts_than_an_association_has_are_parted_in_order() -> None:
    objects = [(Syntax(f"1.2.{number}", EXPLICIT), number) for number in range(100)]
    groups = list(associations(objects))
    assert [number for group in groups for _, number in group] == list(range(100))
    assert len(groups) == 2
    assert all(len(proposals(syntax for syntax, _ in group)) <= MAX_CONTEXTS for group in groups)


def test_nothing_to_send_needs_no_association() -> None:
    assert list(associations([])) == []
