"""Conditions in SQL that leave out nothing that a query matches: the query itself judges what is left."""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Iterator, Mapping
from typing import Any

from sqlalchemy import ColumnElement, literal_column

from node.database.tables import study
from node.domain.query import Matching, OneOf, Pattern, PersonName, Query, Span

# As the partial index has it: what is longer is no date, and would not fit into an index of PostgreSQL.
A_DATE: ColumnElement[bool] = literal_column("length(study_date) <= 16")
_PLAIN = re.compile(r"[ -~]+")
_WILDCARDS = re.compile(r"[*?^=]")


def narrowed(query: Query, columns: Mapping[str, ColumnElement[Any]]) -> Iterator[ColumnElement[bool]]:
    """Conditions on the columns of keywords, for those keys that SQL can say something of."""
    for keyword, key in query.keys.items():
        if keyword in columns:
            yield from _conditions(columns[keyword], key)


def _conditions(column: ColumnElement[Any], key: Matching) -> Iterator[ColumnElement[bool]]:
    if isinstance(key, OneOf):
        yield column.in_(sorted(key.texts))
    elif isinstance(key, Span):
        if column is study.c.study_date:
            yield A_DATE
        yield column >= (key.first or "0")
        if key.last:
            yield column <= key.last
    elif isinstance(key, Pattern | PersonName):
        yield from (column.icontains(part, autoescape=True) for part in _literal_parts(key.pattern))
    else:
        yield column != ""


def _literal_parts(pattern: str) -> Iterator[str]:
    """Runs of ASCII between wildcards, which a match has as they are, but for their case."""
    for part in _WILDCARDS.split(unicodedata.normalize("NFC", pattern)):
        yield from (text for run in _PLAIN.findall(part) if (text := run.strip()))
