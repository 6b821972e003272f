"""``ports.Destination``: one suite over the destination in memory and the real one before a PACS."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import pytest

from node.deliver.association import Peer
from node.deliver.storage_scu import DimseDestination
from node.domain.delivery import CommitmentReport
from node.domain.study import ByteRange, SopRef
from node.errors import DeliveryError, DestinationUnreachable, SopClassRefused
from node.ports import Destination, Outgoing
from tests.fakes.destination import MemoryDestination
from tests.fakes.peer_pacs import FaultyPacs
from tests.objects import MR, SC, SEG, SR, data_set, outgoing
from tests.peers import free_port

TIMEOUT_S = 5.0


@dataclass
class Site:
    """A destination that refuses Secondary Capture, one that nobody answers, and what arrived at the first."""

    destination: Destination
    dead: Destination
    received: Callable[[], list[str]]


@pytest.fixture(params=["memory", "dimse"])
def site(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Site]:
    if request.param == "memory":
        held = MemoryDestination(commits=True)
        refused = data_set(SC, 3).SOPInstanceUID
        held.refusals = {str(refused): SopClassRefused()}
        held.report = lambda uid, refs: CommitmentReport(
            uid,
            tuple(ref.sop_instance_uid for ref in refs if ref.sop_instance_uid in held.received),
            {ref.sop_instance_uid: 0x0112 for ref in refs if ref.sop_instance_uid not in held.received},
        )
        dead = MemoryDestination(commits=True, unreachable=DestinationUnreachable("no connection"))
        yield Site(held, dead, lambda: held.received)
        return
    pacs = FaultyPacs(tmp_path / "pacs")
    pacs.refused = frozenset({SC})
    with pacs:
        yield Site(
            DimseDestination("pacs", Peer("PEER", "127.0.0.1", pacs.port, "AINODE", TIMEOUT_S), commits=True),
            DimseDestination("pacs", Peer("PEER", "127.0.0.1", free_port(), "AINODE", TIMEOUT_S), commits=True),
            lambda: [held.sop_instance_uid for held in pacs.instances()],
        )


@pytest.fixture
def objects(tmp_path: Path) -> Sequence[Outgoing]:
    folder = tmp_path / "objects"
    folder.mkdir()
    return [outgoing(folder, data_set(kind, number)) for number, kind in enumerate((SEG, SR, MR), start=1)]


def test_it_has_a_name_and_says_whether_it_commits(site: Site) -> None:
    assert (site.destination.name, site.destination.commits) == ("pacs", True)


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
    assert [type(one.error) for one in outcomes] == [type(None), SopClassRefused, type(None)]


def test_the_same_object_again_is_delivered_again(site: Site, objects: Sequence[Outgoing]) -> None:
    site.destination.send(objects[:1])
    assert site.destination.send(objects[:1])[0].error is None


def test_nothing_to_send(site: Site) -> None:
    assert list(site.destination.send([])) == []


def test_a_dead_destination_raises_a_retryable_error(site: Site, objects: Sequence[Outgoing]) -> None:
    for call in (
        lambda: site.dead.send(objects),
        lambda: site.dead.request_commitment("1.2.3", [SopRef(MR, "1.2")]),
        site.dead.echo,
    ):
        with pytest.raises(DeliveryError) as caught:
            call()
        assert caught.value.retryable


def test_it_commits_what_it_holds_and_nothing_else(site: Site, objects: Sequence[Outgoing]) -> None:
    site.destination.send(objects[:2])
    refs = [SopRef(one.sop_class_uid, one.sop_instance_uid) for one in objects]
    report = site.destination.request_commitment("1.2.3.4", refs)
    assert report is not None
    assert report.transaction_uid == "1.2.3.4"
    assert sorted(report.committed) == sorted(one.sop_instance_uid for one in objects[:2])
    assert report.failed == {objects[2].sop_instance_uid: 0x0112}


def test_echo(site: Site) -> None:
    site.destination.echo()


def test_an_object_that_is_gone_is_an_error_of_its_own(tmp_path: Path) -> None:
    """Only the real destination reads bytes."""
    folder = tmp_path / "objects"
    folder.mkdir()
    fine = outgoing(folder, data_set(MR, 1))
    gone = Outgoing(MR, "1.2.3", ByteRange(str(folder / "absent.dcm"), 0, 10))
    short = Outgoing(MR, fine.sop_instance_uid, ByteRange(fine.location.path, 0, fine.location.length + 1))
    noise = folder / "noise"
    noise.write_bytes(b"noise" * 100)
    no_dicom = Outgoing(MR, "1.2.4", ByteRange(str(noise), 0, 500))
    no_uid = Outgoing(MR, "../../x", fine.location)
    no_class = Outgoing("x" * 65, "1.2.5", fine.location)
    with FaultyPacs(tmp_path / "pacs") as pacs:
        destination = DimseDestination("pacs", Peer("PEER", "127.0.0.1", pacs.port, "AINODE", TIMEOUT_S))
        outcomes = destination.send([gone, short, no_dicom, no_uid, no_class, fine])
    assert [None if one.error is None else one.error.code for one in outcomes] == [
        "ObjectMissing",
        "ObjectMissing",
        "UndecodableDataSet",
        "InvalidUid",
        "InvalidUid",
        None,
    ]


def test_an_object_inside_a_bigger_file_is_sent_by_its_range(tmp_path: Path) -> None:
    inside = outgoing(tmp_path, data_set(MR, 1))
    data = Path(inside.location.path).read_bytes()
    segment = tmp_path / "segment"
    segment.write_bytes(b"x" * 100 + data + b"y" * 100)
    ranged = Outgoing(MR, inside.sop_instance_uid, ByteRange(str(segment), 100, len(data)))
    with FaultyPacs(tmp_path / "pacs") as pacs:
        destination = DimseDestination("pacs", Peer("PEER", "127.0.0.1", pacs.port, "AINODE", TIMEOUT_S))
        assert destination.send([ranged])[0].error is None
        assert pacs.instances()[0].path.read_bytes().endswith(data[-600:])
