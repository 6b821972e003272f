"""Orthanc's DICOMweb as the target of STOW-RS, and a server that wants to see a certificate."""

from __future__ import annotations

from pathlib import Path

import pytest

from node.deliver.http import WebAccess, WebPeer
from node.deliver.part10 import split
from node.deliver.stow import StowDestination
from node.domain.delivery import DeliveryState
from node.errors import DestinationUnreachable
from tests.fakes.web_peer import StowServer
from tests.integration.delivering import Desk
from tests.objects import MR, SEG, SR, data_set, outgoing, part10
from tests.orthanc import DICOM_WEB_PLUGIN, Orthanc
from tests.peers import absent
from tests.tls import Certificates, Identity, certificates

TIMEOUT_S = 60.0


def stow(url: str, **access: object) -> StowDestination:
    return StowDestination("web", WebPeer(WebAccess(url, TIMEOUT_S, **access)))


def test_results_reach_orthanc_by_stow_and_are_read_back_bit_for_bit(tmp_path: Path) -> None:
    if not DICOM_WEB_PLUGIN.is_file():
        absent("Orthanc's DICOMweb plugin is not installed")
    desk = Desk(tmp_path / "objects")
    for number, kind in enumerate((SEG, SR, MR)):
        desk.add(data_set(kind, number), "web")
    with Orthanc(tmp_path / "orthanc", dicom_web=True) as orthanc:
        destination = stow(f"{orthanc.url}/dicom-web")
        destination.echo()
        desk.sender(destination).run_once()
        assert desk.outbox.states() == [DeliveryState.STORED] * 3
        for number, kind in enumerate((SEG, SR, MR)):
            sent = data_set(kind, number)
            assert split(orthanc.part10(str(sent.SOPInstanceUID))) == split(part10(sent))
        elsewhere = stow(f"{orthanc.url}/no-dicom-web").send([outgoing(tmp_path, data_set(MR, 9))])
        assert [one.error.code for one in elsewhere if one.error] == ["DestinationUnreachable"]


@pytest.fixture(scope="module")
def known(tmp_path_factory: pytest.TempPathFactory) -> Certificates:
    return certificates(tmp_path_factory.mktemp("tls"))


def test_mutual_tls(known: Certificates, tmp_path: Path) -> None:
    objects = [outgoing(tmp_path, data_set(MR, 1))]

    def sent_as(ours: Identity | None, ca: Path | None) -> StowDestination:
        named = {} if ours is None else {"certificate": ours.certificate, "key": ours.key}
        return stow(server.url, ca_certificate=ca, **named)

    with StowServer(known.server_context()) as server:
        assert sent_as(known.client, known.ca).send(objects)[0].error is None
        for ours, ca in ((None, known.ca), (known.stranger, known.ca), (known.client, None)):
            with pytest.raises(DestinationUnreachable):
                sent_as(ours, ca).send(objects)
        assert len(server.kept) == 1
