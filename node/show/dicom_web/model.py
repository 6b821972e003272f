"""What the node knows of an entity as a data set in the DICOM JSON model (PS3.18 section F.2). Pure."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

from pydicom.datadict import dictionary_VR, tag_for_keyword

from node.domain.study import Value

PERSON_GROUPS = ("Alphabetic", "Ideographic", "Phonetic")
NUMBERS = frozenset({"IS", "DS", "US", "SS", "UL", "SL", "FL", "FD"})
Json = dict[str, Any]


def data_set(entity: Mapping[str, Value], keywords: Iterable[str]) -> Json:
    """The attributes of these keywords, in the order of their tags; one that is not known has no value."""
    found = {}
    for keyword in keywords:
        tag = tag_for_keyword(keyword)
        if tag is not None:
            found[f"{tag:08X}"] = element(dictionary_VR(tag)[:2], entity.get(keyword))
    return dict(sorted(found.items()))


def element(vr: str, value: Value) -> Json:
    values = value if isinstance(value, list | tuple) else [value]
    if all(one is None or one == "" for one in values):
        return {"vr": vr}
    return {"vr": vr, "Value": [_value(vr, one) for one in values]}


def _value(vr: str, value: Value) -> object:
    if value is None or value == "":
        return None
    if vr == "PN":
        groups = str(value).split("=")
        return {name: group for name, group in zip(PERSON_GROUPS, groups, strict=False) if group}
    if vr in NUMBERS:
        return value if isinstance(value, int | float) else None
    return str(value)
