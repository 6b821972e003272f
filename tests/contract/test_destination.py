"""``ports.Destination``: one suite over the destination in memory and the real ones before their peers."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from contextlib import AbstractContextManager, contextmanager
from dataclasses import dataclass
from pathlib import Path

import pytest

from node.deliver.association import Peer
from node.deliver.fhir_server import FhirDestination
from node.deliver.folder import FolderDestination
from node.deliver.hl7_listener import Hl7Destination, Listener
from node.deliver.http import WebAccess, WebPeer
from node.deliver.mail import Letterhead
from node.deliver.mail_server import EmailDestination
from node.deliver.oru import Parties
from node.deliver.smtp import MailAccess
from node.deliver.storage_scu import DimseDestination
from node.deliver.stow import StowDestination
from node.deliver.told import message_id
from node.deliver.web_listener import WebhookDestination
from node.domain.delivery import CommitmentReport
from node.domain.study import ByteRange, SopRef
from node.errors import DeliveryError, DestinationUnreachable, SopClassRefused
from node.ports import Destination, Outgoing
from tests.fakes.destination import MemoryDestination
from tests.fakes.fhir_peer import FhirServer
from tests.fakes.outbox import StandingClock
from tests.fakes.peer_pacs import FaultyPacs
from tests.fakes.reports import reports_of
from tests.fakes.smtp_peer import MailServer
from tests.fakes.web_peer import Reply, StowServer, WebServer
from tests.integration.hl7_peer import hl7_peer
from tests.objects import MR, SC, SEG, SR, data_set, outgoing
from tests.peers import free_port

TIMEOUT_S = 60.0


@dataclass
class Site:
    """A destination, one that nobody answers, and what arrived at the first (SOP Instance UIDs).

    ``refuses``: it does not take Secondary Capture. ``takes``: what else it takes. ``keeps``: what it holds of an
    object, where that is the object.
    """

    destination: Destination
    dead: Destination
    received: Callable[[], list[str]]
    refuses: bool = False
    takes: tuple[str, ...] = (SEG, SR, MR)
    keeps: Callable[[str], bytes] | None = None


@contextmanager
def memory(tmp_path: Path) -> Iterator[Site]:
    del tmp_path
    held = MemoryDestination(commits=True)
    refused = data_set(SC, 3).SOPInstanceUID
    held.refusals = {str(refused): SopClassRefused()}
    held.report = lambda uid, refs: CommitmentReport(
        uid,
        tuple(ref.sop_instance_uid for ref in refs if ref.sop_instance_uid in held.received),
        {ref.sop_instance_uid: 0x0112 for ref in refs if ref.sop_instance_uid not in held.received},
    )
    dead = MemoryDestination(commits=True, unreachable=DestinationUnreachable("no connection"))
    yield Site(held, dead, lambda: held.received, refuses=True)


@contextmanager
def dimse(tmp_path: Path) -> Iterator[Site]:
    pacs = FaultyPacs(tmp_path / "pacs")
    pacs.refused = frozenset({SC})

    def kept(uid: str) -> bytes:
        return next(held for held in pacs.instances() if held.sop_instance_uid == uid).path.read_bytes()

    with pacs:
        yield Site(
            DimseDestination("pacs", Peer("PEER", "127.0.0.1", pacs.port, "AINODE", TIMEOUT_S), commits=True),
            DimseDestination("pacs", Peer("PEER", "127.0.0.1", free_port(), "AINODE", TIMEOUT_S), commits=True),
            lambda: [held.sop_instance_uid for held in pacs.instances()],
            refuses=True,
            keeps=kept,
        )


@contextmanager
def folder(tmp_path: Path) -> Iterator[Site]:
    root = tmp_path / "share"
    root.mkdir()

    def files() -> list[Path]:
        return sorted((path for path in root.rglob("*.dcm")), key=lambda path: path.stat().st_mtime_ns)

    yield Site(
        FolderDestination("pacs", root),
        FolderDestination("pacs", tmp_path / "not mounted"),
        lambda: [path.stem for path in files()],
        keeps=lambda uid: next(path for path in files() if path.stem == uid).read_bytes(),
    )


@contextmanager
def stow(tmp_path: Path) -> Iterator[Site]:
    del tmp_path
    with StowServer() as server:
        server.refused = frozenset({SC})
        yield Site(
            StowDestination("pacs", WebPeer(WebAccess(server.url, TIMEOUT_S))),
            StowDestination("pacs", WebPeer(WebAccess(f"http://127.0.0.1:{free_port()}", TIMEOUT_S))),
            lambda: list(server.kept),
            refuses=True,
            keeps=lambda uid: server.kept[uid],
        )


@contextmanager
def messages(tmp_path: Path) -> Iterator[Site]:
    """A listener of HL7: it is sent reports alone."""
    with hl7_peer(tmp_path / "hl7") as peer:

        def to(port: int) -> Hl7Destination:
            listener = Listener("127.0.0.1", port, TIMEOUT_S)
            return Hl7Destination("pacs", listener, Parties("AINODE"), reports_of, StandingClock())

        yield Site(
            to(peer.port),
            to(free_port()),
            lambda: [str(message.segment("OBX")[5]) for message in peer.messages()],
            refuses=True,
            takes=(SR,),
        )


@contextmanager
def transactions(tmp_path: Path) -> Iterator[Site]:
    """A FHIR server: it is sent reports alone."""
    del tmp_path

    def identifiers() -> list[str]:
        values = (one["identifier"][0]["value"] for one in server.kept.get("DiagnosticReport", []))
        return [value.removeprefix("urn:oid:") for value in values]

    with FhirServer() as server:
        yield Site(
            FhirDestination("pacs", WebPeer(WebAccess(server.url, TIMEOUT_S)), reports_of),
            FhirDestination("pacs", WebPeer(WebAccess(f"http://127.0.0.1:{free_port()}", TIMEOUT_S)), reports_of),
            identifiers,
            refuses=True,
            takes=(SR,),
        )


@contextmanager
def mail(tmp_path: Path) -> Iterator[Site]:
    """A mail server: it is sent reports alone, and tells documents apart by their Message-ID."""
    del tmp_path
    head = Letterhead("ainode@example.org", ("reader@example.org",), "AINODE")

    def to(port: int) -> EmailDestination:
        return EmailDestination(
            "pacs", MailAccess("127.0.0.1", port, "none", TIMEOUT_S), head, reports_of, StandingClock()
        )

    with MailServer() as server:
        yield Site(
            to(server.port),
            to(free_port()),
            lambda: [_known(str(one["Message-ID"])[1:].partition("@")[0]) for one in server.messages],
            refuses=True,
            takes=(SR,),
        )


@contextmanager
def webhooks(tmp_path: Path) -> Iterator[Site]:
    """Somebody's web server: it is told of reports alone."""
    del tmp_path

    def to(url: str) -> WebhookDestination:
        peer = WebPeer(WebAccess(url, TIMEOUT_S))
        return WebhookDestination("pacs", peer, "AINODE", "", None, reports_of, StandingClock())

    with WebServer(lambda _: Reply(204)) as server:
        yield Site(
            to(server.url),
            to(f"http://127.0.0.1:{free_port()}"),
            lambda: [_known(one.headers["webhook-id"]) for one in server.requests],
            refuses=True,
            takes=(SR,),
        )


