"""DICOM TLS for those who connect to us: by real peers, by either path, and refused where it must be."""

from __future__ import annotations

import socket
import ssl
import subprocess
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import pytest

from node.config import ReceiveSection, TlsSection
from node.errors import ConfigurationError
from node.receive.status import Status
from node.receive.tls import server_context
from tests.integration.raw_scu import ASSOCIATE_AC, MR_STORAGE, P_DATA, RawScu, pdv, store_request
from tests.integration.receiving import AE_TITLE, Serve, data_set_of
from tests.objects import data_set, part10
from tests.peers import require_program
from tests.waiting import wait_for


@dataclass(frozen=True)
class Identity:
    certificate: Path
    key: Path


@dataclass(frozen=True)
class Authority:
    """A certificate authority with one of its servers, one of its clients, and a stranger."""

    ca: Path
    server: Identity
    client: Identity
    stranger: Identity


@pytest.fixture(scope="module")
def authority(tmp_path_factory: pytest.TempPathFactory) -> Authority:
    openssl = require_program("openssl")
    folder = tmp_path_factory.mktemp("tls")

    def run(*arguments: str) -> None:
        subprocess.run([openssl, *arguments], check=True, capture_output=True, cwd=folder, timeout=60)

    def self_signed(name: str) -> Identity:
        run(
            *("req", "-x509", "-newkey", "rsa:2048", "-nodes", "-days", "2", "-subj", f"/CN={name}"),
            *("-keyout", f"{name}.key", "-out", f"{name}.pem"),
        )
        return Identity(folder / f"{name}.pem", folder / f"{name}.key")

    def signed(name: str) -> Identity:
        run(
            "req",
            "-newkey",
            "rsa:2048",
            "-nodes",
            "-subj",
            f"/CN={name}",
            "-keyout",
            f"{name}.key",
            "-out",
            f"{name}.csr",
        )
        run(
            *("x509", "-req", "-in", f"{name}.csr", "-CA", "ca.pem", "-CAkey", "ca.key", "-CAcreateserial"),
            *("-days", "2", "-out", f"{name}.pem"),
        )
        return Identity(folder / f"{name}.pem", folder / f"{name}.key")

    ca = self_signed("ca")
    return Authority(ca.certificate, signed("server"), signed("client"), self_signed("stranger"))


def config(authority: Authority, *, mutual: bool = True, timeout_s: float = 20.0) -> ReceiveSection:
    tls = TlsSection(
        certificate=authority.server.certificate,
        key=authority.server.key,
        client_ca=authority.ca if mutual else None,
    )
    return ReceiveSection(host="127.0.0.1", port=0, timeout_s=timeout_s, max_associations=2, tls=tls)


def client_context(authority: Authority, identity: Identity | None) -> ssl.SSLContext:
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.check_hostname = False
    context.load_verify_locations(authority.ca)
    if identity is not None:
        context.load_cert_chain(identity.certificate, identity.key)
    return context


class TlsScu(RawScu):
    def __init__(self, address: tuple[str, int], context: ssl.SSLContext) -> None:
        super().__init__(address)
        self.connection = context.wrap_socket(self.connection)


Connect = Callable[[tuple[str, int]], TlsScu]


def send(scu: RawScu, number: int, size: int = 300) -> int | None:
    made = data_set(number=number, size=size)
    scu.store(MR_STORAGE, made.SOPInstanceUID, data_set_of(part10(made)))
    return scu.status()


@pytest.mark.parametrize("version", [ssl.TLSVersion.TLSv1_2, ssl.TLSVersion.TLSv1_3])
def test_objects_come_through(serve: Serve, tmp_path: Path, authority: Authority, version: ssl.TLSVersion) -> None:
    context = client_context(authority, authority.client)
    context.minimum_version = context.maximum_version = version
    with serve(tmp_path, config(authority)) as site, TlsScu(site.address, context) as scu:
        assert scu.associate()[0] == ASSOCIATE_AC
        for number in range(3):
            assert send(scu, number) == Status.SUCCESS
        # Everything in few records: there is more in the TLS layer than the socket shows.
        sent = b""
        for number in range(3, 6):
            made = data_set(number=number)
            values = [pdv(store_request(MR_STORAGE, made.SOPInstanceUID), command=True, last=True)]
            values.append(pdv(data_set_of(part10(made)), command=False, last=True))
            sent += b"".join(bytes([P_DATA, 0]) + len(value).to_bytes(4, "big") + value for value in values)
        scu.connection.sendall(sent)
        assert [scu.status() for _ in range(3)] == [Status.SUCCESS] * 3
        scu.release()
        assert len(site.data_sets()) == 6
        assert site.wait_for_ends(1) == ["released"]
        site.assert_tidy()


