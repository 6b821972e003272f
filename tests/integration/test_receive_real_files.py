"""Real objects of every transfer syntax at hand, by real senders: they arrive byte for byte."""

from __future__ import annotations

import subprocess
from collections.abc import Iterator
from io import BytesIO
from pathlib import Path

import pydicom
import pytest
from pydicom.uid import UID
from pynetdicom.dimse_primitives import C_STORE

from node.deliver.association import ClosingEntity
from node.domain.study import StoredInstance
from node.ports import View
from node.receive import header
from node.receive.status import Status
from tests.integration.raw_scu import ASSOCIATE_AC, RawScu
from tests.integration.receiving import AE_TITLE, Serve, Site, data_set_of, digest
from tests.objects import data_set, part10
from tests.peers import data_dir, require_program

# Folders with objects that carry all their UIDs, and how many objects they hold at the most that a test sends.
FOLDERS = ("wg04-compressed", "xa-fodicom", "mini-series-dicom2nifti", "cxr-dicom-nih", "cxr-dicom-rsna")
MAX_FILE_SIZE = 4 << 20


@pytest.fixture
def site(serve: Serve, tmp_path: Path) -> Iterator[Site]:
    with serve(tmp_path) as running:
        yield running


def real_files(folder: str) -> list[Path]:
    """One file for each SOP Instance UID: some of the folders hold the same instance in several encodings."""
    files: dict[str, Path] = {}
    for path in sorted(data_dir(folder).rglob("*")):
        if path.is_file() and path.stat().st_size < MAX_FILE_SIZE and pydicom.misc.is_dicom(path):
            header = pydicom.dcmread(path, specific_tags=["SOPInstanceUID"], stop_before_pixels=True)
            files.setdefault(f"{header.SOPInstanceUID}", path)
    assert files
    return list(files.values())


def sent(path: Path) -> bytes:
    return data_set_of(path.read_bytes())


def assert_arrived(site: Site, files: list[Path]) -> None:
    expected = sorted((digest(sent(path)), _transfer_syntax(path)) for path in files)
    kept = site.catalogue.stored()
    assert sorted((stored.sha256, stored.instance.transfer_syntax_uid) for stored in kept) == expected
    for stored in kept:
        assert_is_as_recorded(site, stored)
    site.assert_tidy()


def assert_is_as_recorded(site: Site, stored: StoredInstance) -> None:
    """The stored object is a Part 10 file whose data set has the recorded digest and whose header agrees."""
    part10_bytes = site.bytes_of(stored.storage_key)
    assert digest(data_set_of(part10_bytes)) == stored.sha256
    assert len(part10_bytes) == stored.size
    read = pydicom.dcmread(BytesIO(part10_bytes), stop_before_pixels=True)
    assert read.file_meta.TransferSyntaxUID == stored.instance.transfer_syntax_uid
    assert read.SOPInstanceUID == stored.instance.sop_instance_uid


@pytest.mark.parametrize("folder", FOLDERS)
def test_pynetdicom_sends_every_syntax(site: Site, folder: str) -> None:
    """The bytes of the file go out as they are, one presentation context for each (SOP class, transfer syntax)."""
    files = real_files(folder)
    for path in files:
        assert _send_as_it_is(site, path) == Status.SUCCESS
    assert_arrived(site, files)


def test_dcmsend_sends_compressed_objects(site: Site) -> None:
    dcmsend = require_program("dcmsend")
    files = [path for folder in FOLDERS[:3] for path in real_files(folder)]
    files = [path for path in files if _transfer_syntax(path).is_compressed]
    _run(dcmsend, site, ["--decompress-never", *map(str, files)])
    kept = {stored.instance.sop_instance_uid: stored for stored in site.catalogue.stored()}
    assert len(kept) == len(files)
    for path in files:
        header = pydicom.dcmread(path, stop_before_pixels=True)
        stored = kept[header.SOPInstanceUID]
        assert stored.instance.transfer_syntax_uid == _transfer_syntax(path)
        assert _pixels(site.bytes_of(stored.storage_key)) == _pixels(path.read_bytes())
        assert_is_as_recorded(site, stored)


@pytest.mark.parametrize("option", ["-xe", "-xi", "-xb"])
def test_storescu_sends_a_series_uncompressed(site: Site, option: str) -> None:
    storescu = require_program("storescu")
    files = real_files("hippocampus-dicom-study3")
    _run(storescu, site, [option, *map(str, files)])
    # -xb proposes big endian first and little endian besides: the retired one is taken only where nothing else is.
    syntaxes = {"-xe": "1.2.840.10008.1.2.1", "-xi": "1.2.840.10008.1.2", "-xb": "1.2.840.10008.1.2.1"}
    kept = site.catalogue.stored()
    assert {stored.instance.transfer_syntax_uid for stored in kept} == {syntaxes[option]}
    assert len(kept) == len(files)
    assert {stored.instance.attributes["Rows"] for stored in kept} == {_rows(files[0])}
    site.assert_tidy()
    assert site.wait_for_ends(1) == ["released"]


