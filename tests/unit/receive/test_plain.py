"""The loops over plain elements and the walk step by step: the same answer to everything, or they are wrong."""

from __future__ import annotations

import random
from collections.abc import Iterator
from functools import lru_cache
from pathlib import Path

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from node.errors import UndecodableDataSet
from node.ports import View
from node.receive import header, part10, plain
from node.receive.walk import MAX_STEPS, Encoding, Found, Walk, sniff
from tests.peers import data_dir
from tests.unit.receive.elements import UNDEFINED, explicit, implicit, item, sequence

UID, PIXELS, POSITION = 0x00080018, 0x7FE00010, 0x00200032
WANTED = header.wanted_tags()
FOLDERS = (
    "mini-series-dicom2nifti",
    "wg04-compressed",
    "hippocampus-dicom-study3",
    "xa-fodicom",
    "ct-20slice-totalseg",
)
HEAD = 20_000

Answer = Found | str


class StepByStep(Walk):
    """The walk without its loops."""

    def _begin(self, plainly: bool) -> None:
        super()._begin(plainly=False)


def answer(walk: Walk) -> Answer:
    try:
        return walk.run()
    except UndecodableDataSet as error:
        return error.message


def compare(data: bytes, encoding: Encoding, max_steps: int = MAX_STEPS) -> Answer:
    slow = answer(StepByStep(data, 0, len(data), encoding, WANTED, max_steps))
    assert answer(Walk(data, 0, len(data), encoding, WANTED, max_steps)) == slow
    uids = frozenset((UID, 0x00080016, 0x0020000D, 0x0020000E))
    checked = answer(Walk(data, 0, len(data), encoding, uids, max_steps, groups=False))
    if isinstance(slow, Found):
        assert checked == Found({tag: raw for tag, raw in slow.top.items() if tag in uids})
    else:
        assert checked == slow
    return slow


@lru_cache
def real() -> tuple[tuple[bytes, str], ...]:
    """A data set of each folder with its transfer syntax."""
    found = []
    for folder in FOLDERS:
        for place in sorted({path.parent for path in data_dir(folder).rglob("*") if path.is_file()}):
            found += list(_first(place))[:1]
    return tuple(found)


def _first(folder: Path) -> Iterator[tuple[bytes, str]]:
    for path in sorted(folder.iterdir()):
        data = path.read_bytes() if path.is_file() else b""
        if data[128:132] != b"DICM":
            continue
        at = data.index(b"\x02\x00\x10\x00UI") + 8
        syntax = data[at : at + 64].split(b"\x02\x00")[0].rstrip(b"\0").decode()
        encoded = part10.encoded(View(data, 0, len(data)), syntax)
        yield bytes(encoded.data[encoded.start : encoded.end]), syntax


def encoding_of(data: bytes, syntax: str) -> Encoding:
    declared = Encoding(syntax != part10.IMPLICIT_VR_LITTLE_ENDIAN, syntax != part10.EXPLICIT_VR_BIG_ENDIAN)
    return sniff(data, 0, len(data), declared)


def test_real_data_sets() -> None:
    taken = 0
    for data, syntax in real():
        assert isinstance(compare(data, encoding_of(data, syntax)), Found)
        taken += 1
    assert taken > len(FOLDERS)


@pytest.mark.parametrize("seed", range(40))
def test_damaged_real_data_sets(seed: int) -> None:
    chance = random.Random(seed)
    for data, syntax in real():
        damaged = _damage(bytearray(data[: HEAD * 4]), chance)
        steps = chance.choice([MAX_STEPS, chance.randint(1, 400)])
        compare(damaged, encoding_of(damaged, syntax), steps)


def _damage(data: bytearray, chance: random.Random) -> bytes:
    head = min(HEAD, len(data))
    at = chance.randrange(head)
    match chance.randrange(5):
        case 0:
            del data[chance.randrange(len(data)) :]
        case 1:
            for _ in range(chance.randint(1, 4)):
                data[chance.randrange(head)] = chance.choice([0, 255, chance.randrange(256)])
        case 2:
            data[at:at] = chance.randbytes(chance.randint(1, 12))
        case 3:
            del data[at : at + chance.randint(1, 12)]
        case _:
            data[at : at + 4] = b"\xff" * 4
    return bytes(data)


TAGS = st.sampled_from([UID, POSITION, PIXELS, 0x00081140, 0x52009229, 0x52009230, 0x00209113, 0x00091001, 0xFFFEE00D])
VRS = st.sampled_from(["UI", "DS", "LO", "OB", "UN", "SQ", "UT", "ZZ", "??"])
CONTENT = st.binary(max_size=12) | st.just(bytes(600))


