"""Ports that are taken or dead, and peers that are away."""

from __future__ import annotations

import socket
from collections.abc import Iterable
from pathlib import Path
from typing import Any

import pytest
from pynetdicom.sop_class import Verification

from node.app.doctor import traffic
from node.app.doctor.finding import Finding, Status, look_at
from node.config import Config, parse
from node.deliver.association import ClosingEntity
from tests.fakes.peer_pacs import FaultyPacs
from tests.fakes.web_peer import Reply, WebServer
from tests.peers import free_port
from tests.tls import certificates

LOOPBACK = "127.0.0.1"


def config(**sections: Any) -> Config:
    return parse(sections, Path("/"), {})


def only(found: Iterable[Finding]) -> tuple[str, str, str]:
    (one,) = found
    assert bool(one.advice) == (one.status is not Status.OK)
    return one.id, str(one.status), one.found


def test_a_port_that_nobody_has_is_free_and_one_that_is_taken_is_not() -> None:
    with socket.create_server((LOOPBACK, 0)) as taken:
        port = taken.getsockname()[1]
        at = config(receive={"host": LOOPBACK, "port": port}, web={"port": port + 1 if port < 65535 else port - 1})
        assert only(traffic.receive_port(at, {}))[1] == "FAIL"
    assert only(traffic.receive_port(at, {}))[1] == "OK"
    elsewhere = config(web={"host": "192.0.2.1", "port": free_port()})  # no address of this machine (RFC 5737)
    assert only(traffic.web_port(elsewhere, {}))[1] == "FAIL"


def test_a_receiver_is_asked_on_the_port_that_it_says(tmp_path: Path) -> None:
    with FaultyPacs(tmp_path, ae_title="AINODE") as receiver:
        found = only(traffic.receive_port(config(), {"receive": {"port": receiver.port}}))
        assert found[1:] == ("OK", f"port {receiver.port} answers C-ECHO")
    check, status, told = only(traffic.receive_port(config(), {"receive": {"port": receiver.port}}))
    assert (check, status) == ("receive", "FAIL")
    assert "DestinationUnreachable" in told


def test_a_receiver_that_refuses_us_is_there() -> None:
    entity = ClosingEntity(ae_title="AINODE")
    entity.add_supported_context(Verification)
    entity.require_calling_aet = ["CT1"]
    server = entity.start_server((LOOPBACK, 0), block=False)
    try:
        served = {"receive": {"port": server.socket.getsockname()[1]}}
        _, status, told = only(traffic.receive_port(config(), served))
    finally:
        server.shutdown()
    assert status == "OK"
    assert "refuses our own AE title" in told


def test_a_receiver_with_tls_shakes_hands(tmp_path: Path) -> None:
    made = certificates(tmp_path)
    tls = {"certificate": str(made.server.certificate), "key": str(made.server.key)}
    with WebServer(lambda request: Reply(200), made.server_context()) as server:
        served = {"receive": {"port": int(server.url.rpartition(":")[2])}}
        assert only(traffic.receive_port(config(receive={"tls": tls}), served))[1] == "OK"
    assert only(traffic.receive_port(config(receive={"tls": tls}), served))[1] == "FAIL"


@pytest.mark.parametrize(("status", "expected"), [(200, "OK"), (500, "FAIL"), (503, "FAIL")])
def test_the_pages_are_asked_whether_they_live(status: int, expected: str) -> None:
    with WebServer(lambda request: Reply(status)) as server:
        port = int(server.url.rpartition(":")[2])
        assert only(traffic.web_port(config(), {"web": {"port": port}}))[1] == expected


def test_workitems_have_a_port_where_they_are_served(tmp_path: Path) -> None:
    assert list(traffic.ups_port(config(), {})) == []
    port = free_port()
    ups = {"enabled": True, "host": LOOPBACK, "port": port, "allow": [{"ae_title": "RIS"}]}
    assert only(traffic.ups_port(config(ups=ups), {}))[:2] == ("ups", "OK")
    assert only(traffic.ups_port(config(ups=ups), {"ups": {"port": port}}))[:2] == ("ups", "FAIL")


def test_every_peer_is_asked_in_its_own_way(tmp_path: Path) -> None:
    away = free_port()
    dead = {"ae_title": "GONE", "host": LOOPBACK, "port": away}
    with FaultyPacs(tmp_path / "held", ae_title="PEER") as pacs, socket.create_server((LOOPBACK, 0)) as listener:
        site = config(
            destinations=[
                {"name": "pacs", "ae_title": "PEER", "host": LOOPBACK, "port": pacs.port},
                {"name": "dead", **dead},
                {"name": "share", "type": "folder", "path": str(tmp_path)},
                {"name": "unplugged", "type": "folder", "path": str(tmp_path / "absent")},
                {"name": "ris", "type": "hl7", "host": LOOPBACK, "port": listener.getsockname()[1]},
                {"name": "ehr", "type": "fhir", "url": f"http://{LOOPBACK}:{away}/fhir"},
                {"name": "web", "type": "stow", "url": f"http://{LOOPBACK}:{away}/dicom-web"},
            ],
            sources=[{"name": "archive", **dead}],
        )
        found = {one.id: str(one.status) for one in look_at(list(traffic.peers(site)))}
    assert found == {
        "destination.pacs": "OK",
        "destination.dead": "FAIL",
        "destination.share": "OK",
        "destination.unplugged": "FAIL",
        "destination.ris": "OK",
        "destination.ehr": "FAIL",
        "destination.web": "FAIL",
        "source.archive": "WARN",
    }


def test_where_a_server_is_reached() -> None:
    assert [traffic.reached(host) for host in ("0.0.0.0", "::", "10.0.0.7")] == [LOOPBACK, "::1", "10.0.0.7"]
