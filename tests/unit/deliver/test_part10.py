"""Part 10 bytes taken apart and recoded."""

from __future__ import annotations

import contextlib
from io import BytesIO

import pydicom
import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydicom.uid import (
    DeflatedExplicitVRLittleEndian,
    ExplicitVRLittleEndian,
    ImplicitVRLittleEndian,
    JPEGLSLossless,
)

from node.deliver.part10 import recode, split
from node.errors import UndecodableDataSet
from tests.objects import data_set, part10


def test_the_data_set_is_what_follows_the_file_meta_information() -> None:
    file = part10(data_set())
    taken = split(file)
    assert taken.transfer_syntax_uid == ExplicitVRLittleEndian
    assert file.endswith(taken.data_set)
    assert pydicom.dcmread(BytesIO(taken.data_set), force=True) == pydicom.dcmread(BytesIO(file))


def test_a_wrong_group_length_does_not_matter() -> None:
    file = bytearray(part10(data_set()))
    file[140:144] = (7).to_bytes(4, "little")
    assert split(bytes(file)) == split(part10(data_set()))


def test_a_compressed_syntax_is_read_as_it_is() -> None:
    made = data_set()
    made["PixelData"].VR = "OB"
    made.PixelData = pydicom.encaps.encapsulate([b"\0\1"])
    made["PixelData"].is_undefined_length = True
    assert split(part10(made, JPEGLSLossless)).transfer_syntax_uid == JPEGLSLossless


@pytest.mark.parametrize("source", [ExplicitVRLittleEndian, ImplicitVRLittleEndian, DeflatedExplicitVRLittleEndian])
@pytest.mark.parametrize("wanted", [ExplicitVRLittleEndian, ImplicitVRLittleEndian])
def test_recoding_keeps_every_element(source: str, wanted: str) -> None:
    made = data_set()
    recoded = recode(part10(made, source), wanted)
    assert recoded == split(part10(data_set(), wanted)).data_set


@pytest.mark.parametrize(
    "file",
    [b"", b"no DICOM at all", b"\0" * 128 + b"DICM", part10(data_set())[:150], part10(data_set())[:200]],
    ids=["empty", "text", "only the prefix", "cut in the first element", "cut before the syntax"],
)
def test_what_is_no_part_10_file_is_said_to_be_none(file: bytes) -> None:
    with pytest.raises(UndecodableDataSet):
        split(file)


@given(st.binary(max_size=64), st.integers(min_value=132, max_value=400))
def test_no_bytes_raise_anything_else(noise: bytes, where: int) -> None:
    file = part10(data_set(size=2))
    mangled = file[:where] + noise + file[where + len(noise) :]
    with contextlib.suppress(UndecodableDataSet):
        split(mangled)
