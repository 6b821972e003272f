"""Whatever a command set says: what the fast path takes, pynetdicom would have taken, and understood alike."""

from __future__ import annotations

import os
import random
import resource
import warnings
from collections.abc import Iterator
from io import BytesIO
from pathlib import Path

import pydicom.config
import pytest
from hypothesis import HealthCheck, given, settings
from pynetdicom.dimse_messages import C_STORE_RQ, DIMSEMessage
from pynetdicom.dimse_primitives import C_STORE
from pynetdicom.pdu import P_DATA_TF

from node.receive import pdu
from tests.fuzz.streams import command_sets
from tests.integration.raw_scu import MR_STORAGE, pdv, store_request

# As long as the number of cases asks for.
pytestmark = pytest.mark.timeout(0)

CASES = int(os.environ.get("AINODE_FUZZ_CASES", "20000"))
# Examples that hypothesis makes cost some milliseconds each.
EXAMPLES = min(CASES // 100, 20000)
CORPUS = Path(__file__).parent / "corpus"
MAX_GROWTH_KIB = 64 * 1024


@pytest.fixture(autouse=True)
def quiet() -> Iterator[None]:
    before = pydicom.config.settings.reading_validation_mode
    pydicom.config.settings.reading_validation_mode = pydicom.config.IGNORE
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        yield
    pydicom.config.settings.reading_validation_mode = before


def understood_by_pynetdicom(body: bytes) -> tuple[int, str, str, int] | None:
    """Context, SOP class, SOP instance and Message ID of the C-STORE-RQ with a data set that a PDU begins with."""
    decoded = P_DATA_TF()
    decoded.decode(b"\x04\0" + len(body).to_bytes(4, "big") + body)
    message = DIMSEMessage()
    values = decoded.to_primitive().presentation_data_value_list
    for context_id, value in values:
        if not value[0] & pdu.COMMAND:
            return None
        message.encoded_command_set.write(value[1:])
        if value[0] & pdu.LAST:
            message.context_id = context_id
            break
    whole = message.encoded_command_set.getvalue()
    command = pydicom.filereader.read_dataset(BytesIO(whole), True, True)
    if command.CommandField != 1 or command.CommandDataSetType == 0x0101:
        return None
    message.command_set = command
    message.__class__ = C_STORE_RQ
    primitive = message.message_to_primitive()
    assert isinstance(primitive, C_STORE)
    assert primitive.is_valid_request
    return (
        int(message.context_id or 0),
        str(primitive.AffectedSOPClassUID),
        str(primitive.AffectedSOPInstanceUID),
        int(primitive.MessageID or 0),
    )


def check(body: bytes) -> bool:
    """Whether the fast path takes what begins so; then pynetdicom must say the same."""
    found = pdu.opening(body, 0, len(body))
    if found is None:
        return False
    request, at = found
    assert understood_by_pynetdicom(body) == (
        request.context_id,
        request.sop_class_uid,
        request.sop_instance_uid,
        request.message_id,
    )
    assert 0 < at <= len(body)
    return True


@settings(max_examples=EXAMPLES, suppress_health_check=list(HealthCheck))
@given(command=command_sets())
def test_made_up_commands(command: bytes) -> None:
    check(pdv(command, command=True, last=True) + pdv(b"data", command=False, last=True))


@settings(max_examples=200, suppress_health_check=list(HealthCheck))
@given(command=command_sets(plain=True))
def test_plain_commands_are_taken(command: bytes) -> None:
    assert check(pdv(command, command=True, last=True))
    assert check(pdv(command[:50], command=True, last=False) + pdv(command[50:], command=True, last=True))


def seeds() -> list[bytes]:
    """The bodies of the P-DATA-TF PDUs that the streams of the corpus begin with."""
    found = [pdv(store_request(MR_STORAGE, "1.2.3"), command=True, last=True)]
    for path in sorted(CORPUS.glob("*.bin")):
        data = path.read_bytes()
        kind, length = pdu.header(data, 0)
        if kind == pdu.P_DATA and length <= len(data) - pdu.HEADER_LENGTH:
            found.append(data[pdu.HEADER_LENGTH : pdu.HEADER_LENGTH + length])
    return found


def mutated(chance: random.Random, body: bytes) -> bytes:
    changed = bytearray(body)
    for _ in range(chance.choice((1, 1, 1, 2, 4))):
        at = chance.randrange(len(changed) + 1)
        way = chance.randrange(4)
        if way == 0 and at < len(changed):
            changed[at] = chance.choice((0, 1, 2, 3, 0x2E, 0x30, 0xFF, chance.randrange(256)))
        elif way == 1 and at < len(changed):
            changed[at] ^= 1 << chance.randrange(8)
        elif way == 2:
            changed[at:at] = chance.randbytes(chance.choice((1, 2, 8)))
        else:
            del changed[at : at + chance.choice((1, 2, 8))]
    return bytes(changed)


def test_mutations_of_the_corpus() -> None:
    """``AINODE_FUZZ_CASES=1000000`` makes it a million."""
    chance = random.Random(20260301)
    bodies = seeds()
    taken = 0
    for number in range(CASES):
        taken += check(mutated(chance, chance.choice(bodies)))
        if number == CASES // 10:
            before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    assert taken > CASES // 50, "most mutations are refused, some are harmless"
    assert resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before < MAX_GROWTH_KIB
