"""Queries about what the node holds: levels, keys and when a value matches one (PS3.4 C.2.2.2). Pure."""

from __future__ import annotations

import enum
import re
import unicodedata
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Protocol

from node.domain.study import Value
from node.errors import UnusableKey

# The value representations that may hold wildcards (PS3.4 C.2.2.2.4).
WITH_WILDCARDS = frozenset({"AE", "CS", "LO", "LT", "PN", "SH", "ST", "UC", "UR", "UT"})
_WILDCARDS = re.compile(r"[*?]")
_DAY = re.compile(r"\d{8}\Z", re.ASCII)
_DATE = re.compile(r"(\d{4})\.?(\d{2})\.?(\d{2})\Z", re.ASCII)
_TIME = re.compile(r"(\d{2})(?::?(\d{2})(?::?(\d{2})(\.\d{1,6})?)?)?\Z", re.ASCII)
_EARLIEST, _LATEST = "000000.000000", "235959.999999"


class Level(enum.StrEnum):
    """Query/Retrieve Level (0008,0052)."""

    PATIENT = "PATIENT"
    STUDY = "STUDY"
    SERIES = "SERIES"
    IMAGE = "IMAGE"


class Matching(Protocol):
    """What a value must be like; it is asked about one value, never an empty one."""

    def matches(self, value: str) -> bool: ...


@dataclass(frozen=True, slots=True)
class OneOf:
    """Single value matching, and that of a list of UIDs: nothing but the very same text."""

    texts: frozenset[str]

    def matches(self, value: str) -> bool:
        return value in self.texts


@dataclass(frozen=True, slots=True)
class Number:
    """An integer, however it is written."""

    number: int

    def matches(self, value: str) -> bool:
        try:
            return int(value) == self.number
        except ValueError:
            return False


@dataclass(frozen=True, slots=True)
class Pattern:
    """Wildcard matching: ``*`` is any text, ``?`` any one character. Case counts."""

    pattern: str

    def matches(self, value: str) -> bool:
        return _alike(self.pattern, value)


@dataclass(frozen=True, slots=True)
class PersonName:
    """A name, with or without wildcards: case does not count (PS3.4 C.2.2.2.1), nor do empty components at the end.

    Either the whole value matches or one of its component groups: a name written in letters finds the one that has it
    in ideographs too.
    """

    pattern: str

    def matches(self, value: str) -> bool:
        pattern = _folded(self.pattern)
        return any(_alike(pattern, _folded(part)) for part in (value, *value.split("=")))


@dataclass(frozen=True, slots=True)
class Span:
    """From ``first`` to ``last``, both included; dates as YYYYMMDD. An open end is empty."""

    first: str
    last: str

    def matches(self, value: str) -> bool:
        return _DAY.match(value) is not None and self.first <= value and (not self.last or value <= self.last)


@dataclass(frozen=True, slots=True)
class TimeSpan:
    """From ``first`` to ``last``, both included, as HHMMSS.FFFFFF."""

    first: str
    last: str

    def matches(self, value: str) -> bool:
        found = _time(value, _EARLIEST)
        return found is not None and self.first <= found <= self.last


@dataclass(frozen=True, slots=True)
class AnyOf:
    """A key of several values: one of them is enough."""

    parts: tuple[Matching, ...]

    def matches(self, value: str) -> bool:
        return any(part.matches(value) for part in self.parts)


@dataclass(frozen=True, slots=True)
class Query:
    """``keys`` are matched, by DICOM keyword; ``wanted`` are the attributes that answers shall have."""

    level: Level
    keys: Mapping[str, Matching]
    wanted: frozenset[str]

    def matches(self, entity: Mapping[str, Value]) -> bool:
        """Whether every key of which ``entity`` says something matches."""
        return all(has(entity[keyword], key) for keyword, key in self.keys.items() if keyword in entity)

    def asks_for(self, *keywords: str) -> bool:
        """Whether one of them is matched or wanted."""
        return any(keyword in self.keys or keyword in self.wanted for keyword in keywords)


def has(value: Value, key: Matching) -> bool:
    """Whether one of the values of an attribute matches; one without a value does not (PS3.4 C.2.2.2.3)."""
    return any(key.matches(text) for text in _texts(value))


def matching(vr: str, text: str) -> Matching | None:
    """What the value of a key asks for; None for universal matching.

    Raises:
        UnusableKey: a date, a time or a number that is none.
    """
    parts = [part.strip() for part in text.split("\\")]
    if not any(parts) or any(part == "*" for part in parts):
        return None
    if vr == "UI":
        return OneOf(frozenset(filter(None, parts)))
    found = tuple(_single(vr, part) for part in parts if part)
    return found[0] if len(found) == 1 else AnyOf(found)


def _single(vr: str, text: str) -> Matching:
    if vr == "PN":
        return PersonName(text)
    if vr == "DA":
        first, last = _range(text)
        return Span(_required(_date(first), first), _required(_date(last), last))
    if vr == "TM":
        first, last = _range(text)
        return TimeSpan(
            _required(_time(first, _EARLIEST), first) or _EARLIEST, _required(_time(last, _LATEST), last) or _LATEST
        )
    if vr in ("IS", "US"):
        try:
            return Number(int(text))
        except ValueError:
            raise UnusableKey("a key is no integer") from None
    if vr in WITH_WILDCARDS and _WILDCARDS.search(text):
        return Pattern(text)
    return OneOf(frozenset({text}))


def _range(text: str) -> tuple[str, str]:
    """Both ends, which are the same where the text is no range; one of them may be open."""
    first, hyphen, last = text.partition("-")
    return (first.strip(), last.strip()) if hyphen else (first, first)


def _required(found: str | None, text: str) -> str:
    if text and found is None:
        raise UnusableKey("a key is no date, no time and no range of them")
    return found or ""


def _date(text: str) -> str | None:
    """YYYYMMDD; also of the forms with points (ACR-NEMA)."""
    found = _DATE.match(text.strip())
    return None if found is None else "".join(found.groups())


def _time(text: str, rest: str) -> str | None:
    """HHMMSS.FFFFFF; what is not said is that of ``rest``."""
    found = _TIME.match(text.strip())
    if found is None:
        return None
    said = "".join(part for part in found.groups() if part)
    return said + rest[len(said) :]


def _texts(value: Value) -> Iterator[str]:
    if isinstance(value, list | tuple):
        for item in value:
            yield from _texts(item)
    elif value is not None and value != "":
        yield str(value)


def _folded(name: str) -> str:
    groups = unicodedata.normalize("NFC", name).lower().split("=")
    return "=".join("^".join(part.strip() for part in group.split("^")).rstrip("^ ") for group in groups).rstrip("=")


def _alike(pattern: str, text: str) -> bool:
    """Whether the text is as the pattern says; a star is tried again only where it stands last, so nothing explodes."""
    at = place = 0
    star, resume = -1, 0
    while place < len(text):
        if at < len(pattern) and pattern[at] == "*":
            star, resume = at, place
            at += 1
        elif at < len(pattern) and pattern[at] in ("?", text[place]):
            at, place = at + 1, place + 1
        elif star >= 0:
            resume += 1
            at, place = star + 1, resume
        else:
            return False
    return not pattern[at:].strip("*")
