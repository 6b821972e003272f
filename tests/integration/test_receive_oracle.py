"""The same bytes by the fast path and by pynetdicom's own reception, into either store: the same answers, the same
Part 10 files, the same rows.
"""

from __future__ import annotations

import random
import struct
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import pydicom
import pytest

from node.config import ReceiveSection
from node.domain.study import StoredInstance
from tests.integration.raw_scu import (
    ASSOCIATE_AC,
    IMPLICIT_VR,
    MR_STORAGE,
    P_DATA,
    RELEASE_RP,
    RawScu,
    element,
    pdu,
    pdv,
    store_request,
)
from tests.integration.receiving import data_set_of, serving
from tests.objects import data_set, part10
from tests.peers import data_dir

WAYS = [(True, "files"), (True, "journal"), (False, "files"), (False, "journal")]
VERIFICATION = "1.2.840.10008.1.1"
FOLDERS = (
    "wg04-compressed", "xa-fodicom", "mini-series-dicom2nifti", "cxr-dicom-nih", "cxr-dicom-rsna", "chest-ct-ricord",
    "hippocampus-dicom-study3", "brain-mr-glioma-study3", "ct-20slice-totalseg",
)  # fmt: skip
MAX_FILE_SIZE = 4 << 20
PER_FOLDER = 6


@dataclass(frozen=True)
class Sent:
    """One object, the context it needs, and its messages; each is answered before the next is sent."""

    sop_class_uid: str
    transfer_syntax_uid: str
    messages: Sequence[bytes]


def told(
    sent: Sequence[Sent], way: tuple[bool, str], root: Path, segment: int
) -> tuple[list[list[bytes]], list[object]]:
    """Every PDU that was answered on each association, and what is kept: rows with their Part 10 files."""
    config = ReceiveSection(host="127.0.0.1", port=0, timeout_s=15.0)
    with serving(root, config, fast=way[0], kind=way[1]) as site:
        answers = [list(answered(site.address, each, segment)) for each in sent]
        ends = site.wait_for_ends(len(site.catalogue.associations))
        site.assert_tidy()
        return answers, [ends, *(facts(row, site.bytes_of(row.storage_key)) for row in site.catalogue.stored())]


def answered(address: tuple[str, int], sent: Sent, segment: int) -> Iterator[bytes]:
    with RawScu(address) as scu:
        further = [(VERIFICATION, IMPLICIT_VR)]
        accepted = scu.associate(sent.sop_class_uid, (sent.transfer_syntax_uid,), "ORACLE", further=further)
        assert accepted[0] == ASSOCIATE_AC
        for message in [*sent.messages, pdu(5, bytes(4))]:
            for at in range(0, len(message), segment):
                scu.connection.sendall(message[at : at + segment])
            answer = scu.answer()
            if answer is None:
                return
            yield bytes([answer[0]]) + answer[1]


def facts(row: StoredInstance, kept: bytes) -> object:
    """A row without what must differ: its key, and the id of its association."""
    return row.instance, row.size, row.sha256, row.calling_ae, row.received_at, row.variant, kept


def assert_alike(sent: Sequence[Sent], root: Path, segment: int = 1 << 30) -> list[list[bytes]]:
    answers, kept = told(sent, WAYS[-1], root / "oracle", segment)
    for number, way in enumerate(WAYS[:-1]):
        assert told(sent, way, root / str(number), segment) == (answers, kept), way
    return answers


def store(uid: str, data: bytes, fragment: int, sop_class_uid: str = MR_STORAGE, together: bool = False) -> bytes:
    """A C-STORE-RQ in PDUs of one fragment each, or with the first ones of the data set in the command's."""
    values = [pdv(store_request(sop_class_uid, uid), command=True, last=True)]
    parts = [data[at : at + fragment] for at in range(0, len(data), fragment)] or [b""]
    values += [pdv(part, command=False, last=index == len(parts) - 1) for index, part in enumerate(parts)]
    if together:
        return pdu(P_DATA, b"".join(values[:3])) + b"".join(pdu(P_DATA, value) for value in values[3:])
    return b"".join(pdu(P_DATA, value) for value in values)


