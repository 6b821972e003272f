from __future__ import annotations

import struct
from collections.abc import Iterator

import pydicom.config
import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydicom.uid import UID
from pynetdicom import PYNETDICOM_IMPLEMENTATION_UID, PYNETDICOM_IMPLEMENTATION_VERSION
from pynetdicom.dimse_messages import C_STORE_RSP, DIMSEMessage
from pynetdicom.dimse_primitives import C_STORE
from pynetdicom.dsutils import create_file_meta, encode_file_meta
from pynetdicom.pdu import P_DATA_TF

from node.receive import pdu
from node.receive.part10 import data_set_offset
from node.receive.pdu import COMMAND, LAST, StoreRequest
from node.receive.status import SUCCESS, Answer
from tests.integration.raw_scu import MR_STORAGE, element, pdv, store_request

COMMAND_SET = store_request(MR_STORAGE, "1.2.3")
REQUEST = StoreRequest(1, MR_STORAGE, "1.2.3", 7)

uids = st.from_regex(r"[0-9]{1,20}(\.[0-9]{1,5}){0,7}", fullmatch=True).filter(lambda uid: len(uid) <= 64)
comments = st.text(st.characters(min_codepoint=33, max_codepoint=126, exclude_characters="\\"), max_size=64)


@pytest.fixture(scope="module", autouse=True)
def as_the_receiver_reads() -> Iterator[None]:
    """A UID with a leading zero is none, and comes all the same."""
    before = pydicom.config.settings.reading_validation_mode
    pydicom.config.settings.reading_validation_mode = pydicom.config.IGNORE
    yield
    pydicom.config.settings.reading_validation_mode = before


def group(body: bytes) -> bytes:
    return element(0x0000, struct.pack("<I", len(body))) + body


def test_a_plain_c_store_is_understood() -> None:
    body = pdv(COMMAND_SET, command=True, last=True)
    assert pdu.opening(body, 0, len(body)) == (REQUEST, len(body))


def test_what_follows_the_command_in_its_pdu_is_the_data_set() -> None:
    body = b"before" + pdv(COMMAND_SET, command=True, last=True, context_id=5) + pdv(b"abc", command=False, last=True)
    found = pdu.opening(body, 6, len(body))
    assert found is not None
    request, at = found
    assert request.context_id == 5
    assert list(pdu.fragments(body, at, len(body))) == [(1, LAST, len(body) - 3, len(body))]


def test_a_command_in_several_fragments_of_one_pdu() -> None:
    body = pdv(COMMAND_SET[:9], command=True, last=False) + pdv(COMMAND_SET[9:], command=True, last=True)
    assert pdu.opening(body, 0, len(body)) == (REQUEST, len(body))


@pytest.mark.parametrize(
    "body",
    [
        b"",
        pdv(COMMAND_SET[:9], command=True, last=False),
        pdv(COMMAND_SET, command=False, last=True),
        pdv(COMMAND_SET[:9], command=True, last=False) + pdv(COMMAND_SET[9:], command=True, last=True, context_id=3),
        pdv(COMMAND_SET, command=True, last=True) + b"\0\0\0",
        pdv(COMMAND_SET, command=True, last=True)[:-1],
        struct.pack(">IB", 1, 1) + pdv(COMMAND_SET, command=True, last=True),
        pdv(bytes(2000), command=True, last=False) + pdv(COMMAND_SET, command=True, last=True),
    ],
    ids=["nothing", "unfinished", "data", "contexts", "trailing", "cut", "no-control", "long"],
)
def test_what_does_not_begin_with_a_whole_command(body: bytes) -> None:
    assert pdu.opening(body, 0, len(body)) is None


def replaced(number: int, value: bytes) -> bytes:
    """The plain command set with another value of one element."""
    found, at = b"", 12
    while at < len(COMMAND_SET):
        _, each, length = struct.unpack_from("<HHI", COMMAND_SET, at)
        old = COMMAND_SET[at + 8 : at + 8 + length]
        found += struct.pack("<HHI", 0, each, len(value)) + value if each == number else element(each, old)
        at += 8 + length
    return group(found)


