from __future__ import annotations

import struct

import pytest
from hypothesis import given
from hypothesis import strategies as st

from node.errors import UndecodableDataSet
from node.receive.walk import MAX_DEPTH, MAX_VALUE_LENGTH, Encoding, Found, Walk, sniff
from tests.unit.receive.elements import UNDEFINED, explicit, implicit, item, sequence

UID = 0x00080018
ROWS = 0x00280010
ORIENTATION = 0x00200037
POSITION = 0x00200032
PIXELS = 0x7FE00010
WANTED = frozenset((UID, ROWS, ORIENTATION, POSITION))
EXPLICIT = Encoding(explicit=True)
IMPLICIT = Encoding(explicit=False)


def walk(data: bytes, encoding: Encoding = EXPLICIT, max_steps: int = 10_000) -> Found:
    return Walk(data, 0, len(data), encoding, WANTED, max_steps).run()


def values(data: bytes, encoding: Encoding = EXPLICIT) -> dict[int, bytes]:
    return {tag: raw.data for tag, raw in walk(data, encoding).top.items()}


def test_wanted_values_are_picked_up_in_every_encoding() -> None:
    little = explicit(UID, "UI", b"1.2\0") + explicit(ROWS, "US", b"\x02\x01") + explicit(PIXELS, "OW", b"\0" * 10)
    assert values(little) == {UID: b"1.2\0", ROWS: b"\x02\x01"}
    big = explicit(UID, "UI", b"1.2\0", order=">") + explicit(ROWS, "US", b"\x01\x02", order=">")
    assert values(big, Encoding(explicit=True, little=False)) == {UID: b"1.2\0", ROWS: b"\x01\x02"}
    bare = implicit(UID, b"1.2\0") + implicit(ROWS, b"\x02\x01")
    assert values(bare, IMPLICIT) == {UID: b"1.2\0", ROWS: b"\x02\x01"}


@pytest.mark.parametrize("undefined", [True, False])
def test_what_stands_in_other_sequences_is_not_ours(undefined: bool) -> None:
    data = sequence(0x00081140, explicit(UID, "UI", b"9.9\0"), undefined=undefined) + explicit(UID, "UI", b"1.2\0")
    assert values(data) == {UID: b"1.2\0"}


@pytest.mark.parametrize("undefined", [True, False])
def test_functional_groups_of_the_first_frame(undefined: bool) -> None:
    def frame(position: bytes) -> bytes:
        return sequence(0x00209113, explicit(POSITION, "DS", position), undefined=undefined)

    shared = sequence(0x00209116, explicit(ORIENTATION, "DS", b"1\\0\\0\\0\\1\\0 "), undefined=undefined)
    data = sequence(0x52009229, shared, undefined=undefined)
    data += sequence(0x52009230, frame(b"1\\2\\3 "), frame(b"4\\5\\6 "), undefined=undefined)
    found = walk(data)
    assert found.top == {}
    assert {tag: raw.data for tag, raw in found.groups.items()} == {
        ORIENTATION: b"1\\0\\0\\0\\1\\0 ",
        POSITION: b"1\\2\\3 ",
    }


def test_an_unknown_sequence_of_undefined_length_is_implicit_inside() -> None:
    inside = item(implicit(0x00090010, b"private "), undefined=True)
    data = explicit(0x00091001, "UN", inside, UNDEFINED) + implicit(0xFFFEE0DD, b"") + explicit(UID, "UI", b"1.2\0")
    assert values(data) == {UID: b"1.2\0"}


def test_encapsulated_pixel_data_are_stepped_over() -> None:
    fragments = item(b"") + item(b"\x01" * 20) + implicit(0xFFFEE0DD, b"")
    assert values(explicit(UID, "UI", b"1.2\0") + explicit(PIXELS, "OB", fragments, UNDEFINED)) == {UID: b"1.2\0"}


def test_a_value_of_absurd_length_is_not_kept() -> None:
    long = explicit(0x00081030, "UT", b"x" * (MAX_VALUE_LENGTH + 2))
    found = Walk(long, 0, len(long), EXPLICIT, {0x00081030}).run()
    assert found.top == {}


@pytest.mark.parametrize(
    "data",
    [
        explicit(ROWS, "US", b"\x02\x01", 4),
        explicit(PIXELS, "OW", b"\0" * 10, 1 << 31),
        explicit(PIXELS, "OB", item(b"\x01" * 8), UNDEFINED),
        explicit(PIXELS, "OB", implicit(0xFFFEE000, b"\x01" * 8, 100), UNDEFINED),
        explicit(0x00081140, "SQ", item(explicit(UID, "UI", b"9.9\0"), undefined=True), UNDEFINED),
        explicit(0x00081140, "SQ", b"", UNDEFINED),
        explicit(UID, "UI", b"1.2\0") + b"\x28\x00",
        explicit(UID, "??", b"1.2\0"),
        implicit(0xFFFEE0DD, b""),
        b"PK\x03\x04" + b"\xff" * 60,
    ],
    ids=["value", "pixels", "no-end", "fragment", "sequence", "bare", "tail", "vr", "delimiter", "zip"],
)
def test_what_is_truncated_or_broken_is_undecodable(data: bytes) -> None:
    with pytest.raises(UndecodableDataSet):
        walk(data)


