"""A real HL7 listener in another process: what it acknowledges is stored, and everything else has its named error."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from node.deliver.hl7_listener import Hl7Destination, Listener
from node.deliver.oru import Parties
from node.domain.delivery import DeliveryState
from node.errors import DeliveryError, DestinationUnreachable, UnexpectedAnswer
from node.ports import Outgoing
from tests.fakes.outbox import StandingClock
from tests.fakes.reports import reports_of
from tests.integration.delivering import Desk
from tests.integration.hl7_peer import Hl7Peer, hl7_peer
from tests.objects import SR, data_set, outgoing

TIMEOUT_S = 60.0


@pytest.fixture(scope="module")
def started(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Hl7Peer]:
    with hl7_peer(tmp_path_factory.mktemp("hl7")) as peer:
        yield peer


@pytest.fixture
def peer(started: Hl7Peer) -> Hl7Peer:
    started.forget()
    return started


@pytest.fixture
def objects(tmp_path: Path) -> list[Outgoing]:
    return [outgoing(tmp_path, data_set(SR, number)) for number in (1, 2)]


def destination(peer: Hl7Peer, wanted: str, timeout_s: float = TIMEOUT_S) -> Hl7Destination:
    """A listener that answers as ``wanted``."""
    listener = Listener("127.0.0.1", peer.port, timeout_s)
    return Hl7Destination("ris", listener, Parties("AINODE", receiving_application=wanted), reports_of, StandingClock())


@pytest.mark.parametrize("code", ["AA", "CA"])
def test_what_is_acknowledged_is_stored(peer: Hl7Peer, objects: list[Outgoing], code: str) -> None:
    outcomes = destination(peer, code).send(objects)
    assert [(one.status, one.error) for one in outcomes] == [(0x0000, None)] * 2
    told = [str(message.segment("OBX")[5]) for message in peer.messages()]
    assert told == [one.sop_instance_uid for one in objects]


@pytest.mark.parametrize("code", ["AE", "AR", "CE", "CR"])
def test_what_is_refused_has_failed_and_only_the_length_of_the_words_is_kept(
    peer: Hl7Peer, objects: list[Outgoing], code: str
) -> None:
    outcomes = destination(peer, code).send(objects)
    assert [one.error.code for one in outcomes if one.error] == ["MessageRefused"] * 2
    for outcome in outcomes:
        assert outcome.error is not None
        assert not outcome.error.retryable
        assert outcome.error.details == {"answer": code, "text_length": len("about PATIENT^NAME")}
        assert "PATIENT" not in outcome.error.message


@pytest.mark.parametrize(
    ("wanted", "kind"),
    [
        ("CLOSE", DestinationUnreachable),
        ("GARBAGE", UnexpectedAnswer),
        ("NOISE", UnexpectedAnswer),
        ("OTHER", UnexpectedAnswer),
    ],
)
def test_what_is_no_answer_is_tried_again(
    peer: Hl7Peer, objects: list[Outgoing], wanted: str, kind: type[DeliveryError]
) -> None:
    with pytest.raises(kind) as caught:
        destination(peer, wanted).send(objects)
    assert caught.value.retryable


def test_a_listener_that_never_answers(peer: Hl7Peer, objects: list[Outgoing]) -> None:
    with pytest.raises(DestinationUnreachable, match="in time"):
        destination(peer, "SILENCE", timeout_s=0.3).send(objects)


def test_a_row_becomes_stored(peer: Hl7Peer, tmp_path: Path) -> None:
    desk = Desk(tmp_path / "objects")
    desk.add(data_set(SR, 3), "ris")
    desk.sender(destination(peer, "AA")).run_once()
    assert desk.outbox.states() == [DeliveryState.STORED]
    assert len(peer.messages()) == 1
