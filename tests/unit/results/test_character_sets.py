"""Names of every script are the same after decoding, and written as UTF-8; more in ``conformance/test_golden``."""

from __future__ import annotations

import io
from pathlib import Path

import pydicom
import pytest

from node.results.writer import DicomResultWriter
from tests.unit.results.runs import header, run_on, save

NAMES = {
    "ISO_IR 6": "Doe^Jane",
    "ISO_IR 144": "Люкceмбypг",
    ("ISO 2022 IR 13", "ISO 2022 IR 87"): "ﾔﾏﾀﾞ^ﾀﾛｳ=山田^太郎=やまだ^たろう",
}


@pytest.mark.parametrize("character_set", NAMES)
def test_names_survive(character_set: str | tuple[str, str], tmp_path: Path, writer: DicomResultWriter) -> None:
    name = NAMES[character_set]
    encoding = list(character_set) if isinstance(character_set, tuple) else character_set
    attributes = {"PatientName": name, "SpecificCharacterSet": encoding}
    paths = save([header(number, **attributes) for number in range(3)], tmp_path)
    source = pydicom.dcmread(paths[0])
    source.decode()
    assert str(source.PatientName) == name  # the source really says so
    for written in writer.write(run_on(paths)):
        dataset = pydicom.dcmread(io.BytesIO(written.part10))
        assert dataset.SpecificCharacterSet == "ISO_IR 192"
        dataset.decode()
        assert str(dataset.PatientName) == name
        assert name.encode() in written.part10


def test_simplified_chinese_by_escape_sequences(tmp_path: Path, writer: DicomResultWriter) -> None:
    """PS3.5 section K.2; its bytes are put in by hand, for pydicom does not write the second escape sequence."""
    name = b"\x1b$)A\xd5\xc5^\x1b$)A\xd0\xa1\xb6\xab"
    attributes = {"SpecificCharacterSet": ["", "ISO 2022 IR 58"], "PatientName": "Zhang^XiaoDong=" + "x" * len(name)}
    paths = save([header(number, **attributes) for number in range(3)], tmp_path)
    for path in paths:
        path.write_bytes(path.read_bytes().replace(b"x" * len(name), name))
    for written in writer.write(run_on(paths)):
        assert str(pydicom.dcmread(io.BytesIO(written.part10)).PatientName) == "Zhang^XiaoDong=张^小东"


@pytest.mark.filterwarnings("ignore::UserWarning")  # reading such a source warns; writing its result must not fail
@pytest.mark.parametrize("character_set", ["ISO_IR 100", "nonsense", "ISO_IR 192"])
def test_bytes_outside_of_the_character_set_do_not_cost_the_result(
    character_set: str, tmp_path: Path, writer: DicomResultWriter
) -> None:
    paths = save([header(number, PatientName="Do#^Jane") for number in range(3)], tmp_path)
    for path in paths:
        dataset = path.read_bytes().replace(b"Do#^", b"Do\xff^")
        path.write_bytes(dataset)
        edited = pydicom.dcmread(path)
        edited.add_new("SpecificCharacterSet", "CS", character_set)
        edited.save_as(path)
    assert len(writer.write(run_on(paths))) == 2


@pytest.mark.parametrize(
    "name", ["<script>alert(1)</script>", "'; DROP TABLE jobs; --", "=cmd|' /C calc'!A0", "^^^^", "="]
)
def test_hostile_names(name: str, tmp_path: Path, writer: DicomResultWriter) -> None:
    paths = save([header(number, PatientName=name) for number in range(3)], tmp_path)
    source = str(pydicom.dcmread(paths[0]).PatientName)
    for written in writer.write(run_on(paths)):
        assert str(pydicom.dcmread(io.BytesIO(written.part10)).PatientName) == source