def test_every_cut_of_a_data_set_is_either_whole_or_undecodable() -> None:
    """Only between two elements can a cut go unnoticed."""
    parts = [
        explicit(UID, "UI", b"1.2\0"),
        sequence(0x00081140, explicit(UID, "UI", b"9.9\0"), undefined=True),
        sequence(0x00081140, explicit(UID, "UI", b"9.9\0")),
        explicit(ROWS, "US", b"\x02\x01"),
        explicit(PIXELS, "OB", item(b"") + item(b"\x01" * 20) + implicit(0xFFFEE0DD, b""), UNDEFINED),
    ]
    data = b"".join(parts)
    whole = {sum(map(len, parts[:count])) for count in range(len(parts) + 1)}
    for cut in range(len(data)):
        if cut in whole:
            walk(data[:cut])
        else:
            with pytest.raises(UndecodableDataSet):
                walk(data[:cut])


def test_zero_padding_at_the_end_is_tolerated() -> None:
    assert values(explicit(UID, "UI", b"1.2\0") + b"\0\0\0") == {UID: b"1.2\0"}


def test_damage_inside_a_sequence_of_defined_length_is_passed_over() -> None:
    data = explicit(0x00081140, "SQ", b"garbage in here!") + explicit(UID, "UI", b"1.2\0")
    assert values(data) == {UID: b"1.2\0"}


@pytest.mark.parametrize("undefined", [True, False])
@pytest.mark.parametrize(("depth", "whole"), [(MAX_DEPTH, True), (MAX_DEPTH + 1, False), (5000, False)])
def test_nesting_has_a_limit(undefined: bool, depth: int, whole: bool) -> None:
    data = b""
    for _ in range(depth):
        data = sequence(0x00091001, data, undefined=undefined)
    if whole:
        walk(data)
    else:
        with pytest.raises(UndecodableDataSet, match="nested too deeply"):
            walk(data, max_steps=100_000)


def test_the_work_has_a_limit() -> None:
    data = explicit(0x00091001, "UN", b"") * 2000
    walk(data, max_steps=2001)
    with pytest.raises(UndecodableDataSet, match="too many"):
        walk(data, max_steps=1999)


@given(st.binary(max_size=400), st.booleans(), st.booleans())
def test_random_bytes_never_do_more_than_be_undecodable(data: bytes, is_explicit: bool, little: bool) -> None:
    try:
        walk(data, Encoding(is_explicit, little), max_steps=1000)
    except UndecodableDataSet:
        return


@given(st.data())
def test_a_data_set_with_flipped_bytes_never_does_more_either(data: st.DataObject) -> None:
    shared = sequence(0x00209116, explicit(ORIENTATION, "DS", b"1\\0\\0\\0\\1\\0 "), undefined=True)
    whole = bytearray(
        explicit(UID, "UI", b"1.2\0")
        + sequence(0x52009229, shared)
        + sequence(0x00081140, explicit(UID, "UI", b"9.9\0"), undefined=True)
        + explicit(PIXELS, "OB", item(b"") + item(b"\x01" * 20) + implicit(0xFFFEE0DD, b""), UNDEFINED)
    )
    for _ in range(data.draw(st.integers(1, 4))):
        whole[data.draw(st.integers(0, len(whole) - 1))] = data.draw(st.integers(0, 255))
    try:
        walk(bytes(whole), max_steps=1000)
    except UndecodableDataSet:
        return


@pytest.mark.parametrize("declared", [EXPLICIT, IMPLICIT])
def test_the_bytes_say_whether_the_vr_is_explicit(declared: Encoding) -> None:
    one, other = explicit(UID, "UI", b"1.2\0"), implicit(UID, b"1.2\0")
    assert sniff(one, 0, len(one), declared).explicit
    assert not sniff(other, 0, len(other), declared).explicit
    assert sniff(b"\x08", 0, 1, declared) == declared


def test_lengths_that_point_backwards_do_not_loop() -> None:
    """An item of defined length inside which a sequence of undefined length runs past its end."""
    inner = explicit(0x00091001, "SQ", item(explicit(UID, "UI", b"9.9\0")), UNDEFINED)
    data = explicit(0x00081140, "SQ", implicit(0xFFFEE000, inner, len(inner) - 4), len(inner) + 8)
    data += struct.pack("<HHI", 0xFFFE, 0xE0DD, 0) + explicit(UID, "UI", b"1.2\0")
    with pytest.raises(UndecodableDataSet):
        walk(data)
