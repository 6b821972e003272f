"""Column types that make the two databases agree on times, text from outside and JSON."""

from __future__ import annotations

import json
import math
import numbers
from collections.abc import Callable, Iterable, Mapping
from datetime import UTC, datetime
from typing import Any

from sqlalchemy import JSON, BigInteger, DateTime, Dialect, Integer, Text
from sqlalchemy.types import TypeDecorator, TypeEngine

# SQLite counts row ids by itself only in a column that is declared INTEGER.
RowId: TypeEngine[int] = BigInteger().with_variant(Integer(), "sqlite")


class UtcDateTime(TypeDecorator[datetime]):
    """An aware datetime in, an aware datetime in UTC out. SQLite keeps no time zone: there the column holds UTC."""

    impl = DateTime(timezone=True)
    cache_ok = True

    def process_bind_param(self, value: datetime | None, dialect: Dialect) -> datetime | None:
        if value is None:
            return None
        if value.tzinfo is None:
            raise ValueError("a time without its zone")
        in_utc = value.astimezone(UTC)
        return in_utc.replace(tzinfo=None) if dialect.name == "sqlite" else in_utc

    def process_result_value(self, value: datetime | None, dialect: Dialect) -> datetime | None:
        if value is None:
            return None
        return value.replace(tzinfo=UTC) if value.tzinfo is None else value.astimezone(UTC)


class SafeText(TypeDecorator[str]):
    """Text of any length and content, without the two things that PostgreSQL refuses: NUL and lone surrogates."""

    impl = Text
    cache_ok = True

    def process_bind_param(self, value: str | None, dialect: Dialect) -> str | None:
        return None if value is None else storable_text(value)


class SafeJson(TypeDecorator[Any]):
    """A JSON document; what JSON or PostgreSQL cannot hold is replaced as in ``storable``. None is SQL's NULL."""

    impl = JSON(none_as_null=True)
    cache_ok = True

    def process_bind_param(self, value: Any, dialect: Dialect) -> Any:
        return storable(value)

    def bind_processor(self, dialect: Dialect) -> Callable[[Any], Any] | None:
        usual = super().bind_processor(dialect)
        if dialect.name != "sqlite" or usual is None:
            return usual

        def process(value: Any) -> Any:
            text = _plain_text(value)
            return usual(value) if text is None else text

        return process


# Where they stand in a document's text, ``storable`` may have to change something: an escape (of NUL, of a surrogate),
# what is no number, and a document within, for its keys.
_SUSPICIOUS = ("\\", "NaN", "Infinity")


def _plain_text(value: Any) -> str | None:
    """The JSON text of a flat document of which ``storable`` would change nothing; None where that is not sure."""
    if type(value) is not dict or any(type(key) is not str for key in value):
        return None
    try:
        text = json.dumps(value)
    except (TypeError, ValueError):
        return None
    return None if "{" in text[1:] or any(each in text for each in _SUSPICIOUS) else text


def storable_text(text: str) -> str:
    if text.isascii() and "\0" not in text:
        return text
    return text.replace("\0", "").encode("utf-8", "replace").decode("utf-8")


def storable(value: Any) -> Any:
    """``value`` as plain JSON: sequences as lists, numbers of any library as numbers, NaN and infinities as null."""
    match value:
        case None | bool():
            return value
        case Mapping():
            return {storable_text(str(key)): _QUICKLY.get(type(item), storable)(item) for key, item in value.items()}
        case list() | tuple() | set() | frozenset():
            return _storable_list(value)
        case numbers.Integral():
            return int(value)
        case numbers.Real():
            return float(value) if math.isfinite(value) else None
        case _:
            return storable_text(str(value))


def _storable_list(items: Iterable[Any]) -> list[Any]:
    return [_QUICKLY.get(type(item), storable)(item) for item in items]


def _finite(number: float) -> float | None:
    return number if math.isfinite(number) else None


def _same(value: Any) -> Any:
    return value


# Nearly everything is of one of these types; they are looked up first because there is so much of it.
_QUICKLY: Mapping[type, Callable[[Any], Any]] = {
    str: storable_text,
    int: _same,
    float: _finite,
    list: _storable_list,
    type(None): _same,
}
