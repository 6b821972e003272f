"""E-mail: what stands in it, and a real server that takes it, refuses it, or is none."""

from __future__ import annotations

import socket
import ssl
import threading
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path

import pytest

from node.deliver.mail import Letterhead, encode
from node.deliver.mail_server import EmailDestination
from node.deliver.smtp import MailAccess
from node.domain.document import ResultKind
from node.domain.report import Order, Report
from node.domain.result import Outcome, Reason
from node.domain.study import SopRef
from node.errors import (
    AccessRefused,
    DeliveryError,
    DestinationBusy,
    DestinationUnreachable,
    UnexpectedAnswer,
)
from node.ports import Outgoing
from tests.fakes.outbox import StandingClock
from tests.fakes.reports import report, reports_of
from tests.fakes.smtp_peer import MailServer
from tests.objects import SEG, SR, data_set, outgoing
from tests.peers import free_port
from tests.tls import certificates

TIMEOUT_S = 60.0
SENDER, READERS = "ainode@example.org", ("one@example.org", "two@example.org")
HEAD = Letterhead(SENDER, READERS, "AINODE", "https://pages.example.org")
IDENTIFYING = ("4711", "Doe", "Jane", "1970", "A1", "P7", "Hospital")


def told(made: Report, head: Letterhead = HEAD) -> str:
    return encode(made, "readers", head, StandingClock().now()).as_string()


def destination(port: int, head: Letterhead = HEAD, **access: object) -> EmailDestination:
    made = replace(MailAccess("127.0.0.1", port, "none", TIMEOUT_S), **access)  # type: ignore[arg-type]
    return EmailDestination("readers", made, head, reports_of, StandingClock())


@pytest.fixture
def reports(tmp_path: Path) -> Sequence[Outgoing]:
    return [outgoing(tmp_path, data_set(SR, number)) for number in (1, 2)]


def codes(of: EmailDestination, objects: Sequence[Outgoing]) -> list[str | None]:
    return [None if one.error is None else one.error.code for one in of.send(objects)]


# ------------------------------------------------------------ what stands in it


def test_nobody_is_identified_unless_the_operator_says_so() -> None:
    text = told(report())
    assert not [word for word in IDENTIFYING if word in text]
    assert "Subject: AI result POSITIVE: hippocampus_mr 1.0.0" in text
    assert "- Hippocampus (88 %)" in text
    assert "https://pages.example.org/studies/1.2.3" in text
    assert "not verified; not for diagnostic use" in text
    assert "Accession number: A1" in told(report(), replace(HEAD, accession_number=True))
    assert "/studies/" not in told(report(), replace(HEAD, pages=""))


def test_a_repeat_is_recognised_and_an_answer_leads_to_what_it_replaces() -> None:
    first, again = (encode(report(), "readers", HEAD, StandingClock().now()) for _ in range(2))
    other = encode(report(), "others", HEAD, StandingClock().now())
    assert first["Message-ID"] == again["Message-ID"] != other["Message-ID"]
    newer = encode(report(uid="1.2.3.10", predecessors=("1.2.3.9",)), "readers", HEAD, StandingClock().now())
    assert newer["References"] == first["Message-ID"]
    assert "This replaces an earlier result." in newer.get_content()


def test_what_was_not_evaluated_says_so_and_a_persons_words_stay_in_the_node() -> None:
    reason = Reason("MissingSlices", "Slices are missing")
    assert "Slices are missing" in told(report(Outcome.NOT_EVALUABLE, reason=reason))
    assert "The images were not evaluated." in told(report(Outcome.FAILED))
    by_hand = Reason("113001", "Rejected for Quality Reasons: Mrs Doe moved")
    taken_back = report(Outcome.WITHDRAWN, "1.2.3.11", ResultKind.REJECTION, by_hand)
    taken_back = replace(taken_back, facts=replace(taken_back.facts, subject=SopRef(SR, "1.2.3.9")))
    text = told(taken_back)
    assert "withdrawn: do not use it" in text
    assert "Doe" not in text
    assert encode(report(), "readers", HEAD, StandingClock().now())["Message-ID"] in text


def test_hostile_text_is_one_line() -> None:
    order = Order("A1\r\nBcc: x@example.org\u202e" + "9" * 5000, "", None, "")
    text = told(report(order=order), replace(HEAD, accession_number=True))
    assert "\nBcc" not in text
    assert "=E2=80=AE" not in text
    assert len(text) < 2000


# ------------------------------------------------------------ a server that takes it


def test_each_report_is_a_message_to_every_recipient(reports: Sequence[Outgoing]) -> None:
    with MailServer() as server:
        assert codes(destination(server.port), reports) == [None, None]
        assert server.envelopes == [(SENDER, READERS)] * 2
        ids = [one["Message-ID"] for one in server.messages]
        destination(server.port).send(reports[:1])
        assert [one["Message-ID"] for one in server.messages] == [*ids, ids[0]]
        destination(server.port).echo()
        assert len(server.messages) == 3


@pytest.mark.parametrize("security", ["starttls", "tls"])
def test_a_login_over_tls(reports: Sequence[Outgoing], tmp_path: Path, security: str) -> None:
    made = certificates(tmp_path)
    context = made.server_context()
    context.verify_mode = ssl.CERT_NONE
    kind = {security: context}
    with MailServer(login=("ainode", "s3cret"), **kind) as server:  # type: ignore[arg-type]
        keys = {"security": security, "username": "ainode", "ca_certificate": made.ca}
        assert codes(destination(server.port, password="s3cret", **keys), reports) == [None, None]
        assert server.encrypted == [True, True]
        with pytest.raises(AccessRefused, match="535"):
            destination(server.port, password="other", **keys).send(reports)
        stranger = keys | {"ca_certificate": made.stranger.certificate}
        with pytest.raises(DestinationUnreachable, match="SSLCertVerificationError"):
            destination(server.port, password="s3cret", **stranger).send(reports)
        assert len(server.messages) == 2
    assert "s3cret" not in repr(MailAccess("h", 1, password="s3cret"))


