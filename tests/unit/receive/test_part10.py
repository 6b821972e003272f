from __future__ import annotations

import hashlib
import zlib
from pathlib import Path

import pytest

from node.errors import UndecodableDataSet
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
    with part10.opened(path, transfer_syntax_uid, limit) as encoded:
        return bytes(encoded.data[encoded.start : encoded.end])


def test_the_data_set_begins_behind_the_file_meta_information(tmp_path: Path) -> None:
    path = write(tmp_path / "one", BODY)
    assert content(path, "1.2.840.10008.1.2.1") == BODY
    assert part10.digest(path) == part10.Digest(hashlib.sha256(BODY).hexdigest(), len(BODY))


def test_the_digest_is_over_the_data_set_alone(tmp_path: Path) -> None:
    other = write(tmp_path / "other", BODY, META + explicit(0x00020016, "AE", b"OTHER "))
    assert part10.digest(other) == part10.digest(write(tmp_path / "one", BODY))


def test_a_file_of_pydicom(tmp_path: Path) -> None:
    path = tmp_path / "one"
    path.write_bytes(part10_of(data_set()))
    assert content(path, "1.2.840.10008.1.2.1").startswith(b"\x08\x00\x05\x00CS")


def test_a_deflated_data_set_is_inflated(tmp_path: Path) -> None:
    path = write(tmp_path / "one", deflate(BODY))
    assert content(path, DEFLATED) == BODY
    assert part10.digest(path).size == len(deflate(BODY))


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
