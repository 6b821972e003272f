"""Sources that break, or just use, the rules of the standard: empty identity, private attributes, odd lengths.

In ``test_writer``: absent type 2 attributes (``test_a_sparse_source``), values that are too long
(``test_the_source_is_copied_verbatim``).
"""

from __future__ import annotations

import io
from pathlib import Path

import pydicom
import pytest

from node.results.writer import DicomResultWriter
from tests.conformance import validators
from tests.unit.results.runs import header, run_on, save

SLICES = 3
PATIENT_ID = b"\x10\x00\x20\x00LO"


@pytest.mark.parametrize("empty", ["", None])
def test_an_empty_patient_id_stays_empty(empty: str | None, tmp_path: Path, writer: DicomResultWriter) -> None:
    """Type 2 (PS3.3 C.7.1.1): there, without a value, whether the source has it empty or not at all."""
    paths = save([header(number, PatientID=empty) for number in range(SLICES)], tmp_path)
    for written in writer.write(run_on(paths)):
        dataset = pydicom.dcmread(io.BytesIO(written.part10))
        assert dataset["PatientID"].is_empty
        object_path = tmp_path / f"{written.modality}.object"
        object_path.write_bytes(written.part10)
        assert validators.dciodvfy(object_path) == []


def test_private_attributes_are_not_copied(tmp_path: Path, writer: DicomResultWriter) -> None:
    """They say something of the image, in the words of its scanner (PS3.5 section 7.8)."""
    images = [header(number) for number in range(SLICES)]
    for image in images:
        image.private_block(0x0011, "SCANNER WORKS", create=True).add_new(0x01, "LO", "of the patient")
        image.private_block(0x0029, "SCANNER WORKS", create=True).add_new(0x10, "OB", b"\x01\x02")
    for written in writer.write(run_on(save(images, tmp_path))):
        dataset = pydicom.dcmread(io.BytesIO(written.part10))
        assert [str(element.tag) for element in dataset.iterall() if element.tag.is_private] == []
        assert b"SCANNER WORKS" not in written.part10


@pytest.mark.parametrize("value", [b"47111", b"471", b"4"])
def test_an_odd_length_is_read_and_made_even(value: bytes, tmp_path: Path, writer: DicomResultWriter) -> None:
    """PS3.5 section 7.1.1 wants even lengths; a value without its padding is the same value."""
    paths = save([header(number, PatientID="4711") for number in range(SLICES)], tmp_path)
    for path in paths:
        data = path.read_bytes()
        assert data.count(PATIENT_ID + b"\x04\x004711") == 1
        odd = PATIENT_ID + len(value).to_bytes(2, "little") + value
        path.write_bytes(data.replace(PATIENT_ID + b"\x04\x004711", odd))
    for written in writer.write(run_on(paths)):
        even = (len(value) + 1).to_bytes(2, "little")
        assert PATIENT_ID + even + value + b" " in written.part10
