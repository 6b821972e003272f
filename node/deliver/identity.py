"""Which object a file holds, by its own words."""

from __future__ import annotations

import struct
from dataclasses import dataclass
from io import BytesIO

import pydicom
from pydicom.dataset import Dataset
from pydicom.errors import InvalidDicomError

from node.domain.identity import require_uid
from node.errors import DataSetMismatch, UndecodableDataSet
from node.ports import Outgoing

_KEYWORDS = ["SOPClassUID", "SOPInstanceUID", "StudyInstanceUID", "SeriesInstanceUID"]


@dataclass(frozen=True, slots=True)
class Identity:
    """UIDs that are UIDs (PS3.5 section 9): digits and dots, nothing that a path or a URL could be made of."""

    study_instance_uid: str
    series_instance_uid: str
    sop_class_uid: str
    sop_instance_uid: str


def identity(file: bytes, outgoing: Outgoing) -> Identity:
    """Of a Part 10 file, which must be the object that the row says it is.

    Raises:
        InvalidUid: a UID is absent or none.
        UndecodableDataSet: it cannot be parsed.
        DataSetMismatch: it is another object.
    """
    require_uid(outgoing.sop_class_uid, "SOPClassUID")
    require_uid(outgoing.sop_instance_uid, "SOPInstanceUID")
    found = parsed(file, _KEYWORDS)
    uids = {keyword: require_uid(str(found.get(keyword) or ""), keyword) for keyword in _KEYWORDS}
    if (uids["SOPClassUID"], uids["SOPInstanceUID"]) != (outgoing.sop_class_uid, outgoing.sop_instance_uid):
        raise DataSetMismatch("the file holds another object than its row says")
    return Identity(
        uids["StudyInstanceUID"], uids["SeriesInstanceUID"], outgoing.sop_class_uid, outgoing.sop_instance_uid
    )


def parsed(file: bytes, keywords: list[str] | None = None) -> Dataset:
    """The data set of a Part 10 file, or only these attributes of it; without pixels.

    Raises:
        UndecodableDataSet: it cannot be parsed.
    """
    try:
        return pydicom.dcmread(BytesIO(file), stop_before_pixels=True, specific_tags=list(keywords or []) or None)
    except (InvalidDicomError, ValueError, KeyError, TypeError, AttributeError, OSError, struct.error) as error:
        raise UndecodableDataSet(f"cannot be parsed: {type(error).__name__}") from error