def test_storescu_and_echoscu_of_dcmtk(serve: Serve, tmp_path: Path, authority: Authority) -> None:
    storescu, echoscu = require_program("storescu"), require_program("echoscu")
    source = tmp_path / "sent.dcm"
    source.write_bytes(part10(data_set(size=400)))
    tls = ["+tls", str(authority.client.key), str(authority.client.certificate), "+cf", str(authority.ca)]
    with serve(tmp_path / "site", config(authority)) as site:
        host, port = site.address
        for program, more in ((echoscu, []), (storescu, [str(source)])):
            command = [program, *tls, "-aec", AE_TITLE, host, str(port), *more]
            done = subprocess.run(command, capture_output=True, text=True, timeout=60, check=False)
            assert done.returncode == 0, done.stdout + done.stderr
        assert list(site.data_sets().values()) == [data_set_of(source.read_bytes())]


def test_without_a_client_ca_anybody_may_connect(serve: Serve, tmp_path: Path, authority: Authority) -> None:
    with (
        serve(tmp_path, config(authority, mutual=False)) as site,
        TlsScu(site.address, client_context(authority, None)) as scu,
    ):
        assert scu.associate()[0] == ASSOCIATE_AC
        assert send(scu, 1) == Status.SUCCESS


def old(authority: Authority) -> ssl.SSLContext:
    context = client_context(authority, authority.client)
    context.set_ciphers("AES128-SHA256:ECDHE-RSA-AES128-SHA256")  # CBC
    context.maximum_version = ssl.TLSVersion.TLSv1_2
    return context


@pytest.mark.parametrize("who", ["nobody", "stranger", "cbc", "plain"])
def test_who_does_not_get_in(serve: Serve, tmp_path: Path, authority: Authority, who: str) -> None:
    with serve(tmp_path, config(authority)) as site:
        if who == "plain":
            with RawScu(site.address) as scu, pytest.raises((AssertionError, OSError)):
                scu.associate()
        else:
            contexts = {"nobody": None, "stranger": authority.stranger}
            context = old(authority) if who == "cbc" else client_context(authority, contexts[who])
            # With TLS 1.3 a client learns at its first read that its certificate is not welcome.
            with pytest.raises((AssertionError, OSError)), TlsScu(site.address, context) as scu:
                scu.associate()
        with TlsScu(site.address, client_context(authority, authority.client)) as scu:
            assert scu.associate()[0] == ASSOCIATE_AC
        assert site.catalogue.stored() == []


def test_a_silent_handshake_delays_nobody_and_ends(serve: Serve, tmp_path: Path, authority: Authority) -> None:
    with serve(tmp_path, config(authority, timeout_s=3.0)) as site:
        silent = [socket.create_connection(site.address, timeout=20) for _ in range(2)]
        with TlsScu(site.address, client_context(authority, authority.client)) as scu:
            assert scu.associate()[0] == ASSOCIATE_AC
            assert send(scu, 1) == Status.SUCCESS
        for connection in silent:
            with connection:
                wait_for(lambda connection=connection: _is_closed(connection), "the silent connection is closed")  # type: ignore[misc]


def _is_closed(connection: socket.socket) -> bool:
    try:
        return connection.recv(1) == b""
    except ConnectionError:
        return True


def test_who_stops_inside_a_record_ends(serve: Serve, tmp_path: Path, authority: Authority) -> None:
    context = client_context(authority, authority.client)
    with serve(tmp_path, config(authority, timeout_s=3.0)) as site, TlsScu(site.address, context) as scu:
        assert scu.associate()[0] == ASSOCIATE_AC
        made = data_set()
        scu.send(P_DATA, pdv(store_request(MR_STORAGE, made.SOPInstanceUID), command=True, last=True))
        # The head of a TLS record of 256 bytes, and ten of them.
        raw = socket.socket(fileno=scu.connection.detach())
        with raw:
            raw.settimeout(20)
            raw.sendall(b"\x17\x03\x03\x01\x00" + b"\0" * 10)
            wait_for(lambda: _is_closed(raw), "the association ends")
        site.assert_tidy()


def test_files_that_are_no_certificate_are_named(tmp_path: Path, authority: Authority) -> None:
    nothing = tmp_path / "nothing.pem"
    garbage = tmp_path / "garbage.pem"
    garbage.write_text("no certificate")
    server = authority.server
    wrong = {
        "receive.tls.certificate": [
            TlsSection(certificate=nothing, key=server.key),
            TlsSection(certificate=garbage, key=server.key),
            TlsSection(certificate=server.certificate, key=authority.stranger.key),
        ],
        "receive.tls.client_ca": [
            TlsSection(certificate=server.certificate, key=server.key, client_ca=nothing),
            TlsSection(certificate=server.certificate, key=server.key, client_ca=garbage),
        ],
    }
    for path, sections in wrong.items():
        for section in sections:
            with pytest.raises(ConfigurationError) as refused:
                server_context(section)
            assert [problem[0] for problem in refused.value.problems] == [path]
