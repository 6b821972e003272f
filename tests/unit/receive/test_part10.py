from __future__ import annotations

import zlib
from pathlib import Path

import pytest

from node.domain.study import ByteRange
from node.errors import UndecodableDataSet
from node.ports import View
from node.receive import part10
from tests.objects import data_set
from tests.objects import part10 as part10_of
from tests.unit.receive.elements import explicit

DEFLATED = part10.DEFLATED[0]
META = explicit(0x00020001, "OB", b"\0\1") + explicit(0x00020010, "UI", b"1.2.840.10008.1.2.1\0")
BODY = explicit(0x00080018, "UI", b"1.2\0") + explicit(0x00081030, "LO", b"text")


def write(path: Path, body: bytes, meta: bytes = META) -> Path:
    path.write_bytes(bytes(128) + b"DICM" + meta + body)
    return path


def deflate(data: bytes) -> bytes:
    stream = zlib.compressobj(wbits=-zlib.MAX_WBITS)
    return stream.compress(data) + stream.flush()


def content(path: Path, transfer_syntax_uid: str, limit: int = part10.MAX_INFLATED) -> bytes:
    """The data set, read as a whole; behind other bytes and at a place that is known it is the same."""
    data = path.read_bytes()
    encoded = part10.encoded(View(data, 0, len(data)), transfer_syntax_uid, limit)
    there = part10.data_set_offset(data)
    shifted = View(b"before" + data + b"behind", 6, 6 + len(data))
    again = part10.encoded_at(shifted, 6 + there, transfer_syntax_uid, limit)
    found = bytes(encoded.data[encoded.start : encoded.end])
    assert bytes(again.data[again.start : again.end]) == found
    return found


def test_the_data_set_begins_behind_the_file_meta_information(tmp_path: Path) -> None:
    path = write(tmp_path / "one", BODY)
    assert content(path, "1.2.840.10008.1.2.1") == BODY


def test_a_range_of_a_file_is_mapped(tmp_path: Path) -> None:
    path = tmp_path / "segment"
    path.write_bytes(bytes(70_001) + b"the object" + b"behind")
    with part10.mapped(ByteRange(str(path), 70_001, 10)) as view:
        assert bytes(view.buffer[view.start : view.end]) == b"the object"


def test_a_file_of_pydicom(tmp_path: Path) -> None:
    path = tmp_path / "one"
    path.write_bytes(part10_of(data_set()))
    assert content(path, "1.2.840.10008.1.2.1").startswith(b"\x08\x00\x05\x00CS")


def test_a_deflated_data_set_is_inflated(tmp_path: Path) -> None:
    path = write(tmp_path / "one", deflate(BODY))
    assert content(path, DEFLATED) == BODY


@pytest.mark.parametrize("body", [b"no stream at all", deflate(BODY)[:-4]])
def test_a_broken_deflate_stream_is_undecodable(tmp_path: Path, body: bytes) -> None:
    with pytest.raises(UndecodableDataSet, match="deflate stream"):
        content(write(tmp_path / "one", body), DEFLATED)


def test_a_deflate_bomb_is_refused(tmp_path: Path) -> None:
    with pytest.raises(UndecodableDataSet, match="too large"):
        content(write(tmp_path / "one", deflate(bytes(1_000_000))), DEFLATED, limit=10_000)


@pytest.mark.parametrize("data", [b"", b"GIF89a", bytes(132), bytes(128) + b"DICM", bytes(128) + b"DICM" + META])
def test_what_holds_no_data_set_is_undecodable(tmp_path: Path, data: bytes) -> None:
    path = tmp_path / "one"
    path.write_bytes(data)
    with pytest.raises(UndecodableDataSet):
        content(path, "1.2.840.10008.1.2.1")


def test_damaged_file_meta_information_is_undecodable(tmp_path: Path) -> None:
    path = tmp_path / "one"
    path.write_bytes(bytes(128) + b"DICM" + META + b"\x02\x00\x13\x00OB")
    with pytest.raises(UndecodableDataSet):
        content(path, "1.2.840.10008.1.2.1")
