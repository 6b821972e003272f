"""Whether a workitem is what an identifier asks for, and which attributes are told (PS3.4 sections C.2.2.2, CC.2.8)."""

from __future__ import annotations

import fnmatch
import re
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta, timezone
from typing import Any

from pydicom.dataelem import DataElement
from pydicom.dataset import Dataset
from pydicom.multival import MultiValue

from node.domain.job import Priority
from node.domain.workitem import StepState, WorkitemQuery
from node.errors import InvalidAttributeValue
from node.ups.elements import UNREADABLE, code_value, items_of

# Not compared: they say how the query is written.
ABOUT_THE_QUERY = frozenset({"SpecificCharacterSet", "TimezoneOffsetFromUTC", "QueryRetrieveLevel"})
TIMES = frozenset({"DA", "TM", "DT"})
WITH_WILDCARDS = frozenset({"AE", "CS", "LO", "LT", "PN", "SH", "ST", "UC", "UR", "UT"})
_MOMENT = re.compile(r"(\d{4})(\d\d)?(\d\d)?(\d\d)?(\d\d)?(\d\d)?(?:\.(\d{1,6}))?([+-]\d{4})?\Z")
_ONE = r"\d{4,14}(?:\.\d{1,6})?(?:[+-]\d{4})?"
_RANGE = re.compile(rf"({_ONE})?-({_ONE})?\Z")
# Zones are from 12 h behind UTC to 14 h before it (PS3.5 Table 6.2-1): what is further away is the year of a range.
_ZONED = re.compile(r"\d{4,14}(?:\.\d{1,6})?(?:-(?:0\d|1[0-2])\d\d|\+\d{4})?\Z")


def matches(whole: Dataset, identifier: Dataset) -> bool:
    """Every key of ``identifier`` with a value has it in ``whole``.

    Raises:
        InvalidAttributeValue: a key cannot be read.
    """
    return all(_matches(whole, key) for key in _keys(identifier))


def told(whole: Dataset, identifier: Dataset) -> Dataset:
    """The attributes that ``identifier`` names, empty where there is nothing to tell; the two UIDs always."""
    made = _told(whole, identifier)
    for keyword in ("SpecificCharacterSet", "SOPClassUID", "SOPInstanceUID"):
        made[keyword] = whole[keyword]
    return made


def query_of(identifier: Dataset) -> WorkitemQuery:
    """What of ``identifier`` the tables can be asked for: never less than what matches."""
    return WorkitemQuery(
        uids=_plain(identifier, "SOPInstanceUID"),
        states=tuple(StepState(one) for one in _plain(identifier, "ProcedureStepState") if one in set(StepState)),
        studies=_plain(identifier, "StudyInstanceUID"),
        patient_ids=_plain(identifier, "PatientID"),
        models=tuple(
            value
            for entry in items_of(identifier, "ScheduledWorkitemCodeSequence")
            if (value := code_value(entry)) and not _is_pattern(value)
        ),
        priorities=tuple(
            Priority[one] for one in _plain(identifier, "ScheduledProcedureStepPriority") if one in Priority.__members__
        ),
    )


def _plain(identifier: Dataset, keyword: str) -> tuple[str, ...]:
    """The values of a key, none where one of them is a pattern."""
    try:
        value = identifier.get(keyword)
    except UNREADABLE as error:
        raise InvalidAttributeValue(f"{keyword} cannot be read", attribute=keyword) from error
    values = tuple(str(one).strip() for one in (value if isinstance(value, MultiValue | list) else [value]) if one)
    return () if any(map(_is_pattern, values)) else values


def _is_pattern(text: str) -> bool:
    return "*" in text or "?" in text


def _keys(identifier: Dataset) -> Iterator[DataElement]:
    try:
        yield from (each for each in identifier if each.keyword not in ABOUT_THE_QUERY)
    except UNREADABLE as error:
        raise InvalidAttributeValue("the identifier cannot be read") from error