def _known(identity: str) -> str:
    uids = (str(data_set(SR, number).SOPInstanceUID) for number in range(1, 10))
    return next(uid for uid in uids if message_id("pacs", uid) == identity)


SITES: dict[str, Callable[[Path], AbstractContextManager[Site]]] = {
    "memory": memory,
    "dimse": dimse,
    "folder": folder,
    "stow": stow,
    "hl7": messages,
    "fhir": transactions,
    "email": mail,
    "webhook": webhooks,
}
# What the objects' own bytes go to, and what at least looks at them.
WITH_OBJECTS = ["dimse", "folder", "stow"]
REAL = [*WITH_OBJECTS, "hl7", "fhir", "email", "webhook"]


@pytest.fixture(params=list(SITES))
def site(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Site]:
    with SITES[request.param](tmp_path) as made:
        yield made


@pytest.fixture
def objects(site: Site, tmp_path: Path) -> Sequence[Outgoing]:
    """Three of what it takes."""
    folder = tmp_path / "objects"
    folder.mkdir()
    kinds = (site.takes * 3)[:3]
    return [outgoing(folder, data_set(kind, number)) for number, kind in enumerate(kinds, start=1)]


def test_it_has_a_name_and_says_whether_it_commits(site: Site) -> None:
    assert site.destination.name == site.dead.name == "pacs"
    assert site.destination.commits is site.dead.commits is isinstance(site.dead, MemoryDestination | DimseDestination)


