"""What the embedded PACS holds: Part 10 files in a folder, written durably, with an index in memory."""

from __future__ import annotations

import os
import threading
from collections.abc import Iterable
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from io import BytesIO
from pathlib import Path

import pydicom
from pydicom.dataset import Dataset
from pydicom.tag import Tag

from node.domain.identity import require_uid
from node.errors import IncompleteDataSet

# What a C-FIND may ask for, and what the index keeps of every instance.
STUDY_KEYWORDS = (
    "StudyDate",
    "StudyTime",
    "AccessionNumber",
    "ReferringPhysicianName",
    "StudyDescription",
    "PatientName",
    "PatientID",
    "PatientBirthDate",
    "PatientSex",
    "StudyInstanceUID",
    "StudyID",
)
SERIES_KEYWORDS = (
    "SeriesDate",
    "SeriesTime",
    "Modality",
    "Manufacturer",
    "SeriesDescription",
    "BodyPartExamined",
    "SeriesInstanceUID",
    "SeriesNumber",
)
_KEYWORDS = ("SpecificCharacterSet", "SOPClassUID", "SOPInstanceUID", *STUDY_KEYWORDS, *SERIES_KEYWORDS)


@dataclass(frozen=True, slots=True)
class PacsInstance:
    """An instance in the PACS.

    ``received_at`` is when it was durable, ``receptions`` how often it was sent, ``header`` the indexed elements.
    """

    study_instance_uid: str
    series_instance_uid: str
    sop_class_uid: str
    sop_instance_uid: str
    modality: str
    path: Path
    header: Dataset
    received_at: datetime
    receptions: int = 1
    committed: bool = False


class Holdings:
    """The instances by SOP Instance UID. Safe to use from several associations at once."""

    def __init__(self, folder: Path) -> None:
        folder.mkdir(parents=True, exist_ok=True)
        self._folder = folder
        self._lock = threading.Lock()
        self._held: dict[str, PacsInstance] = {}

    def add(self, part10: bytes) -> PacsInstance:
        """Write a file, durably, and index it; a UID that is held already is replaced.

        Raises:
            IncompleteDataSet, InvalidUid: it cannot be indexed, nothing was written.
        """
        header = _header(part10)
        uid = require_uid(raw_uid(header, "SOPInstanceUID"), "SOPInstanceUID")
        path = self._folder / f"{uid}.dcm"
        with self._lock:
            _write(path, part10)
            before = self._held.get(uid)
            held = PacsInstance(
                raw_uid(header, "StudyInstanceUID"),
                raw_uid(header, "SeriesInstanceUID"),
                raw_uid(header, "SOPClassUID"),
                uid,
                str(header.get("Modality", "")),
                path,
                header,
                datetime.now(UTC),
            )
            self._held[uid] = replace(held, receptions=before.receptions + 1) if before else held
            return self._held[uid]

    def mark_committed(self, uids: Iterable[str]) -> None:
        with self._lock:
            for uid in uids:
                if uid in self._held:
                    self._held[uid] = replace(self._held[uid], committed=True)

    def discard(self, uid: str) -> None:
        """Lose an instance, as an operator would by deleting it."""
        with self._lock:
            held = self._held.pop(uid)
            held.path.unlink()

    def all(self) -> tuple[PacsInstance, ...]:
        with self._lock:
            return tuple(self._held.values())

    def get(self, uid: str) -> PacsInstance | None:
        with self._lock:
            return self._held.get(uid)


def raw_uid(header: Dataset, keyword: str) -> str:
    """A UID as it stands in the file, however wrong; empty where it is absent. pydicom would warn of a wrong one."""
    tag = Tag(keyword)
    if tag not in header:
        return ""
    value = header.get_item(tag).value
    return value.rstrip(b"\0 ").decode("ascii", "replace") if isinstance(value, bytes) else str(value or "")


def _header(part10: bytes) -> Dataset:
    tags = [Tag(keyword) for keyword in _KEYWORDS]
    read = pydicom.dcmread(BytesIO(part10), stop_before_pixels=True, specific_tags=tags)
    for keyword in ("StudyInstanceUID", "SeriesInstanceUID", "SOPClassUID"):
        if not raw_uid(read, keyword):
            raise IncompleteDataSet(f"{keyword} is absent", attribute=keyword)
    return Dataset(read)


def _write(path: Path, data: bytes) -> None:
    """File, then directory: after this a power cut loses nothing."""
    partial = path.with_suffix(".part")
    with partial.open("wb") as file:
        file.write(data)
        file.flush()
        os.fsync(file.fileno())
    partial.replace(path)
    directory = os.open(path.parent, os.O_RDONLY)
    try:
        os.fsync(directory)
    finally:
        os.close(directory)
