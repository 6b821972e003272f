"""The header facts we keep of an instance, as plain JSON values (``Instance.attributes``)."""

from __future__ import annotations

import math
import struct
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from functools import lru_cache

from pydicom.datadict import dictionary_VR, tag_for_keyword

from node.domain.study import Value
from node.ports import View
from node.receive import part10, text
from node.receive.walk import RawValue, Walk

KEYWORDS = (
    "SOPClassUID", "SOPInstanceUID", "StudyInstanceUID", "SeriesInstanceUID", "FrameOfReferenceUID",
    "PatientID", "PatientName", "PatientBirthDate", "PatientSex", "PatientAge",
    "AccessionNumber", "StudyDate", "StudyTime", "StudyDescription", "StudyID",
    "SeriesDescription", "SeriesNumber", "SeriesDate", "SeriesTime", "Modality", "BodyPartExamined", "ProtocolName",
    "StationName", "Manufacturer", "ManufacturerModelName", "InstitutionName",
    "InstanceNumber", "AcquisitionNumber", "AcquisitionDate", "AcquisitionTime", "ContentDate", "ContentTime",
    "ImageType", "ImageOrientationPatient", "ImagePositionPatient", "PatientPosition",
    "PixelSpacing", "ImagerPixelSpacing", "SliceThickness", "SpacingBetweenSlices",
    "Rows", "Columns", "NumberOfFrames", "SamplesPerPixel", "BitsAllocated", "PhotometricInterpretation",
    "BurnedInAnnotation", "Laterality", "ImageLaterality", "ViewPosition", "ContrastBolusAgent",
    "ScanningSequence", "SequenceName", "MagneticFieldStrength", "EchoTime", "RepetitionTime", "ConvolutionKernel",
    "ImagesInAcquisition", "NumberOfSeriesRelatedInstances",
)  # fmt: skip
# Where an enhanced multi-frame object has them in its functional groups (PS3.3 C.7.6.16): those of the first frame.
FUNCTIONAL_GROUP_KEYWORDS = (
    "ImageOrientationPatient", "ImagePositionPatient", "PixelSpacing", "SliceThickness", "SpacingBetweenSlices",
)  # fmt: skip
UID_KEYWORDS = ("SOPClassUID", "SOPInstanceUID", "StudyInstanceUID", "SeriesInstanceUID")

MAX_TEXT = 1024
MAX_VALUES = 64
MAX_KNOWN = 128

CHARACTER_SET = 0x00080005
_MULTIPLE = 2
_NUMBERS = {
    "US": "H", "SS": "h", "UL": "I", "SL": "i", "UV": "Q", "SV": "q", "FL": "f", "FD": "d",
}  # fmt: skip
_SINGLE_TEXT = ("LT", "ST", "UT", "UR")
_BINARY = ("OB", "OD", "OF", "OL", "OV", "OW", "UN", "SQ", "AT")
_INT_RANGE = 1 << 63


@dataclass(frozen=True, slots=True)
class Header:
    """``uids`` holds those of ``UID_KEYWORDS`` that are present, unchecked; ``attributes`` maps keywords to values."""

    uids: Mapping[str, str]
    attributes: Mapping[str, Value]


def wanted_tags(extra_keywords: Iterable[str] = ()) -> dict[int, str]:
    """Tag and keyword of what we keep, of what routes ask for besides, and of the character set."""
    tags = {keyword: tag_for_keyword(keyword) for keyword in (*KEYWORDS, *extra_keywords)}
    return {CHARACTER_SET: "SpecificCharacterSet"} | {tag: keyword for keyword, tag in tags.items() if tag is not None}


def check(view: View, transfer_syntax_uid: str, data_set_offset: int) -> Mapping[str, str]:
    """Walk the data set at ``data_set_offset`` of the Part 10 file; the UIDs that it names, as in ``Header.uids``.

    Accepts exactly what ``read`` accepts, for a small part of the time: no value is interpreted.

    Raises:
        UndecodableDataSet: as ``read``.
    """
    return uids_in(part10.encoded_at(view, view.start + data_set_offset, transfer_syntax_uid))


def uids_in(encoded: part10.EncodedDataSet) -> Mapping[str, str]:
    """As ``check``, of a data set."""
    top = Walk(encoded.data, encoded.start, encoded.end, encoded.encoding, UIDS_WANTED, groups=False).run().top
    return {keyword: uid_text(top[tag].data) for keyword, tag in UID_TAGS.items() if tag in top}


