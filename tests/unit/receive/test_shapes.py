"""What was learned of one data set and the walk of each: the same answer to everything, or they are wrong."""

from __future__ import annotations

import random
from collections.abc import Callable, Mapping

import pytest
from hypothesis import given
from hypothesis import strategies as st

from node.errors import UndecodableDataSet
from node.ports import View
from node.receive import header, shapes
from node.receive.familiar import HeaderReader, UidCheck
from node.receive.part10 import EXPLICIT_VR_BIG_ENDIAN, IMPLICIT_VR_LITTLE_ENDIAN
from node.receive.shapes import LEARN_AT, MAX_LENGTHS, SHAPES_OF_A_LENGTH, Shapes
from tests.unit.receive.elements import UNDEFINED, explicit, implicit, sequence
from tests.unit.receive.test_plain import HEAD, elements, real

EXPLICIT = "1.2.840.10008.1.2.1"
UID, CHARACTER_SET, NAME, NUMBER = 0x00080018, 0x00080005, 0x00100010, 0x00200013
WANTED = header.wanted_tags()
UNKNOWN = explicit(0x00091001, "UN", bytes(8))


class Both:
    """Learned and walked, side by side."""

    def __init__(self) -> None:
        self._check = UidCheck()
        self._reader = HeaderReader(WANTED)

    def compare(self, data: bytes, syntax: str = EXPLICIT) -> Mapping[str, object] | str:
        view = View(data, 0, len(data))
        try:
            expected: Mapping[str, object] | str = header.read(view, syntax, WANTED, 0).attributes
            uids: Mapping[str, str] | str = header.check(view, syntax, 0)
        except UndecodableDataSet as error:
            expected = uids = error.message
        assert _said(lambda: self._reader.attributes(view, syntax, 0)) == expected
        assert _said(lambda: self._check.check(view, syntax, 0)) == uids
        return expected

    def learn(self, data: bytes, syntax: str = EXPLICIT) -> None:
        for _ in range(LEARN_AT + 1):
            self.compare(data, syntax)


def _said(ask: Callable[[], Mapping[str, object]]) -> Mapping[str, object] | str:
    try:
        return ask()
    except UndecodableDataSet as error:
        return error.message


def an_image(number: int, *more: bytes) -> bytes:
    return b"".join(
        (
            explicit(CHARACTER_SET, "CS", b"ISO_IR 100"),
            explicit(UID, "UI", b"1.2.%04d" % number),
            explicit(NAME, "PN", b"A\xe4B^C "),
            explicit(NUMBER, "IS", b"%04d" % number),
            *more,
            explicit(0x7FE00010, "OW", random.Random(number).randbytes(512)),
        )
    )


def a_shape(data: bytes) -> shapes.Shape | None:
    return shapes.shape_of(data, 0, len(data), frozenset(WANTED))


def test_images_of_a_series_are_alike() -> None:
    known = Shapes(WANTED)
    first = an_image(1, UNKNOWN, sequence(0x00081140, an_image(7), undefined=True), sequence(0x00089215, b""))
    for _ in range(LEARN_AT):
        assert known.of(first, 0, len(first)) is None
        known.learn(first, 0, len(first))
    other = an_image(22, UNKNOWN, sequence(0x00081140, an_image(8), undefined=True), sequence(0x00089215, b""))
    shape = known.of(other, 0, len(other))
    assert shape is not None
    assert dict(zip(shape.elements, shape.pick(other, 0), strict=True))[UID, "UI"] == b"1.2.0022"
    within = bytes(3) + other + bytes(5)
    assert known.of(within, 3, 3 + len(other)) is shape
    assert known.of(other + bytes(2), 0, len(other) + 2) is None


def test_what_changes_from_image_to_image_is_read() -> None:
    both = Both()
    both.learn(an_image(1, UNKNOWN))
    for number in (2, 3, 2):
        found = both.compare(an_image(number, UNKNOWN))
        assert isinstance(found, dict)
        assert found["SOPInstanceUID"] == f"1.2.{number:04d}"
        assert found["InstanceNumber"] == number
    empty = both.compare(an_image(4, UNKNOWN).replace(b"0004", b"    "))
    assert "InstanceNumber" not in empty
    assert "InstanceNumber" in both.compare(an_image(5, UNKNOWN))
    greek = both.compare(an_image(6, UNKNOWN).replace(b"ISO_IR 100", b"ISO_IR 126"))
    assert isinstance(greek, dict)
    assert greek["PatientName"] == "A\u03b4B^C"


