"""What a peer may send on an association, as hypothesis strategies: mostly right, and wrong in every place."""

from __future__ import annotations

import struct

from hypothesis import strategies as st

from tests.integration.raw_scu import MR_STORAGE, P_DATA, element, pdu, pdv

UIDS = ("1.2.3", "1.2.3.4", "2.25.17", "1." + "9" * 62, "1.02", MR_STORAGE)
NOT_UIDS = (b"", b"../../x", b"1" * 65, b"1.2\\3.4", b"1..2", b"\xff\xfe", b" 1.2", b"1.2 ", b"1.2\0\0", b"1.2.", b"x")
C_STORE_RQ, C_STORE_RSP, C_ECHO_RQ, N_ACTION_RQ, C_CANCEL_RQ = 0x0001, 0x8001, 0x0030, 0x0130, 0x0FFF

uids = st.one_of(st.sampled_from([uid.encode() for uid in UIDS]), st.sampled_from(NOT_UIDS))
shorts = st.one_of(
    st.sampled_from([0, 1, 2, 0x0101, 0x0102, 0xFFFF]).map(lambda number: struct.pack("<H", number)),
    st.binary(max_size=4),
)


def group_length(body: bytes) -> bytes:
    return element(0x0000, struct.pack("<I", len(body))) + body


@st.composite
def command_sets(draw: st.DrawFn, plain: bool | None = None) -> bytes:
    """A command set; ``plain`` ones are C-STORE-RQs that nobody could misunderstand."""
    plain = draw(st.booleans()) if plain is None else plain
    values = {
        0x0002: MR_STORAGE.encode(),
        0x0100: struct.pack("<H", C_STORE_RQ),
        0x0110: struct.pack("<H", draw(st.integers(0, 0xFFFF))),
        0x0700: struct.pack("<H", draw(st.integers(0, 2))),
        0x0800: struct.pack("<H", draw(st.sampled_from([0, 1, 0x0102]))),
        0x1000: draw(st.sampled_from(UIDS)).encode(),
    }
    if draw(st.booleans()):
        values |= {0x1030: b"MOVER", 0x1031: b"\1\0"}
    if plain:
        return group_length(b"".join(element(number, value) for number, value in sorted(values.items())))
    return draw(_spoiled(values))


@st.composite
def _spoiled(draw: st.DrawFn, values: dict[int, bytes]) -> bytes:
    for number in draw(st.lists(st.sampled_from(sorted(values)), max_size=2)):
        values[number] = draw(uids if number in (0x0002, 0x1000) else shorts)
    for number in draw(st.lists(st.sampled_from(sorted(values)), max_size=1)):
        del values[number]
    if draw(st.booleans()):
        kind = draw(st.sampled_from([C_STORE_RQ, C_STORE_RSP, C_ECHO_RQ, N_ACTION_RQ, C_CANCEL_RQ, 0x1234]))
        values[0x0100] = struct.pack("<H", kind)
    for number in draw(st.lists(st.sampled_from([0x0001, 0x0900, 0x0902, 0x5010]), max_size=1)):
        values[number] = draw(st.binary(max_size=9))
    elements = [element(number, value) for number, value in values.items()]
    body = b"".join(draw(st.permutations(elements)) if draw(st.integers(0, 5)) == 0 else elements)
    whole = group_length(body) if draw(st.integers(0, 5)) else body
    return whole[: draw(st.integers(0, len(whole)))] if draw(st.integers(0, 9)) == 0 else whole


@st.composite
def _fragments(draw: st.DrawFn, data: bytes, most: int) -> list[bytes]:
    cuts = sorted(draw(st.lists(st.integers(0, len(data)), max_size=most)))
    return [data[begin:end] for begin, end in zip([0, *cuts], [*cuts, len(data)], strict=True)]


@st.composite
def messages(draw: st.DrawFn) -> list[bytes]:
    """A message as presentation data values; some of them out of order, of another context, without their end."""
    context_id = draw(st.sampled_from([1, 1, 1, 1, 3, 99]))
    command = draw(_fragments(draw(command_sets()), draw(st.sampled_from([0, 0, 0, 2]))))
    data = draw(_fragments(draw(st.binary(max_size=300)) * draw(st.sampled_from([1, 1, 40])), 4))
    values = [(part, True, index == len(command) - 1, context_id) for index, part in enumerate(command)]
    if draw(st.integers(0, 5)):
        values += [(part, False, index == len(data) - 1, context_id) for index, part in enumerate(data)]
    if draw(st.integers(0, 9)) == 0:
        values = draw(st.permutations(values))
    if draw(st.integers(0, 9)) == 0:
        at = draw(st.integers(0, len(values) - 1))
        part, is_command, last, _ = values[at]
        values[at] = (part, is_command ^ draw(st.booleans()), last ^ draw(st.booleans()), draw(st.sampled_from([1, 3])))
    return [pdv(part, is_command, last, number) for part, is_command, last, number in values]


@st.composite
def streams(draw: st.DrawFn) -> bytes:
    """PDUs of an association: messages in P-DATA of any partition, other PDUs between them, and some damage."""
    values = [value for message in draw(st.lists(messages(), min_size=1, max_size=4)) for value in message]
    sent: list[bytes] = []
    while values:
        count = draw(st.sampled_from([1, 1, 1, 2, 5]))
        sent.append(pdu(P_DATA, b"".join(values[:count])))
        values = values[count:]
    if draw(st.integers(0, 4)) == 0:
        kind, body = draw(st.sampled_from([(5, bytes(4)), (7, bytes(4)), (1, b""), (9, b"x"), (P_DATA, b"")]))
        sent.insert(draw(st.integers(0, len(sent))), pdu(kind, body))
    stream = b"".join(sent) + draw(st.sampled_from([b"", pdu(5, bytes(4)), pdu(7, bytes(4))]))
    return draw(damaged(stream)) if draw(st.integers(0, 3)) == 0 else stream


@st.composite
def damaged(draw: st.DrawFn, stream: bytes) -> bytes:
    """Cut, or with bytes that are wrong, too many or missing."""
    at = draw(st.integers(0, len(stream)))
    way = draw(st.sampled_from(["cut", "flip", "insert", "remove"]))
    if way == "cut":
        return stream[:at]
    some = draw(st.binary(min_size=1, max_size=4))
    return stream[:at] + (b"" if way == "remove" else some) + stream[at + (0 if way == "insert" else len(some)) :]