def test_without_the_tls_that_is_wanted_nothing_is_sent(reports: Sequence[Outgoing]) -> None:
    with MailServer() as server:
        with pytest.raises(UnexpectedAnswer, match="STARTTLS"):
            destination(server.port, security="starttls").send(reports)
        assert not server.messages


def test_a_server_that_wants_a_login(reports: Sequence[Outgoing]) -> None:
    with MailServer(login=("ainode", "s3cret")) as server, pytest.raises(AccessRefused, match="530"):
        destination(server.port).send(reports)


# ------------------------------------------------------------ a server that refuses it


@pytest.mark.parametrize(
    ("answers", "code"),
    [
        (dict.fromkeys(READERS, "550 Mrs Doe is unknown"), "MessageRefused"),
        (dict.fromkeys(READERS, "450 greylisted"), "StoreRefused"),
        ({READERS[0]: "550 unknown"}, "MessageRefused"),
        ({READERS[0]: "550 unknown", READERS[1]: "451 later"}, "StoreRefused"),
        ({READERS[0]: "452 too many"}, "StoreRefused"),
        ({"DATA": "554 refused"}, "MessageRefused"),
        ({"DATA": "452 no room"}, "StoreRefused"),
    ],
)
def test_what_a_server_says_of_one_message(reports: Sequence[Outgoing], answers: dict[str, str], code: str) -> None:
    with MailServer(answers=answers) as server:
        outcomes = destination(server.port).send(reports)
    assert [one.error.code for one in outcomes if one.error] == [code] * 2
    assert "Doe" not in str([one.error for one in outcomes])
    if len(answers) == 1 and READERS[0] in answers:
        assert "1 of 2 recipients, the others have it" in str(outcomes[0].error)


@pytest.mark.parametrize(
    ("answers", "kind"),
    [({"DATA": "421 shutting down"}, DestinationBusy), ({"MAIL": "553 not from you"}, AccessRefused)],
)
def test_what_a_server_says_of_all(reports: Sequence[Outgoing], answers: dict[str, str], kind: type[Exception]) -> None:
    with MailServer(answers=answers) as server, pytest.raises(kind):
        destination(server.port).send(reports)


def test_only_reports_become_mail(reports: Sequence[Outgoing], tmp_path: Path) -> None:
    segmentation = outgoing(tmp_path, data_set(SEG, 3))
    with MailServer() as server:
        assert codes(destination(server.port), [segmentation, reports[0]]) == ["SopClassRefused", None]


# ------------------------------------------------------------ a server that is none


@contextmanager
def peer_that_says(*said: bytes) -> Iterator[int]:
    """One connection: each is said after something came, the first at once; then it closes. Nothing: it is silent."""
    listening = socket.create_server(("127.0.0.1", 0))
    held: list[socket.socket] = []

    def serve() -> None:
        try:
            connection, _ = listening.accept()
            held.append(connection)
            connection.settimeout(TIMEOUT_S)
            for number, one in enumerate(said):
                if number:
                    connection.recv(4096)
                connection.sendall(one)
            if said:
                connection.shutdown(socket.SHUT_WR)
        except OSError:
            return

    thread = threading.Thread(target=serve)
    thread.start()
    try:
        yield listening.getsockname()[1]
    finally:
        listening.close()
        thread.join(TIMEOUT_S)
        for connection in held:
            connection.close()


@pytest.mark.parametrize(
    ("said", "kind"),
    [
        ([b"HTTP/1.1 400 Bad Request\r\n\r\n"], UnexpectedAnswer),
        ([b"\x00\xff\xfe\r\n"], UnexpectedAnswer),
        ([b"220 peer\r\n", b"garbage\r\n", b"garbage\r\n"], UnexpectedAnswer),
        ([b"220 peer\r\n"], DestinationUnreachable),
        ([b"\r\n"], UnexpectedAnswer),
        ([b"554 no service for Mrs Doe\r\n"], AccessRefused),
        ([b"421 not now\r\n"], DestinationBusy),
        ([b"2" * 20000], UnexpectedAnswer),
    ],
)
def test_what_is_no_mail_server(reports: Sequence[Outgoing], said: list[bytes], kind: type[DeliveryError]) -> None:
    with peer_that_says(*said) as port, pytest.raises(kind) as caught:
        destination(port).send(reports)
    assert caught.value.retryable
    assert "Doe" not in str(caught.value)


def test_nobody_and_somebody_who_says_nothing(reports: Sequence[Outgoing]) -> None:
    with pytest.raises(DestinationUnreachable):
        destination(free_port()).send(reports)
    with peer_that_says() as port, pytest.raises(DestinationUnreachable):
        destination(port, timeout_s=0.2).echo()


def test_who_never_comes_to_an_end_is_hung_up_on(reports: Sequence[Outgoing]) -> None:
    """Every byte that comes would begin the patience of a socket anew."""
    listening = socket.create_server(("127.0.0.1", 0))

    def drip() -> None:
        connection, _ = listening.accept()
        # A kernel may keep what nobody reads for longer than a test wants to wait.
        connection.settimeout(10)
        with connection, listening:
            try:
                while True:
                    connection.sendall(b"220-more\r\n")
            except OSError:
                return

    thread = threading.Thread(target=drip)
    thread.start()
    with pytest.raises(DestinationUnreachable):
        destination(listening.getsockname()[1], timeout_s=0.2).send(reports)
    thread.join(TIMEOUT_S)
    assert not thread.is_alive()