@pytest.mark.parametrize(
    "command",
    [
        replaced(0x0100, b"\x30\0"),
        replaced(0x0100, b"\1\x80"),
        replaced(0x0100, b"\1\0\0\0"),
        replaced(0x0110, b"\1"),
        replaced(0x0700, b"\3\0"),
        replaced(0x0800, b"\1\1"),
        replaced(0x0800, b""),
        replaced(0x0002, b""),
        replaced(0x1000, b"../../x\0"),
        replaced(0x1000, b"1.2\\3.4\0"),
        replaced(0x1000, b"1.2.3"),
        replaced(0x1000, b"1.2.3 "),
        replaced(0x1000, b"1.2.\0\0\0\0"),
        replaced(0x1000, b"1" * 65 + b"\0"),
        COMMAND_SET[12:],
        element(0, b"\1\0\0\0") + COMMAND_SET[12:],
        group(COMMAND_SET[12:] + element(0x1030, b"A\\B ")),
        group(COMMAND_SET[12:] + element(0x1031, b"")),
        group(COMMAND_SET[12:] + element(0x5010, b"")),
        group(element(0x1000, b"1.2.3\0") + COMMAND_SET[12:]),
        group(COMMAND_SET[12:] + struct.pack("<HHI", 8, 0x16, 0)),
        group(COMMAND_SET[12:]) + b"\0",
        COMMAND_SET[:-2],
        b"",
    ],
)
def test_anything_unusual_is_left_to_pynetdicom(command: bytes) -> None:
    assert pdu.store_request(command, 1) is None


def test_who_asked_for_a_c_move_makes_no_difference() -> None:
    command = group(COMMAND_SET[12:] + element(0x1030, b"PACS") + element(0x1031, b"\1\0"))
    assert pdu.store_request(command, 1) == REQUEST


@given(values=st.lists(st.tuples(st.binary(max_size=20), st.booleans(), st.booleans(), st.integers(0, 255))))
def test_fragments_are_those_that_were_put_in(values: list[tuple[bytes, bool, bool, int]]) -> None:
    body = b"".join(pdv(*each) for each in values)
    assert pdu.is_well_formed(body, 0, len(body))
    found = [
        (body[begin:end], bool(control & COMMAND), bool(control & LAST), context_id)
        for context_id, control, begin, end in pdu.fragments(body, 0, len(body))
    ]
    assert found == values


@given(body=st.binary(max_size=60))
def test_well_formed_bytes_can_be_walked(body: bytes) -> None:
    if pdu.is_well_formed(body, 0, len(body)):
        sizes = [end - begin + 6 for *_, begin, end in pdu.fragments(body, 0, len(body))]
        assert sum(sizes) == len(body)


def test_a_header_before_the_rest_of_a_pdu() -> None:
    data = bytearray(b"0123456789" + pdv(b"x", command=True, last=True))
    pdu.put_header(data, 10, len(data))
    assert data[:4] == b"0123"
    assert pdu.header(data, 4) == (pdu.P_DATA, len(data) - 10)


@given(sop_class=uids, sop_instance=uids, transfer_syntax=uids)
def test_file_meta_is_what_pynetdicom_writes(sop_class: str, sop_instance: str, transfer_syntax: str) -> None:
    theirs = create_file_meta(
        sop_class_uid=UID(sop_class), sop_instance_uid=UID(sop_instance), transfer_syntax=UID(transfer_syntax)
    )
    ours = pdu.file_meta(
        StoreRequest(1, sop_class, sop_instance, 1),
        transfer_syntax,
        PYNETDICOM_IMPLEMENTATION_UID,
        PYNETDICOM_IMPLEMENTATION_VERSION,
    )
    assert ours == bytes(128) + b"DICM" + encode_file_meta(theirs)
    assert data_set_offset(ours) == len(ours)


@given(
    request=st.builds(StoreRequest, st.integers(1, 255), uids, uids, st.integers(0, 65535)),
    answer=st.just(SUCCESS) | st.builds(Answer, st.sampled_from([0xA700, 0xA900, 0xC001, 0x0110]), comments),
    max_length=st.sampled_from([0, 7, 64, 16382]),
)
def test_a_response_is_what_pynetdicom_writes(request: StoreRequest, answer: Answer, max_length: int) -> None:
    primitive = C_STORE()
    primitive.MessageIDBeingRespondedTo = request.message_id
    primitive.AffectedSOPClassUID = UID(request.sop_class_uid)
    primitive.AffectedSOPInstanceUID = UID(request.sop_instance_uid)
    primitive.Status = int(answer.status)
    primitive.ErrorComment = answer.comment or None  # type: ignore[assignment]
    message: DIMSEMessage = C_STORE_RSP()
    message.primitive_to_message(primitive)
    theirs = b"".join(P_DATA_TF(each).encode() for each in message.encode_msg(request.context_id, max_length))
    assert pdu.store_response(request, answer, max_length) == theirs
