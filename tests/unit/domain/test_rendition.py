"""Which destination takes which form of a result."""

from __future__ import annotations

import pytest

from node.domain.rendition import NO_WISHES, Rendition, Wishes, wanted_by

CAPTURE, STATE = Rendition.SECONDARY_CAPTURE, Rendition.PRESENTATION_STATE
DECLARED, BINARY, LABELMAP = Rendition.AS_DECLARED, Rendition.BINARY, Rendition.LABELMAP
EVERYTHING = (None, *Rendition)


@pytest.mark.parametrize(
    ("wishes", "written", "taken"),
    [
        (NO_WISHES, EVERYTHING, {None, DECLARED}),
        (Wishes(frozenset({CAPTURE})), EVERYTHING, {None, CAPTURE, DECLARED}),
        (Wishes(frozenset({CAPTURE, STATE}), BINARY), EVERYTHING, {None, CAPTURE, STATE, BINARY}),
        (Wishes(segmentation=LABELMAP), EVERYTHING, {None, LABELMAP}),
        # There is no set of its own: what every one gets, or what is declared.
        (Wishes(segmentation=LABELMAP), (None,), {None}),
        (Wishes(segmentation=LABELMAP), (None, DECLARED, BINARY), {None, DECLARED}),
        (NO_WISHES, (None, DECLARED, BINARY), {None, DECLARED}),
    ],
)
def test_a_destination_takes_one_set_and_its_pictures(
    wishes: Wishes, written: tuple[Rendition | None, ...], taken: set[Rendition | None]
) -> None:
    assert {one for one in written if wishes.take(one, written)} == taken


def test_what_has_to_be_written_is_what_somebody_wants() -> None:
    wishes = {"a": Wishes(frozenset({CAPTURE})), "b": Wishes(segmentation=LABELMAP), "c": Wishes(segmentation=BINARY)}
    assert wanted_by(("a", "b", "unknown"), wishes) == {CAPTURE, LABELMAP}
    assert wanted_by((), wishes) == frozenset()