def test_every_object_arrives_with_one_outcome_in_order(site: Site, objects: Sequence[Outgoing]) -> None:
    outcomes = site.destination.send(objects)
    assert [one.sop_instance_uid for one in outcomes] == [one.sop_instance_uid for one in objects]
    assert [(one.status, one.error) for one in outcomes] == [(0x0000, None)] * 3
    assert site.received() == [one.sop_instance_uid for one in objects]


def test_a_refused_class_is_the_error_of_that_object_alone(
    site: Site, objects: Sequence[Outgoing], tmp_path: Path
) -> None:
    capture = outgoing(tmp_path, data_set(SC, 3))
    outcomes = site.destination.send([objects[0], capture, objects[1]])
    of_the_capture = SopClassRefused if site.refuses else type(None)
    assert [type(one.error) for one in outcomes] == [type(None), of_the_capture, type(None)]


def test_the_same_object_again_is_delivered_again(site: Site, objects: Sequence[Outgoing]) -> None:
    site.destination.send(objects[:1])
    assert site.destination.send(objects[:1])[0].error is None


def test_nothing_to_send(site: Site) -> None:
    assert list(site.destination.send([])) == []


def test_a_dead_destination_raises_a_retryable_error(site: Site, objects: Sequence[Outgoing]) -> None:
    calls = [lambda: site.dead.send(objects), site.dead.echo]
    if site.dead.commits:
        calls.append(lambda: site.dead.request_commitment("1.2.3", [SopRef(MR, "1.2")]))
    for call in calls:
        with pytest.raises(DeliveryError) as caught:
            call()
        assert caught.value.retryable


def test_it_commits_what_it_holds_and_nothing_else(site: Site, objects: Sequence[Outgoing]) -> None:
    refs = [SopRef(one.sop_class_uid, one.sop_instance_uid) for one in objects]
    if not site.destination.commits:
        with pytest.raises(SopClassRefused):
            site.destination.request_commitment("1.2.3.4", refs)
        return
    site.destination.send(objects[:2])
    report = site.destination.request_commitment("1.2.3.4", refs)
    assert report is not None
    assert report.transaction_uid == "1.2.3.4"
    assert sorted(report.committed) == sorted(one.sop_instance_uid for one in objects[:2])
    assert report.failed == {objects[2].sop_instance_uid: 0x0112}


def test_echo(site: Site) -> None:
    site.destination.echo()


@pytest.mark.parametrize("site", REAL, indirect=True)
def test_an_object_that_cannot_be_sent_is_an_error_of_its_own(site: Site, tmp_path: Path) -> None:
    """Only the real destinations read bytes."""
    objects = tmp_path / "objects"
    objects.mkdir()
    kind = site.takes[-1]
    fine = outgoing(objects, data_set(kind, 1))
    gone = Outgoing(kind, "1.2.3", ByteRange(str(objects / "absent.dcm"), 0, 10))
    short = Outgoing(kind, fine.sop_instance_uid, ByteRange(fine.location.path, 0, fine.location.length + 1))
    noise = objects / "noise"
    noise.write_bytes(b"noise" * 100)
    no_dicom = Outgoing(kind, "1.2.4", ByteRange(str(noise), 0, 500))
    no_uid = Outgoing(kind, "../../x", fine.location)
    no_class = Outgoing(kind + "x" * 65, "1.2.5", fine.location)
    outcomes = site.destination.send([gone, short, no_dicom, no_uid, no_class, fine])
    assert [None if one.error is None else one.error.code for one in outcomes] == [
        "ObjectMissing",
        "ObjectMissing",
        "UndecodableDataSet",
        "InvalidUid",
        "InvalidUid",
        None,
    ]
    assert site.received() == [fine.sop_instance_uid]


@pytest.mark.parametrize("site", WITH_OBJECTS, indirect=True)
def test_an_object_inside_a_bigger_file_is_sent_by_its_range(site: Site, tmp_path: Path) -> None:
    inside = outgoing(tmp_path, data_set(MR, 1))
    data = Path(inside.location.path).read_bytes()
    segment = tmp_path / "segment"
    segment.write_bytes(b"x" * 100 + data + b"y" * 100)
    ranged = Outgoing(MR, inside.sop_instance_uid, ByteRange(str(segment), 100, len(data)))
    assert site.destination.send([ranged])[0].error is None
    assert site.keeps is not None
    assert site.keeps(inside.sop_instance_uid).endswith(data[-600:])
