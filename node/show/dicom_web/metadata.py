"""Whole data sets in the DICOM JSON model, their bulk data by reference (PS3.18 sections 10.4.1.1.2 and F)."""

from __future__ import annotations

import base64
import json
import math
import warnings
from collections.abc import Iterator
from typing import Any, BinaryIO

from pydicom import dcmread
from pydicom.dataelem import DataElement
from pydicom.dataset import Dataset
from pydicom.tag import BaseTag, Tag
from pydicom.uid import DeflatedExplicitVRLittleEndian

from node.errors import NotAcceptable, NotFound

# Longer values of these are fetched by themselves.
BULK = frozenset({"OB", "OD", "OF", "OL", "OV", "OW", "UN"})
LONGEST_INLINE = 1024
PIXELS = (Tag(0x7FE00008), Tag(0x7FE00009), Tag(0x7FE00010))
CHARACTER_SET = Tag(0x00080005)
DEEPEST = 32
# What pydicom makes of an outsider's bytes.
UNREADABLE = (
    ValueError, TypeError, AttributeError, LookupError, ArithmeticError, EOFError, NotImplementedError, RecursionError,
)  # fmt: skip
Json = dict[str, Any]


def read_header(file: BinaryIO) -> tuple[Dataset, tuple[BaseTag, str] | None]:
    """All but the pixels of a Part 10 file; and tag and VR of those, where it has any.

    Raises:
        NotAcceptable: it cannot be read.
    """
    try:
        with warnings.catch_warnings():
            # Of values that break their VR: they are told as they stand, or left out.
            warnings.simplefilter("ignore")
            data_set = dcmread(file, stop_before_pixels=True)
            syntax = data_set.file_meta.TransferSyntaxUID
            if syntax == DeflatedExplicitVRLittleEndian:
                file.seek(0)
                data_set = dcmread(file)
                tag = next((one for one in PIXELS if one in data_set), None)
                return data_set, None if tag is None else (tag, str(data_set[tag].VR))
            order = "little" if syntax.is_little_endian else "big"
            start = file.read(6)
            tag = Tag(int.from_bytes(start[:2], order), int.from_bytes(start[2:4], order))  # type: ignore[arg-type]
    except UNREADABLE as error:
        raise NotAcceptable("an object cannot be read", error=type(error).__name__) from error
    if tag not in PIXELS:
        return data_set, None
    return data_set, (tag, "OW" if syntax.is_implicit_VR else start[4:6].decode("ascii", "replace"))


def metadata(file: BinaryIO, bulk: str) -> str:
    """The data set of a Part 10 file as JSON; ``bulk`` is the address of its bulk data.

    Raises:
        NotAcceptable: it cannot be read.
    """
    data_set, pixels = read_header(file)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        found = _attributes(data_set, bulk)
    found = {f"{CHARACTER_SET:08X}": {"vr": "CS", "Value": ["ISO_IR 192"]}} | found
    if pixels is not None:
        found[f"{pixels[0]:08X}"] = {"vr": pixels[1], "BulkDataURI": f"{bulk}/{pixels[0]:08X}"}
    return json.dumps(found, allow_nan=False, ensure_ascii=False, separators=(",", ":"))


def bulk_value(file: BinaryIO, path: str) -> bytes:
    """The value at ``path``: a tag, or tag, item (from 0) and tag, and so on, between slashes.

    Raises:
        NotFound: there is none, or no bulk data.
        NotAcceptable: the object cannot be read.
    """
    data_set, _ = read_header(file)
    steps = path.split("/")
    if len(steps) % 2 == 0 or len(steps) > 2 * DEEPEST:
        raise NotFound("no such bulk data")
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            for sequence, item in zip(steps[:-1:2], steps[1::2], strict=True):
                data_set = data_set[_tag(sequence)].value[int(item)]
            found = data_set[_tag(steps[-1])]
    except (*UNREADABLE, OverflowError) as error:
        raise NotFound("no such bulk data") from error
    if found.VR not in BULK or not isinstance(found.value, bytes):
        raise NotFound("no such bulk data")
    return found.value


def is_pixels(path: str) -> bool:
    return path.upper() in {f"{tag:08X}" for tag in PIXELS}


def _attributes(data_set: Dataset, bulk: str, depth: int = 0) -> Json:
    return {f"{tag:08X}": value for tag, value in _elements(data_set, bulk, depth)}


def _elements(data_set: Dataset, bulk: str, depth: int) -> Iterator[tuple[int, Json]]:
    for tag in sorted(data_set.keys()):
        # Group lengths are of another encoding, and so is what the character set was.
        if tag.element == 0 or tag == CHARACTER_SET or (depth == 0 and tag in PIXELS):
            continue
        try:
            yield tag, _element(data_set[tag], f"{bulk}/{tag:08X}", depth)
        except UNREADABLE:
            # A value that cannot be understood is not told; that the attribute is there, is.
            yield tag, {"vr": "UN"}


def _element(found: DataElement, address: str, depth: int) -> Json:
    vr = str(found.VR).partition(" or ")[0]
    if vr == "SQ":
        if depth >= DEEPEST:
            raise ValueError("too deep")
        items = [_attributes(item, f"{address}/{number}", depth + 1) for number, item in enumerate(found.value or ())]
        return {"vr": vr, "Value": items} if items else {"vr": vr}
    if vr in BULK:
        data = bytes(found.value or b"")
        if len(data) > LONGEST_INLINE:
            return {"vr": vr, "BulkDataURI": address}
        return {"vr": vr, "InlineBinary": base64.b64encode(data).decode("ascii")} if data else {"vr": vr}
    told: Json = found.to_json_dict(bulk_data_element_handler=None, bulk_data_threshold=0)
    if isinstance(told.get("Value"), list):
        told["Value"] = [_finite(one) for one in told["Value"]]
    return told


def _finite(value: object) -> object:
    return None if isinstance(value, float) and not math.isfinite(value) else value


def _tag(text: str) -> int:
    if len(text) != 8:
        raise ValueError("no tag")
    return int(text, 16)