def _matches(whole: Dataset, key: DataElement) -> bool:
    if key.VR == "SQ":
        wanted = [one for one in key.value or () if any(_has_value(nested) for nested in _keys(one))]
        found = whole.get(key.keyword) or () if key.keyword else ()
        return all(any(matches(each, one) for each in found) for one in wanted)
    if not _has_value(key):
        return True
    there = whole.get(key.tag)
    values = [] if there is None else _values(there.value)
    return any(_one_matches(value, wanted, key) for value in values for wanted in _values(key.value))


def _has_value(key: DataElement) -> bool:
    if key.VR == "SQ":
        return any(_has_value(nested) for one in key.value or () for nested in _keys(one))
    return any(text not in ("", "*") for text in _values(key.value))


def _values(value: Any) -> list[str]:
    if value is None:
        return []
    values = value if isinstance(value, MultiValue | list) else [value]
    return [str(one).strip() for one in values]


def _one_matches(value: str, wanted: str, key: DataElement) -> bool:
    if key.VR in TIMES:
        return _in_range(value, wanted, key)
    if key.VR == "PN":
        value, wanted = value.casefold(), wanted.casefold()
    if key.VR in WITH_WILDCARDS and _is_pattern(wanted):
        return fnmatch.fnmatchcase(value, wanted.replace("[", "[[]"))
    return value == wanted


def _in_range(value: str, wanted: str, key: DataElement) -> bool:
    if key.VR != "DT":
        first, dash, last = wanted.partition("-")
        return value == wanted if not dash else first <= value and (not last or value <= last + "~")
    between = None if _ZONED.match(wanted) else _RANGE.match(wanted)
    first, last = between.groups() if between else (wanted, wanted)
    begin = _bounds(first, key)[0] if first else datetime.min.replace(tzinfo=UTC)
    end = _bounds(last, key)[1] if last else datetime.max.replace(tzinfo=UTC)
    return begin <= _bounds(value, key)[0] < end


def _bounds(text: str, key: DataElement) -> tuple[datetime, datetime]:
    """The first moment that a DT of any precision means, and the first behind it; UTC where it names no zone."""
    found = _MOMENT.match(text)
    if found is None:
        raise InvalidAttributeValue(f"{key.keyword} is no date and time", attribute=key.keyword)
    *parts, fraction, offset = found.groups()
    given = [int(part) for part in parts if part is not None]
    year, month, day = [*given, 1, 1][:3]
    hour, minute, second = [*given[3:], 0, 0, 0][:3]
    try:
        begin = datetime(year, month, day, hour, minute, second, tzinfo=_zone(offset))
        begin += timedelta(microseconds=int((fraction or "0").ljust(6, "0")))
        return begin, begin + _precision(begin, len(given), fraction)
    except (ValueError, OverflowError) as error:
        raise InvalidAttributeValue(f"{key.keyword} is no date and time", attribute=key.keyword) from error


def _zone(offset: str | None) -> timezone:
    if offset is None:
        return UTC
    minutes = int(offset[1:3]) * 60 + int(offset[3:])
    return timezone(timedelta(minutes=-minutes if offset[0] == "-" else minutes))


def _precision(begin: datetime, parts: int, fraction: str | None) -> timedelta:
    if fraction:
        return timedelta(microseconds=10 ** (6 - len(fraction)))
    match parts:
        case 1:
            return begin.replace(year=begin.year + 1) - begin
        case 2:
            behind = (begin.replace(day=28) + timedelta(days=4)).replace(day=1)
            return behind - begin
        case _:
            return {3: timedelta(days=1), 4: timedelta(hours=1), 5: timedelta(minutes=1)}.get(
                parts, timedelta(seconds=1)
            )


def _told(whole: Dataset, identifier: Dataset) -> Dataset:
    made = Dataset()
    for key in _keys(identifier):
        there = whole.get(key.tag)
        if key.VR != "SQ":
            made[key.tag] = there if there is not None else DataElement(key.tag, key.VR, None)
            continue
        found = [] if there is None else list(there.value)
        wanted = next(iter(key.value or ()), None)
        items = found if wanted is None or not len(wanted) else [_told(each, wanted) for each in found]
        made[key.tag] = DataElement(key.tag, "SQ", items)
    return made
