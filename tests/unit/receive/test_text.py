from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from node.receive.text import codecs_of, decode


@pytest.mark.parametrize(
    ("character_set", "raw", "text"),
    [
        (b"", b"Doe^John", "Doe^John"),
        (b"ISO_IR 100", "Müller".encode("latin_1"), "Müller"),
        (b"ISO_IR 192", "Müller 王".encode(), "Müller 王"),
        (b"GB18030", "Wang^XiaoDong=王^小东".encode("gb18030"), "Wang^XiaoDong=王^小东"),
        (b"GBK ", "王^小东".encode("gbk"), "王^小东"),
        (b"ISO_IR 144", "Люкceмбypг".encode("iso8859_5"), "Люкceмбypг"),
        (b"ISO-IR 144", "Люкceмбypг".encode("iso8859_5"), "Люкceмбypг"),
        # The examples of PS3.5 Annexes H, I and K.
        (
            b"\\ISO 2022 IR 87",
            b"Yamada^Tarou=\x1b$B;3ED\x1b(B^\x1b$BB@O:\x1b(B=\x1b$B$d$^$@\x1b(B^\x1b$B$?$m$&\x1b(B",
            "Yamada^Tarou=山田^太郎=やまだ^たろう",
        ),
        (
            b"ISO 2022 IR 13\\ISO 2022 IR 87",
            b"\xd4\xcf\xc0\xde^\xc0\xdb\xb3=\x1b$B;3ED\x1b(J^\x1b$BB@O:\x1b(J=\x1b$B$d$^$@\x1b(J^\x1b$B$?$m$&\x1b(J",
            "ﾔﾏﾀﾞ^ﾀﾛｳ=山田^太郎=やまだ^たろう",
        ),
        (
            b"\\ISO 2022 IR 149",
            b"Hong^Gildong=\x1b$)C\xfb\xf3^\x1b$)C\xd1\xce\xd4\xd7=\x1b$)C\xc8\xab^\x1b$)C\xb1\xe6\xb5\xbf",
            "Hong^Gildong=洪^吉洞=홍^길동",
        ),
        (
            b"\\ISO 2022 IR 58",
            b"Zhang^XiaoDong=\x1b$)A\xd5\xc5^\x1b$)A\xd0\xa1\xb6\xab=",
            "Zhang^XiaoDong=张^小东=",
        ),
        (b"MARTIAN", "Müller".encode("latin_1"), "Müller"),
    ],
)
def test_character_sets(character_set: bytes, raw: bytes, text: str) -> None:
    assert decode(raw, codecs_of(character_set)) == text


def test_what_is_no_character_is_replaced_and_control_characters_go() -> None:
    assert decode(b"A\xffB", codecs_of(b"ISO_IR 192")) == "A\ufffdB"
    assert decode(b"A\x00B\x07C\r\nD", codecs_of(b"")) == "ABC\r\nD"


@given(st.binary(max_size=100), st.binary(max_size=60))
def test_it_never_fails(raw: bytes, character_set: bytes) -> None:
    text = decode(raw, codecs_of(character_set))
    assert "\x00" not in text
    text.encode()


@given(st.lists(st.sampled_from([b"\x1b$B", b"\x1b$)C", b"\x1b(J", b"\x1b$)A", b"\x1b-T", b"\x1b", b"\xd5\xc5", b"^"])))
def test_it_never_fails_on_escape_sequences(parts: list[bytes]) -> None:
    decode(b"".join(parts), codecs_of(b"ISO 2022 IR 13\\ISO 2022 IR 87\\ISO 2022 IR 58")).encode()
