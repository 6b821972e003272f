"""Small parts of data sets: values from rows as they are, coded entries, moments."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from datetime import UTC, datetime
from typing import Any

import pydicom.config
from pydicom.datadict import dictionary_VR, tag_for_keyword
from pydicom.dataelem import DataElement
from pydicom.dataset import Dataset
from pydicom.sequence import Sequence

from node.errors import InvalidAttributeValue, MissingAttribute, MissingAttributeValue

# Coding scheme of what only this software names: models, by their id, and nodes, by their AE title (PS3.16 section 8).
SCHEME = "99AINODE"
SHORT_CODE = 16
# What damaged data sets make pydicom say.
UNREADABLE = (ValueError, TypeError, KeyError, AttributeError, LookupError, OverflowError, NotImplementedError)
MAX_JSON = 1 << 20


def put(data_set: Dataset, **values: Any) -> Dataset:
    """Set these attributes, whatever the values look like: what headers held is shown as it was."""
    for keyword, value in values.items():
        tag = tag_for_keyword(keyword)
        assert tag is not None, keyword
        data_set[tag] = DataElement(tag, dictionary_VR(tag), value, validation_mode=pydicom.config.IGNORE)
    return data_set


def item(**values: Any) -> Dataset:
    return put(Dataset(), **values)


def code(value: str, scheme: str, meaning: str, version: str = "") -> Dataset:
    """A coded entry (PS3.3 section 8.8)."""
    entry = item(CodeValue=value) if len(value) <= SHORT_CODE else item(LongCodeValue=value)
    put(entry, CodingSchemeDesignator=scheme, CodeMeaning=meaning[:64])
    return put(entry, CodingSchemeVersion=version[:16]) if version else entry


def moment(at: datetime) -> str:
    """VR DT, in UTC."""
    return at.astimezone(UTC).strftime("%Y%m%d%H%M%S.%f+0000")


def from_json(attributes: Mapping[str, Any]) -> Dataset:
    """
    Raises:
        InvalidAttributeValue: it is not in the DICOM JSON model.
    """
    try:
        return Dataset.from_json(dict(attributes))
    except UNREADABLE as error:
        raise InvalidAttributeValue("not in the DICOM JSON model") from error


def to_json(data_set: Dataset) -> dict[str, Any]:
    """In the DICOM JSON model.

    Raises:
        InvalidAttributeValue: a value is not what its VR says, or there is too much.
    """
    try:
        text = data_set.to_json_dict(bulk_data_threshold=MAX_JSON)
    except UNREADABLE as error:
        raise InvalidAttributeValue("an attribute has a value that its VR does not allow") from error
    if len(str(text)) > MAX_JSON:
        raise InvalidAttributeValue("the attributes are too long")
    return text


def text_of(data_set: Dataset, keyword: str) -> str:
    """The value as text, empty where there is none.

    Raises:
        InvalidAttributeValue: it cannot be read.
    """
    try:
        value = data_set.get(keyword)
    except UNREADABLE as error:
        raise InvalidAttributeValue(f"{keyword} cannot be read", attribute=keyword) from error
    return "" if value is None else str(value).strip()


def items_of(data_set: Dataset, keyword: str) -> Iterable[Dataset]:
    """
    Raises:
        InvalidAttributeValue: it is no sequence.
    """
    try:
        value = data_set.get(keyword)
    except UNREADABLE as error:
        raise InvalidAttributeValue(f"{keyword} cannot be read", attribute=keyword) from error
    if value is None:
        return ()
    if not isinstance(value, Sequence):
        raise InvalidAttributeValue(f"{keyword} is no sequence", attribute=keyword)
    return tuple(value)


def required(data_set: Dataset, keyword: str) -> str:
    """
    Raises:
        MissingAttribute, MissingAttributeValue, InvalidAttributeValue
    """
    if keyword not in data_set:
        raise MissingAttribute(f"{keyword} is missing", attribute=keyword)
    text = text_of(data_set, keyword)
    if not text:
        raise MissingAttributeValue(f"{keyword} is empty", attribute=keyword)
    return text


def code_value(entry: Dataset) -> str:
    """The value of a coded entry, however long."""
    return text_of(entry, "CodeValue") or text_of(entry, "LongCodeValue")
