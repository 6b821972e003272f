"""Who may log in, who may ask, and certificates that end."""

from __future__ import annotations

import subprocess
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from node.app.clock import SystemClock
from node.app.doctor import access
from node.app.doctor.certificate import not_after, valid_until
from node.config import Config, parse
from node.database.accounts import SqlAccounts
from node.database.engine import make_engine
from node.database.migrations import upgrade
from tests.peers import require_program
from tests.tls import Certificates, certificates


def config(**sections: Any) -> Config:
    return parse(sections, Path("/"), {})


def test_somebody_must_be_able_to_log_in(tmp_path: Path) -> None:
    engine, clock = make_engine(f"sqlite:///{tmp_path}/ainode.db"), SystemClock()
    upgrade(engine)
    kept = SqlAccounts(engine, clock, "cli:test")

    def status() -> str:
        return str(next(access.accounts(engine, clock)).status)

    assert status() == "WARN"
    kept.add("ada", "digest")
    assert status() == "OK"
    kept.disable("ada")
    assert status() == "WARN"
    engine.dispose()


def test_pages_beyond_this_machine() -> None:
    assert [str(next(access.pages(config(web={"host": host}))).status) for host in ("127.0.0.1", "localhost")] == [
        "OK",
        "OK",
    ]
    assert str(next(access.pages(config(web={"host": "0.0.0.0"}))).status) == "WARN"


@pytest.mark.parametrize(
    ("receive", "query", "status"),
    [
        ({}, {}, "OK"),
        ({}, {"enabled": False, "allow": [{"ae_title": "WS"}]}, "OK"),
        ({}, {"allow": [{"ae_title": "WS"}]}, "WARN"),
        ({"allow": [{"ae_title": "WS"}]}, {"allow": [{"ae_title": "WS"}]}, "WARN"),
        ({}, {"allow": [{"ae_title": "WS", "host": "10.0.0.7"}]}, "OK"),
        ({"allow": [{"ae_title": "WS", "host": "10.0.0.7"}]}, {"allow": [{"ae_title": "WS"}]}, "OK"),
    ],
)
def test_who_may_ask(receive: dict[str, Any], query: dict[str, Any], status: str) -> None:
    (found,) = access.services(config(receive=receive, query=query))
    assert (found.id, str(found.status)) == ("query", status)


def test_who_may_ask_for_workitems() -> None:
    for allow, status in (({"ae_title": "RIS"}, "WARN"), ({"ae_title": "RIS", "host": "10.0.0.8"}, "OK")):
        _, found = access.services(config(ups={"enabled": True, "allow": [allow]}))
        assert (found.id, str(found.status)) == ("ups.allow", status)


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> Certificates:
    return certificates(tmp_path_factory.mktemp("tls"))


def tls(made: Certificates, **changes: Path) -> Config:
    section = {"certificate": made.server.certificate, "key": made.server.key, "client_ca": made.ca} | changes
    return config(receive={"tls": {key: str(path) for key, path in section.items()}})


@pytest.mark.parametrize(
    ("later", "status"), [(timedelta(days=-60), "OK"), (timedelta(0), "WARN"), (timedelta(days=3), "FAIL")]
)
def test_certificates_that_end(made: Certificates, later: timedelta, status: str) -> None:
    """They are valid for two days."""
    found = list(access.certificates(tls(made), datetime.now(UTC) + later))
    assert {one.id: str(one.status) for one in found} == {
        "certificate.receive.tls.certificate": status,
        "certificate.receive.tls.client_ca": status,
    }


def test_what_is_no_certificate_and_another_s_key(made: Certificates, tmp_path: Path) -> None:
    (tmp_path / "letter.pem").write_text("Dear Sir")
    now = datetime.now(UTC) - timedelta(days=60)
    found = {one.id: one for one in access.certificates(tls(made, client_ca=tmp_path / "letter.pem"), now)}
    assert str(found["certificate.receive.tls.client_ca"].status) == "FAIL"
    found = {one.id: one for one in access.certificates(tls(made, key=made.client.key), now)}
    assert str(found["certificate.receive.tls.key"].status) == "FAIL"


def test_the_end_is_read_as_openssl_reads_it(made: Certificates) -> None:
    for identity in (made.server, made.client, made.stranger):
        told = subprocess.run(
            [require_program("openssl"), "x509", "-enddate", "-noout", "-in", identity.certificate],
            capture_output=True, text=True, check=True, timeout=60,
        ).stdout  # fmt: skip
        expected = datetime.strptime(told.strip(), "notAfter=%b %d %H:%M:%S %Y GMT").replace(tzinfo=UTC)
        assert valid_until(identity.certificate) == [expected]


def test_bytes_that_are_no_certificate() -> None:
    for der in (b"", b"\x30\x03\x02\x01\x01", b"\x30\x82\xff\xff\x00", b"\x30" * 40):
        with pytest.raises(ValueError, match=r"certificate"):
            not_after(der)