@pytest.mark.parametrize("together", [False, True])
@pytest.mark.parametrize("fragment", [100, 4096 - 6, 16384 - 6, 131072 - 6, (1 << 20) - 6])
def test_fragments_of_every_size(tmp_path: Path, fragment: int, together: bool) -> None:
    made = data_set(size=700 if fragment > 100 else 64)
    data = data_set_of(part10(made))
    sent = Sent(MR_STORAGE, "1.2.840.10008.1.2.1", [store(made.SOPInstanceUID, data, fragment, together=together)])
    (answers,) = assert_alike([sent], tmp_path)
    assert [answer[0] for answer in answers] == [P_DATA, RELEASE_RP]


@pytest.mark.parametrize("segment", [1, 700, 1461])
def test_segments_of_any_size(tmp_path: Path, segment: int) -> None:
    made = data_set(size=16 if segment == 1 else 128)
    data = data_set_of(part10(made))
    message = store(made.SOPInstanceUID, data, 5000)
    assert_alike([Sent(MR_STORAGE, "1.2.840.10008.1.2.1", [message, message])], tmp_path, segment)


def real_objects() -> Iterator[Path]:
    for folder in FOLDERS:
        found = [path for path in sorted(data_dir(folder).rglob("*")) if path.is_file()]
        chosen = [path for path in found if path.stat().st_size < MAX_FILE_SIZE and pydicom.misc.is_dicom(path)]
        yield from chosen[:: max(1, len(chosen) // PER_FOLDER)][:PER_FOLDER]


def test_real_objects(tmp_path: Path) -> None:
    chance = random.Random(7)
    sent = []
    for path in real_objects():
        header = pydicom.dcmread(path, stop_before_pixels=True)
        sop_class_uid = str(header.SOPClassUID)
        fragment, together = chance.choice([2000, 16378, 131066]), chance.random() < 0.5
        data = data_set_of(path.read_bytes())
        message = store(str(header.SOPInstanceUID), data, fragment, sop_class_uid, together)
        sent.append(Sent(sop_class_uid, str(header.file_meta.TransferSyntaxUID), [message]))
    answers = assert_alike(sent, tmp_path)
    assert sum(each[-1][0] == RELEASE_RP for each in answers) > len(FOLDERS)


MADE = data_set()
DATA = data_set_of(part10(MADE))
UID = str(MADE.SOPInstanceUID)
COMMAND = store_request(MR_STORAGE, UID)
ECHO = element(0x0002, VERIFICATION.encode()) + element(0x0100, b"\x30\0") + element(0x0110, b"\1\0")
ECHO += element(0x0800, b"\1\1")
ORIGINATOR = element(0x1030, b"PACS") + element(0x1031, b"\1\0")
ACTION = element(0x0003, MR_STORAGE.encode()) + element(0x0100, b"\x30\1") + element(0x0110, b"\1\0")
ACTION += element(0x0800, b"\1\1") + element(0x1001, b"1.2 ") + element(0x1008, b"\1\0")


def group(body: bytes) -> bytes:
    return element(0x0000, struct.pack("<I", len(body))) + body


def command(value: bytes, last: bool = True, context_id: int = 1) -> bytes:
    return pdv(value, command=True, last=last, context_id=context_id)


def data(value: bytes, last: bool = True, context_id: int = 1) -> bytes:
    return pdv(value, command=False, last=last, context_id=context_id)


def p(*values: bytes) -> bytes:
    return pdu(P_DATA, b"".join(values))


PLAIN = p(command(COMMAND)) + p(data(DATA))
ODD: dict[str, list[bytes]] = {
    "command-split": [p(command(COMMAND[:30], last=False)) + p(command(COMMAND[30:])) + p(data(DATA))],
    "command-split-in-a-pdu": [p(command(COMMAND[:30], last=False), command(COMMAND[30:]), data(DATA))],
    "one-byte-fragments": [p(command(COMMAND)) + p(*(data(bytes([each]), last=False) for each in DATA), data(b""))],
    "empty-fragments": [p(command(COMMAND)) + p(data(b"", last=False), data(DATA, last=False), data(b""))],
    "empty-pdus": [p() + p(command(COMMAND)) + p() + p(data(DATA))],
    "no-bytes": [p(command(COMMAND)) + p(data(b""))],
    "no-data-set": [p(command(store_request(MR_STORAGE, UID, with_data_set=False)))],
    "other-bytes-same-uid": [PLAIN, p(command(COMMAND)) + p(data(DATA.replace(b"TEST-1", b"TEST-2")))],
    "duplicate": [PLAIN, PLAIN, PLAIN],
    "truncated": [p(command(COMMAND)) + p(data(DATA[:-10]))],
    "garbage": [p(command(COMMAND)) + p(data(b"\xff" * 999)), PLAIN],
    "another-uid": [p(command(store_request(MR_STORAGE, "1.2.3"))) + p(data(DATA)), PLAIN],
    "another-class": [p(command(store_request("1.2.840.10008.5.1.4.1.1.2", UID))) + p(data(DATA)), PLAIN],
    "path-as-uid": [p(command(store_request(MR_STORAGE, "../../x"))) + p(data(DATA)), PLAIN],
    "leading-zero": [p(command(store_request(MR_STORAGE, "1.02.3"))) + p(data(DATA)), PLAIN],
    "on-verification": [p(command(COMMAND, context_id=3)) + p(data(DATA, context_id=3)), PLAIN],
    "echo-between": [PLAIN, p(command(group(ECHO), context_id=3)), PLAIN, p(command(group(ECHO), context_id=3)), PLAIN],
    "echo-without-group-length": [PLAIN, p(command(ECHO, context_id=3)), PLAIN],
    "unknown-context": [p(command(COMMAND, context_id=77)) + p(data(DATA, context_id=77))],
    "context-changes": [p(command(COMMAND)) + p(data(DATA[:50], last=False)) + p(data(DATA[50:], context_id=3))],
    "command-inside-data": [p(command(COMMAND)) + p(data(DATA[:50], last=False)) + p(command(COMMAND))],
    "data-first": [p(data(DATA))],
    "move-originator": [p(command(group(COMMAND[12:] + ORIGINATOR))) + p(data(DATA))],
    "no-group-length": [p(command(COMMAND[12:])) + p(data(DATA))],
    "unknown-element": [p(command(group(COMMAND[12:] + element(0x5010, b"x ")))) + p(data(DATA))],
    "priority-7": [PLAIN.replace(element(0x0700, b"\0\0"), element(0x0700, b"\7\0"))],
    "message-id-65535": [PLAIN.replace(element(0x0110, b"\7\0"), element(0x0110, b"\xff\xff"))],
    "n-action": [PLAIN, p(command(group(ACTION)))],
    "abort-inside": [p(command(COMMAND)) + p(data(DATA[:50], last=False)) + pdu(7, bytes(4))],
    "release-inside": [p(command(COMMAND)) + p(data(DATA[:50], last=False)) + pdu(5, bytes(4))],
    "unknown-pdu-inside": [p(command(COMMAND)) + p(data(DATA[:50], last=False)) + pdu(9, bytes(4))],
    "associate-inside": [p(command(COMMAND)) + p(data(DATA[:50], last=False)) + pdu(1, bytes(70))],
    "pdv-overruns": [p(command(COMMAND)) + pdu(P_DATA, struct.pack(">IBB", 999, 1, 2) + DATA[:50])],
    "pdv-of-nothing": [p(command(COMMAND)) + pdu(P_DATA, struct.pack(">IB", 1, 1))],
}  # fmt: skip


def test_what_hardly_anybody_sends(tmp_path: Path) -> None:
    names = sorted(ODD)
    answers = assert_alike([Sent(MR_STORAGE, "1.2.840.10008.1.2.1", ODD[name]) for name in names], tmp_path)
    ended = {name: each[-1][0] if each else 0 for name, each in zip(names, answers, strict=True)}
    broken = {
        "abort-inside",
        "associate-inside",
        "command-inside-data",
        "context-changes",
        "data-first",
        "pdv-of-nothing",
    }
    broken |= {"pdv-overruns", "priority-7", "unknown-context", "unknown-pdu-inside"}
    assert {name for name, kind in ended.items() if kind != RELEASE_RP} == broken