@pytest.mark.parametrize(
    ("old", "new"),
    [
        (b"\1" * 8000, 500 * (implicit(0xFFFEE000, b"", UNDEFINED) + implicit(0x00081140, b"", UNDEFINED))),
        (b"PN\x06", b"PN\x07"),
        (b"IS\x04", b"??\x04"),
        (b"IS\x04", b"IS\xff"),
        (implicit(0xFFFEE000, b"", UNDEFINED), implicit(0xFFFEE000, b"", 8)),
        (implicit(0xFFFEE000, b"", UNDEFINED), implicit(0xFFFEE00E, b"", UNDEFINED)),
        (implicit(0xFFFEE00D, b""), implicit(0xFFFEE00D, b"", 2)),
        (implicit(0xFFFEE0DD, b""), implicit(0xFFFEE0DE, b"")),
    ],
)
def test_another_structure_of_the_same_length_is_walked(old: bytes, new: bytes) -> None:
    both = Both()
    referenced = sequence(0x00081140, explicit(0x00080060, "LO", b""), undefined=True)
    data = an_image(1, explicit(0x00091001, "UN", b"\1" * 8000), referenced)
    assert a_shape(data) is not None
    assert data.count(old) == 1
    both.learn(data)
    assert isinstance(both.compare(data), dict)
    both.compare(data.replace(old, new))


@pytest.mark.parametrize(
    "more",
    [
        explicit(0x00091001, "UN", bytes(2)),
        explicit(0x00091001, "UN", implicit(0xFFFEE000, b"")),
        sequence(0x52009229, b""),
        explicit(0x00091001, "ZZ", b""),
        explicit(0x00091001, "OB", b"", 0xFFFFFFFF) + implicit(0xFFFEE0DD, b""),
        b"".join(explicit(0x00091001, "LO", b"") for _ in range(shapes.MAX_PARTS)),
    ],
)
def test_what_is_not_plain_teaches_nothing(more: bytes) -> None:
    data = an_image(1, more)
    assert a_shape(data) is None
    Both().learn(data)


def test_nesting_is_bounded() -> None:
    inner = b""
    for _ in range(shapes.MAX_DEPTH):
        inner = sequence(0x00081140, inner)
    assert a_shape(inner) is not None
    assert a_shape(sequence(0x00081140, inner)) is None


def test_other_encodings_are_walked() -> None:
    both = Both()
    both.learn(implicit(UID, b"1.2.3.4.") + implicit(NUMBER, b"12"), IMPLICIT_VR_LITTLE_ENDIAN)
    both.learn(explicit(UID, "UI", b"1.2.3.4.", order=">"), EXPLICIT_VR_BIG_ENDIAN)


def test_what_is_known_is_bounded() -> None:
    known = Shapes(WANTED)
    for size in range(MAX_LENGTHS + 10):
        data = an_image(1, explicit(0x00091001, "OB", bytes(2 * size)))
        for _ in range(LEARN_AT):
            known.learn(data, 0, len(data))
    assert len(known._shapes) == MAX_LENGTHS
    assert not known._misses
    for tag in range(3 * SHAPES_OF_A_LENGTH):
        data = explicit(0x00090010 + tag, "LO", b"")
        for _ in range(LEARN_AT):
            known.learn(data, 0, len(data))
    assert len(known._shapes[8]) == SHAPES_OF_A_LENGTH


@pytest.mark.parametrize("seed", range(20))
def test_real_data_sets_with_other_bytes(seed: int) -> None:
    chance = random.Random(seed)
    both = Both()
    taken = 0
    for data, syntax in real():
        image = data[: HEAD * 4]  # the end of it may be missing: then nothing is learned
        both.learn(data, syntax)
        both.learn(image, syntax)
        for _ in range(3):
            both.compare(_other_bytes(data, chance), syntax)
        taken += a_shape(data) is not None
    assert taken > 0


def _other_bytes(data: bytes, chance: random.Random) -> bytes:
    changed = bytearray(data)
    for _ in range(chance.randint(1, 4)):
        at = chance.randrange(min(HEAD, len(data)))
        changed[at] = chance.choice([0, 255, 0xFE, ord("S"), chance.randrange(256)])
    return bytes(changed)


@given(elements(True), st.data())
def test_any_data_set_with_other_bytes(data: bytes, draw: st.DataObject) -> None:
    both = Both()
    both.learn(data)
    places = st.tuples(st.integers(0, max(len(data) - 1, 0)), st.integers(0, 255))
    for at, value in draw.draw(st.lists(places, max_size=3)):
        data = data[:at] + bytes((value,)) + data[at + 1 :] if data else data
    both.compare(data)
