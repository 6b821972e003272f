"""Text in DICOM's character sets (PS3.5 section 6.1, PS3.3 C.12.1.1.2) to Python text, without ever failing."""

from __future__ import annotations

import re
from collections.abc import Sequence

from pydicom.charset import CODES_TO_ENCODINGS, python_encoding

DEFAULT_CODEC = "latin_1"
_ESCAPE = b"\x1b"
_PARTS = re.compile(rb"\A[^\x1b]+|\x1b[^\x1b]*")
# Where a G1 designation ends (PS3.5 6.1.2.5.3): line ends, the value delimiter, and the delimiters of a Person Name.
_RESETS = re.compile(rb"[\\^=\r\n\f\t]")
# Python's codecs for these consume the escape sequence themselves.
_STATEFUL = ("iso2022_jp", "iso2022_jp_2")
_CONTROL = re.compile(r"[\x00-\x08\x0b\x0c\x0e-\x1f\x7f]")


def codecs_of(specific_character_set: bytes) -> list[str]:
    """Python's codecs for the value of (0008,0005); an unknown term is read as ISO_IR 100."""
    terms = specific_character_set.decode("ascii", "replace").replace("\x00", " ").split("\\")
    codecs = [python_encoding.get(_normal(term), DEFAULT_CODEC) for term in terms]
    return [DEFAULT_CODEC if codec == "iso8859" else codec for codec in codecs]


def decode(raw: bytes, codecs: Sequence[str]) -> str:
    """``raw`` as text; bytes that are no character become U+FFFD, control characters other than line ends go."""
    first = codecs[0] if codecs else DEFAULT_CODEC
    if _ESCAPE not in raw:
        text = raw.decode(first, "replace")
    else:
        text = "".join(_decode_part(part, first) for part in _PARTS.findall(raw))
    return _CONTROL.sub("", text)


def _decode_part(part: bytes, first: str) -> str:
    if not part.startswith(_ESCAPE):
        return part.decode(first, "replace")
    length = 4 if part.startswith((b"\x1b$(", b"\x1b$)")) else 3
    codec = CODES_TO_ENCODINGS.get(part[:length], first)
    if codec in _STATEFUL:
        return part.decode(codec, "replace")
    rest = part[length:]
    reset = _RESETS.search(rest)
    end = reset.start() if reset else len(rest)
    return rest[:end].decode(codec, "replace") + rest[end:].decode(first, "replace")


def _normal(term: str) -> str:
    """``ISO-IR 100`` and ``ISO IR 100`` are common misspellings of ``ISO_IR 100``."""
    return re.sub(r"^ISO[- ]IR", "ISO_IR", term.strip().upper())