def read(view: View, transfer_syntax_uid: str, wanted: Mapping[int, str], data_set_offset: int | None = None) -> Header:
    """The header of the Part 10 file in ``view``; the whole data set is walked, no pixel is decoded.

    Without ``data_set_offset`` the file says where its data set begins.

    Raises:
        UndecodableDataSet: truncated, malformed, too deep, or no DICOM at all.
    """
    if data_set_offset is None:
        encoded = part10.encoded(view, transfer_syntax_uid)
    else:
        encoded = part10.encoded_at(view, view.start + data_set_offset, transfer_syntax_uid)
    found = Walk(encoded.data, encoded.start, encoded.end, encoded.encoding, wanted).run()
    return interpret(found.top, found.groups, wanted)


def interpret(top: Mapping[int, RawValue], groups: Mapping[int, RawValue], wanted: Mapping[int, str]) -> Header:
    """Raw elements as values; what cannot be understood is left out rather than guessed."""
    character_set = top.get(CHARACTER_SET)
    codecs = codecs_of(character_set.data if character_set else b"")
    attributes = {wanted[tag]: value_of(tag, raw, codecs) for tag, raw in top.items() if tag != CHARACTER_SET}
    for tag, raw in groups.items():
        keyword = wanted[tag]
        if keyword in FUNCTIONAL_GROUP_KEYWORDS and attributes.get(keyword) is None:
            attributes[keyword] = value_of(tag, raw, codecs)
    uids = {keyword: uid_text(top[tag].data) for keyword, tag in UID_TAGS.items() if tag in top}
    kept = {keyword: value for keyword, value in attributes.items() if value is not None}
    return Header(uids=uids, attributes=kept)


def value_of(tag: int, raw: RawValue, codecs: tuple[str, ...]) -> Value:
    """As ``to_value``, remembered where it is short."""
    return _known_value(tag, raw, codecs) if len(raw.data) <= MAX_KNOWN else to_value(tag, raw, codecs)


# Most of what the images of a series say is the same in all of them.
@lru_cache(maxsize=4096)
def _known_value(tag: int, raw: RawValue, codecs: tuple[str, ...]) -> Value:
    return to_value(tag, raw, codecs)


@lru_cache(maxsize=64)
def codecs_of(character_set: bytes) -> tuple[str, ...]:
    """Of the value of Specific Character Set."""
    return tuple(text.codecs_of(character_set))


def to_value(tag: int, raw: RawValue, codecs: Sequence[str]) -> Value:
    """One element as a JSON value: text, a number, or a list where the element has several values; None if empty.

    DS becomes float, IS int, binary numbers int or float; everything else text of at most 1024 characters.
    """
    vr = raw.vr if raw.vr and raw.vr != "UN" else dictionary_VR(tag)[:2]
    if vr in _BINARY:
        return None
    values = _binary_numbers(raw, _NUMBERS[vr]) if vr in _NUMBERS else _texts(vr, raw.data, codecs)
    if len(values) < _MULTIPLE:
        return values[0] if values else None
    return values[:MAX_VALUES]


def _texts(vr: str, data: bytes, codecs: Sequence[str]) -> list[Value]:
    decoded = text.decode(data, codecs if vr in _LOCALISED else (text.DEFAULT_CODEC,))
    parts = [decoded] if vr in _SINGLE_TEXT else decoded.split("\\")
    if vr in _PARSERS:
        return [_PARSERS[vr](part.strip()) for part in parts] if decoded.strip() else []
    stripped: list[Value] = [part.strip()[:MAX_TEXT] for part in parts]
    return stripped if any(stripped) else []


# The VRs that (0008,0005) speaks of (PS3.5 section 6.1.2.3).
_LOCALISED = ("LO", "LT", "PN", "SH", "ST", "UC", "UT")


def _float(part: str) -> Value:
    try:
        number = float(part)
    except ValueError:
        return None
    return number if math.isfinite(number) else None


def _int(part: str) -> Value:
    try:
        number = int(part) if len(part) <= 20 else _INT_RANGE
    except ValueError:
        return None
    return number if -_INT_RANGE <= number < _INT_RANGE else None


_PARSERS: Mapping[str, Callable[[str], Value]] = {"DS": _float, "IS": _int}


def _binary_numbers(raw: RawValue, code: str) -> list[Value]:
    order = "<" if raw.little else ">"
    size = struct.calcsize(code)
    count = min(len(raw.data) // size, MAX_VALUES)
    numbers = struct.unpack_from(f"{order}{count}{code}", raw.data)
    return [number if math.isfinite(number) else None for number in numbers]


def uid_text(data: bytes) -> str:
    """A UID as it stands, without padding, unchecked."""
    return data.decode("latin_1").rstrip("\x00 ")


def _tag(keyword: str) -> int:
    tag = tag_for_keyword(keyword)
    assert tag is not None
    return tag


UID_TAGS = {keyword: _tag(keyword) for keyword in UID_KEYWORDS}
UIDS_WANTED = frozenset(UID_TAGS.values())
