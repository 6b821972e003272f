from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime, timedelta, timezone

import pytest

from node.domain.study import AssociationFacts
from node.errors import StoreError
from node.store.journal.format import RECORD_SPACE
from node.store.journal.records import decode_arrival, decode_note, encode_arrival, encode_note
from tests.unit.store.journal.arrivals import AT, arrival

LONG_UID = "1." + "2" * 62


def test_an_arrival_is_read_as_it_was_written() -> None:
    assert decode_arrival(encode_arrival(arrival(7))) == arrival(7)


def test_the_longest_one_fits() -> None:
    facts = AssociationFacts("x" * 64, "C" * 16, '"' * 16, "h" * 255, "r" * 64, AT)
    longest = replace(
        arrival(),
        study_instance_uid=LONG_UID,
        series_instance_uid=LONG_UID,
        sop_class_uid=LONG_UID,
        sop_instance_uid=LONG_UID,
        transfer_syntax_uid=LONG_UID,
        association=facts,
        received_at=datetime.max.replace(tzinfo=timezone(timedelta(hours=5, minutes=45))),
        data_set_offset=1 << 40,
    )
    record = encode_arrival(longest)
    assert len(record) <= RECORD_SPACE
    assert decode_arrival(record) == longest


def test_odd_characters_survive() -> None:
    odd = replace(arrival(), association=replace(arrival().association, calling_ae='Ä"\\\n\x00', peer_host="\udce4"))
    assert decode_arrival(encode_arrival(odd)) == odd


def test_one_that_does_not_fit_is_refused() -> None:
    with pytest.raises(StoreError):
        encode_arrival(replace(arrival(), sop_instance_uid="1" * 4000))


def test_a_note_is_read_as_it_was_written() -> None:
    at = datetime(2025, 1, 1, tzinfo=UTC)
    assert decode_note(encode_note("a1", "lost", at)) == ("a1", "lost", at)
    assert decode_note(encode_note("receive-0", "", AT)) == ("receive-0", "", AT)