def test_storescu_sends_deflated_objects(site: Site, tmp_path_factory: pytest.TempPathFactory) -> None:
    storescu, dcmconv = require_program("storescu"), require_program("dcmconv")
    deflated = tmp_path_factory.mktemp("deflated") / "deflated.dcm"
    source = real_files("hippocampus-dicom-study3")[0]
    subprocess.run([dcmconv, "+td", str(source), str(deflated)], check=True, timeout=60)
    _run(storescu, site, ["-xd", str(deflated)])
    (stored,) = site.catalogue.stored()
    assert stored.instance.transfer_syntax_uid == "1.2.840.10008.1.2.1.99"
    assert stored.instance.attributes["Rows"] == _rows(source)
    assert_is_as_recorded(site, stored)


@pytest.mark.parametrize(
    ("option", "transfer_syntax"),
    [("+ti", "1.2.840.10008.1.2"), ("+tb", "1.2.840.10008.1.2.2"), ("+td", "1.2.840.10008.1.2.1.99")],
)
def test_every_uncompressed_encoding_is_read_alike(
    site: Site, tmp_path_factory: pytest.TempPathFactory, option: str, transfer_syntax: str
) -> None:
    dcmconv = require_program("dcmconv")
    source = real_files("hippocampus-dicom-study3")[0]
    converted = tmp_path_factory.mktemp("converted") / "one.dcm"
    subprocess.run([dcmconv, option, str(source), str(converted)], check=True, timeout=60)
    assert _send_as_it_is(site, converted) == Status.SUCCESS
    assert_arrived(site, [converted])
    (stored,) = site.catalogue.stored()
    assert stored.instance.transfer_syntax_uid == transfer_syntax
    data = source.read_bytes()
    view = View(data, 0, len(data))
    as_it_was = header.read(view, _transfer_syntax(source), header.wanted_tags()).attributes
    assert stored.instance.attributes == as_it_was


@pytest.mark.parametrize(
    "transfer_syntax", ["1.2.840.10008.1.2.4.202", "1.2.840.10008.1.2.4.102", "1.2.840.10008.1.2.4.50"]
)
def test_syntaxes_that_nobody_here_can_decode(site: Site, transfer_syntax: str) -> None:
    """Encapsulated pixel data are kept as they are, whatever is in them."""
    made = data_set()
    pixels = b"\xfe\xff\x00\xe0\0\0\0\0" + b"\xfe\xff\x00\xe0\x08\0\0\0whatever" + b"\xfe\xff\xdd\xe0\0\0\0\0"
    del made.PixelData
    encoded = data_set_of(part10(made)) + b"\xe0\x7f\x10\x00OB\0\0\xff\xff\xff\xff" + pixels
    with RawScu(site.address) as scu:
        assert scu.associate(made.SOPClassUID, (transfer_syntax,))[0] == ASSOCIATE_AC
        scu.store(made.SOPClassUID, made.SOPInstanceUID, encoded)
        assert scu.status() == Status.SUCCESS
        scu.release()
    assert site.data_sets() == {made.SOPInstanceUID: encoded}


def _send_as_it_is(site: Site, path: Path) -> int:
    header = pydicom.dcmread(path, stop_before_pixels=True)
    scu = ClosingEntity(ae_title="SCU")
    scu.add_requested_context(header.SOPClassUID, header.file_meta.TransferSyntaxUID)
    association = scu.associate(*site.address, ae_title=AE_TITLE)
    assert association.is_established
    try:
        request = C_STORE()
        request.MessageID, request.Priority = 1, 2
        request.AffectedSOPClassUID = header.SOPClassUID
        request.AffectedSOPInstanceUID = header.SOPInstanceUID
        request._dataset_path = (path, len(path.read_bytes()) - len(sent(path)))
        association._reactor_checkpoint.clear()
        association.dimse.send_msg(request, association.accepted_contexts[0].context_id or 0)
        _, answer = association.dimse.get_msg(block=True)
        association._reactor_checkpoint.set()
        return int(answer.Status)  # type: ignore[union-attr, arg-type]
    finally:
        association.release()


def _run(program: str, site: Site, arguments: list[str]) -> None:
    host, port = site.address
    done = subprocess.run(
        [program, "-aec", AE_TITLE, host, str(port), *arguments],
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )
    assert done.returncode == 0, done.stdout + done.stderr


def _transfer_syntax(path: Path) -> UID:
    return UID(pydicom.filereader.read_file_meta_info(path).TransferSyntaxUID)


def _pixels(part10_bytes: bytes) -> bytes:
    return bytes(pydicom.dcmread(BytesIO(part10_bytes)).PixelData)


def _rows(path: Path) -> int:
    return int(pydicom.dcmread(path, stop_before_pixels=True).Rows)
