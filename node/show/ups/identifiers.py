"""Data sets out of requests: bodies in the DICOM JSON model, and query parameters (PS3.18 section 8.3.4)."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any

import pydicom.config
from pydicom.datadict import dictionary_VR, keyword_for_tag, tag_for_keyword
from pydicom.dataelem import DataElement
from pydicom.dataset import Dataset
from pydicom.sequence import Sequence as Items
from pydicom.tag import Tag

from node.errors import InvalidAttributeValue

# What a search tells of each workitem without being asked (PS3.18 Table 11.9.3-1, as far as it goes with PS3.4).
ALWAYS = (
    "PatientName", "PatientID", "PatientBirthDate", "PatientSex", "StudyInstanceUID", "ReferencedRequestSequence",
    "ScheduledProcedureStepPriority", "ProcedureStepLabel", "WorklistLabel", "ScheduledProcedureStepStartDateTime",
    "ScheduledProcedureStepModificationDateTime", "ScheduledStationNameCodeSequence", "ScheduledWorkitemCodeSequence",
    "InputReadinessState", "ProcedureStepState", "ProcedureStepProgressInformationSequence",
)  # fmt: skip
EVERYTHING = (*ALWAYS, "InputInformationSequence", "UnifiedProcedureStepPerformedProcedureSequence")
MAX_LIMIT = 1000
# Of these several values are looked for at once.
MULTIPLE = frozenset({"UI", "CS"})
UNREADABLE = (ValueError, TypeError, KeyError, AttributeError, LookupError, NotImplementedError, RecursionError)


def data_set_of(body: Any) -> Dataset:
    """One data set, alone or as the only one of a list.

    Raises:
        InvalidAttributeValue: it is none.
    """
    if isinstance(body, list) and len(body) == 1:
        body = body[0]
    if not isinstance(body, dict):
        raise InvalidAttributeValue("one data set is expected")
    try:
        return Dataset.from_json(body)
    except UNREADABLE as error:
        raise InvalidAttributeValue("no data set in the DICOM JSON model") from error


def identifier_of(parameters: Sequence[tuple[str, str]], default_limit: int) -> tuple[Dataset, int, int]:
    """What is looked for, how many are passed over, and how many are told at most.

    Raises:
        InvalidAttributeValue: a parameter is not understood.
    """
    identifier, numbers = Dataset(), {"offset": 0, "limit": default_limit}
    included: list[str] = list(ALWAYS)
    for name, value in parameters:
        if name in numbers:
            numbers[name] = _number(name, value)
        elif name == "includefield":
            included += EVERYTHING if value == "all" else value.split(",")
        elif name != "fuzzymatching":
            _put(identifier, name.split("."), value)
    for name in included:
        place = _keyword(name)
        if place not in identifier:
            _put(identifier, [place], "")
    return identifier, numbers["offset"], min(numbers["limit"], MAX_LIMIT)


def filter_of(filters: Iterable[str]) -> Dataset:
    """``Keyword=value`` several times, or with commas between.

    Raises:
        InvalidAttributeValue
    """
    made = Dataset()
    for part in (part for each in filters for part in each.split(",") if part):
        name, equals, value = part.partition("=")
        if not equals:
            raise InvalidAttributeValue("a filter is written Keyword=value")
        _put(made, name.split("."), value)
    return made


def _put(data_set: Dataset, path: Sequence[str], value: str) -> None:
    """Of a path, every attribute but the last is a sequence."""
    keyword = _keyword(path[0])
    tag = tag_for_keyword(keyword)
    is_sequence = tag is not None and dictionary_VR(tag) == "SQ"
    if is_sequence != (len(path) > 1) and (value or not is_sequence):
        raise InvalidAttributeValue(f"{keyword} is not looked for so", attribute=keyword)
    if not is_sequence:
        several = "," in value and dictionary_VR(tag or 0) in MULTIPLE
        put(data_set, **{keyword: value.split(",") if several else value})
        return
    if keyword not in data_set:
        put(data_set, **{keyword: Items()})
    if len(path) > 1:
        items = data_set[keyword].value
        if not items:
            items.append(Dataset())
        _put(items[0], path[1:], value)


def put(data_set: Dataset, **values: Any) -> Dataset:
    """Set these attributes, whatever the values look like: whoever reads them judges."""
    for keyword, value in values.items():
        tag = tag_for_keyword(keyword)
        assert tag is not None, keyword
        data_set[tag] = DataElement(tag, dictionary_VR(tag), value, validation_mode=pydicom.config.IGNORE)
    return data_set


def _keyword(name: str) -> str:
    """Of an attribute that is named by its keyword or by eight hexadecimal digits."""
    if tag_for_keyword(name) is not None:
        return name
    try:
        keyword = keyword_for_tag(Tag(int(name, 16))) if len(name) == 8 else ""
    except (ValueError, OverflowError):
        keyword = ""
    if not keyword:
        raise InvalidAttributeValue("there is no such attribute")
    return keyword


def _number(name: str, value: str) -> int:
    if not (value.isascii() and value.isdigit() and len(value) < 10):
        raise InvalidAttributeValue(f"{name} is a number")
    return int(value)