@st.composite
def elements(draw: st.DrawFn, is_explicit: bool, depth: int = 0) -> bytes:
    """Elements, most of them well formed; some lengths lie."""
    parts = []
    for _ in range(draw(st.integers(0, 4))):
        tag, vr, value = draw(TAGS), draw(VRS), draw(CONTENT)
        if depth < 4 and draw(st.booleans()):
            undefined = draw(st.booleans())
            inside = b"".join(
                item(draw(elements(is_explicit, depth + 1)), draw(st.booleans()))
                for _ in range(draw(st.integers(0, 3)))
            )
            end = implicit(0xFFFEE0DD, b"") if undefined else b""
            length = UNDEFINED if undefined else None
            parts.append(
                explicit(tag, draw(st.sampled_from(["SQ", "UN"])), inside + end, length)
                if is_explicit
                else implicit(tag, inside + end, length)
            )
        else:
            lie = draw(st.sampled_from([None] * 12 + [0, 3, 65535]))
            parts.append(explicit(tag, vr, value, lie) if is_explicit else implicit(tag, value, lie))
    return b"".join(parts)


@given(st.booleans().flatmap(lambda kind: st.tuples(st.just(kind), elements(kind))), st.integers(1, 60), st.booleans())
@example((True, b""), 1, True)
def test_made_data_sets(made: tuple[bool, bytes], few: int, little: bool) -> None:
    is_explicit, data = made
    compare(data, Encoding(is_explicit, little))
    compare(data, Encoding(is_explicit, little), few)


@given(st.binary(max_size=300), st.booleans())
def test_random_bytes(data: bytes, is_explicit: bool) -> None:
    compare(data, Encoding(is_explicit), 1000)


def nested(depth: int, kind: str, undefined: bool) -> bytes:
    """So many sequences inside each other; the outermost is ``kind``, those inside an UN are in implicit VR."""
    inner = kind if kind != "UN" else "implicit"
    data = _element(UID, inner, b"9.9\0")
    for level in range(depth):
        data = _sequence(data, kind if level == depth - 1 else inner, undefined)
    return data


def _element(tag: int, kind: str, value: bytes) -> bytes:
    return implicit(tag, value) if kind == "implicit" else explicit(tag, "UI", value)


def _sequence(content: bytes, kind: str, undefined: bool) -> bytes:
    if kind == "SQ":
        return sequence(0x00081140, content, undefined=undefined)
    inside = item(content, undefined) + (implicit(0xFFFEE0DD, b"") if undefined else b"")
    length = UNDEFINED if undefined else None
    return implicit(0x00081140, inside, length) if kind == "implicit" else explicit(0x00091001, "UN", inside, length)


@pytest.mark.parametrize("undefined", [True, False])
@pytest.mark.parametrize("kind", ["SQ", "UN", "implicit"])
@pytest.mark.parametrize("depth", [1, plain.MAX_OPEN // 2, plain.MAX_OPEN // 2 + 1, 64, 65, 200])
def test_nesting(depth: int, kind: str, undefined: bool) -> None:
    data = nested(depth, kind, undefined) + _element(UID, kind, b"1.2\0")
    found = compare(data, Encoding(explicit=kind != "implicit"), 10_000)
    assert isinstance(found, Found) == (depth <= 64)


def test_damage_inside_an_inner_sequence_ends_the_outer_one() -> None:
    """The outermost sequence of defined length is passed over as a whole, with what is too deep behind the damage."""
    damaged = explicit(0x00081140, "SQ", b"garbage in here!")
    outer = sequence(0x00081140, damaged + nested(70, "SQ", undefined=True))
    assert isinstance(compare(outer + explicit(UID, "UI", b"1.2\0"), Encoding(explicit=True)), Found)


def test_a_short_sequence_whose_inside_runs_over_its_end() -> None:
    opened = explicit(0x00081140, "SQ", b"", UNDEFINED) + implicit(0xFFFEE000, b"", UNDEFINED)
    data = explicit(0x00081140, "SQ", implicit(0xFFFEE000, b"", UNDEFINED) + opened * 70, 8 + 20 * len(opened))
    assert compare(data, Encoding(explicit=True)) == "sequences are nested too deeply"


def test_short_sequences_do_not_use_up_steps_that_they_do_not_have() -> None:
    """Of a short sequence only a bound of its steps is known; it is no reason to refuse anything."""
    data = (
        explicit(0x00081140, "SQ", item(explicit(0x00081150, "UT", bytes(400)))) + explicit(UID, "UI", b"1.2\0")
    ) * 9
    exact = 9 * 6 + 1
    assert isinstance(compare(data, Encoding(explicit=True), exact), Found)
    assert compare(data, Encoding(explicit=True), exact - 1) == "too many data elements"


def test_the_loops_take_nearly_everything() -> None:
    """They are there for speed: step by step must be the exception."""
    data = b"".join(explicit(0x00080000 + 2 * number, "LO", b"text") for number in range(100))
    data += sequence(0x00081140, explicit(UID, "UI", b"9.9\0"), undefined=True)
    steps: list[int] = []

    class Counting(Walk):
        def _count(self) -> None:
            steps.append(1)
            super()._count()

    Counting(data, 0, len(data), Encoding(explicit=True), WANTED).run()
    assert len(steps) == 1
