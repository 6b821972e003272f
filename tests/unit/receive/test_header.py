from __future__ import annotations

import json
import struct

import pydicom
import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydicom.datadict import dictionary_VR, tag_for_keyword
from pydicom.multival import MultiValue

from node.domain.study import Value
from node.ports import View
from node.receive import header
from node.receive.part10 import data_set_offset as part10_offset
from node.receive.walk import RawValue
from tests.objects import data_set, part10
from tests.peers import data_dir

REAL = ("mini-series-dicom2nifti", "wg04-compressed", "hippocampus-dicom-study3", "cxr-dicom-rsna", "xa-fodicom")


def value_of(
    keyword: str, data: bytes, vr: str = "", little: bool = True, codecs: tuple[str, ...] = ("utf8",)
) -> Value:
    tag = tag_for_keyword(keyword)
    assert tag is not None
    return header.to_value(tag, RawValue(vr, data, little), codecs)


def whole(data: bytes) -> View:
    return View(data, 0, len(data))


@pytest.mark.parametrize(
    ("keyword", "data", "value"),
    [
        ("Modality", b"MR", "MR"),
        ("Modality", b" MR \0", "MR"),
        ("Modality", b"", None),
        ("Modality", b"  ", None),
        ("ImageType", b"ORIGINAL\\PRIMARY\\M ", ["ORIGINAL", "PRIMARY", "M"]),
        ("ImageType", b"ORIGINAL\\\\M ", ["ORIGINAL", "", "M"]),
        ("SliceThickness", b"1.5 ", 1.5),
        ("SliceThickness", b"abc ", None),
        ("SliceThickness", b"nan ", None),
        ("SliceThickness", b"1e999", None),
        ("PixelSpacing", b"0.5\\0.25", [0.5, 0.25]),
        ("PixelSpacing", b"0.5\\x", [0.5, None]),
        ("InstanceNumber", b"12", 12),
        ("InstanceNumber", b"-7 ", -7),
        ("InstanceNumber", b"9" * 5000, None),
        ("InstanceNumber", b"1.0", None),
        ("Rows", b"\xff\xff", 65535),
        ("Rows", b"\xff", None),
        ("PatientName", b"<script>alert(1)</script>", "<script>alert(1)</script>"),
        ("PatientName", "王^小东".encode(), "王^小东"),
        ("StudyDescription", b"x" * 5000, "x" * header.MAX_TEXT),
        ("PixelData", b"\0\0", None),
    ],
)
def test_values(keyword: str, data: bytes, value: Value) -> None:
    assert value_of(keyword, data) == value


def test_binary_numbers_follow_the_byte_order_and_the_vr_of_the_file() -> None:
    assert value_of("Rows", b"\x01\x02", little=False) == 258
    assert value_of("Rows", struct.pack("<I", 70000), vr="UL") == 70000
    assert value_of("MagneticFieldStrength", struct.pack("<d", 1.5), vr="FD") == 1.5
    assert value_of("MagneticFieldStrength", struct.pack("<d", float("inf")), vr="FD") is None


def test_a_value_of_unknown_vr_is_read_as_the_dictionary_says() -> None:
    assert value_of("SliceThickness", b"2.5 ", vr="UN") == 2.5


def test_the_number_of_values_has_a_limit() -> None:
    value = value_of("ImageType", b"\\".join([b"X"] * 5000))
    assert isinstance(value, list)
    assert len(value) == header.MAX_VALUES


@given(
    st.sampled_from(header.KEYWORDS), st.binary(max_size=80), st.sampled_from(["", "UN", "US", "FD", "IS", "PN", "ZZ"])
)
def test_every_value_is_plain_json(keyword: str, data: bytes, vr: str) -> None:
    json.dumps(value_of(keyword, data, vr), allow_nan=False)


def test_routes_may_ask_for_more() -> None:
    assert "DeviceSerialNumber" not in header.wanted_tags().values()
    extra = header.wanted_tags(["DeviceSerialNumber", "NoSuchKeyword"])
    assert extra == header.wanted_tags() | {0x00181000: "DeviceSerialNumber"}


def test_the_character_set_is_applied() -> None:
    made = data_set()
    made.SpecificCharacterSet = "GB18030"
    made.PatientName = "Wang^XiaoDong=王^小东"
    found = header.read(whole(part10(made)), made.file_meta.TransferSyntaxUID, header.wanted_tags())
    assert found.attributes["PatientName"] == "Wang^XiaoDong=王^小东"
    assert found.uids["SOPInstanceUID"] == made.SOPInstanceUID
    assert "SpecificCharacterSet" not in found.attributes


def test_an_enhanced_object_has_its_geometry_from_the_functional_groups() -> None:
    folder = data_dir("mini-series-dicom2nifti")
    path = folder / "philips_enhanced_anatomical_001" / "IM-0001-0170-0001.dcm"
    read = pydicom.dcmread(path, stop_before_pixels=True)
    found = header.read(whole(path.read_bytes()), read.file_meta.TransferSyntaxUID, header.wanted_tags()).attributes
    first = read.PerFrameFunctionalGroupsSequence[0]
    assert found["ImagePositionPatient"] == list(first.PlanePositionSequence[0].ImagePositionPatient)
    assert found["ImageOrientationPatient"] == list(first.PlaneOrientationSequence[0].ImageOrientationPatient)
    assert found["PixelSpacing"] == list(first.PixelMeasuresSequence[0].PixelSpacing)
    assert found["NumberOfFrames"] == read.NumberOfFrames


@pytest.mark.parametrize("folder", REAL)
def test_real_headers_read_as_pydicom_reads_them(folder: str) -> None:
    paths = [path for path in sorted(data_dir(folder).rglob("*")) if path.is_file() and pydicom.misc.is_dicom(path)]
    assert paths
    for path in paths:
        read = pydicom.dcmread(path, stop_before_pixels=True)
        found = header.read(whole(path.read_bytes()), read.file_meta.TransferSyntaxUID, header.wanted_tags())
        at = part10_offset(path.read_bytes())
        assert header.check(whole(path.read_bytes()), read.file_meta.TransferSyntaxUID, at) == found.uids
        for keyword in header.KEYWORDS:
            if keyword in read or keyword not in header.FUNCTIONAL_GROUP_KEYWORDS:
                assert found.attributes.get(keyword) == _plain(keyword, read.get(keyword)), keyword


def _plain(keyword: str, value: object) -> object:
    if value is None or value == "":
        return None
    if isinstance(value, MultiValue):
        return [_plain(keyword, each) for each in value] or None
    tag = tag_for_keyword(keyword)
    assert tag is not None
    convert = {"DS": float, "IS": int, "US": int, "FD": float}.get(dictionary_VR(tag), str)
    return convert(value)  # type: ignore[operator]
