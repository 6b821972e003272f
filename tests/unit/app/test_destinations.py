"""What the configuration says of a destination becomes what it is sent."""

from __future__ import annotations

import socket
from collections.abc import Iterator
from pathlib import Path

import pytest

from node.app.destinations import destination
from node.app.reading_back import query_peer
from node.app.wishes import wishes
from node.config import DimseDestination, parse, reads_back, show
from node.domain.rendition import NO_WISHES, Rendition, Wishes
from node.domain.result import Outcome
from node.errors import ConfigurationError, DestinationUnreachable, NotFound
from tests.fakes.fhir_peer import FhirServer
from tests.fakes.smtp_peer import MailServer
from tests.fakes.web_peer import Reply, StowServer, WebServer

PEER = {"ae_title": "PACS", "host": "127.0.0.1", "port": 104}


def wishes_of(**keys: object) -> Wishes:
    config = parse({"destinations": [{"name": "pacs", **PEER, **keys}]}, Path("/"), {})
    return wishes(config)["pacs"]


def test_by_default_a_destination_gets_what_every_one_gets() -> None:
    assert wishes_of() == NO_WISHES == wishes_of(pictures=[], segmentation="model")


def test_pictures_and_a_type_of_segmentation() -> None:
    both = wishes_of(pictures=["secondary_capture", "presentation_state"], segmentation="labelmap")
    assert both == Wishes(frozenset({Rendition.SECONDARY_CAPTURE, Rendition.PRESENTATION_STATE}), Rendition.LABELMAP)
    assert both.renditions == {Rendition.SECONDARY_CAPTURE, Rendition.PRESENTATION_STATE, Rendition.LABELMAP}
    assert wishes_of(segmentation="binary").segmentation is Rendition.BINARY


@pytest.mark.parametrize(("key", "value"), [("pictures", ["film"]), ("segmentation", "fractional")])
def test_an_unknown_word_is_named_with_its_key(key: str, value: object) -> None:
    with pytest.raises(ConfigurationError) as refused:
        wishes_of(**{key: value})
    assert f"destinations[0].{key}" in str(refused.value)


def test_messages_are_made_of_main_reports() -> None:
    ris = {"name": "pacs", "type": "hl7", "host": "127.0.0.1", "port": 2575}
    ehr = {"name": "ehr", "type": "fhir", "url": "http://127.0.0.1"}
    found = wishes(parse({"destinations": [ris, ehr]}, Path("/"), {}))
    assert found == {"pacs": Wishes(main_report_only=True), "ehr": Wishes(main_report_only=True)}


@pytest.fixture
def listening() -> Iterator[int]:
    with socket.create_server(("127.0.0.1", 0)) as server:
        yield server.getsockname()[1]


def test_each_type_is_asked_in_its_own_way(tmp_path: Path, listening: int) -> None:
    (tmp_path / "share").mkdir()
    (tmp_path / "token").write_text("t0ken\n")
    with StowServer() as web, FhirServer() as ehr:
        tables = [
            {"name": "folder", "type": "folder", "path": "share"},
            {"name": "stow", "type": "stow", "url": f"{web.url}/dicom-web/", "bearer_token_file": "token"},
            {"name": "hl7", "type": "hl7", "host": "127.0.0.1", "port": listening},
            {"name": "fhir", "type": "fhir", "url": ehr.url, "username": "node"},
        ]
        variables = {"AINODE_DESTINATIONS__3__PASSWORD": "s3cret"}
        config = parse({"destinations": tables}, tmp_path, variables)
        for name in ("folder", "stow", "hl7", "fhir"):
            made = destination(config, name)
            assert (made.name, made.commits) == (name, False)
            made.echo()
        assert web.requests[0].headers["authorization"] == "Bearer t0ken"
        assert ehr.requests[0].headers["authorization"] == "Basic bm9kZTpzM2NyZXQ="
    (tmp_path / "share").rmdir()
    for name in ("folder", "stow", "fhir"):
        with pytest.raises(DestinationUnreachable):
            destination(config, name).echo()


MAIL = {"name": "mail", "type": "email", "host": "127.0.0.1", "sender": "a@b.org", "recipients": ["c@d.org"]}


def test_what_is_told_of_chosen_outcomes(tmp_path: Path) -> None:
    with MailServer(login=("node", "s3cret")) as server, WebServer(lambda _: Reply(204)) as web:
        tables = [
            MAIL | {"port": server.port, "security": "none", "username": "node", "outcomes": ["POSITIVE", "FAILED"]},
            {"name": "board", "type": "webhook", "url": web.url},
        ]
        config = parse({"destinations": tables}, tmp_path, {"AINODE_DESTINATIONS__0__PASSWORD": "s3cret"})
        assert "s3cret" not in str(show(config))
        told = wishes(config)
        assert told["mail"] == Wishes(main_report_only=True, outcomes=frozenset({"POSITIVE", "FAILED"}))
        assert [told["board"].tells(one) for one in Outcome if one.name not in ("PENDING", "NOT_WANTED")] == [True] * 5
        for name in ("mail", "board"):
            destination(config, name).echo()


def test_a_secret_of_a_webhook_that_cannot_be_used_is_named(tmp_path: Path) -> None:
    (tmp_path / "secret").write_text("whsec_!\n")
    hook = {"name": "board", "type": "webhook", "url": "http://127.0.0.1", "secret_file": "secret"}
    with pytest.raises(ConfigurationError, match="no base64"):
        destination(parse({"destinations": [hook]}, tmp_path, {}), "board")


@pytest.mark.parametrize(
    ("changes", "problem"),
    [
        ({"outcomes": ["MAYBE"]}, "destinations[0].outcomes[0]: must be one of 'POSITIVE', 'NEGATIVE'"),
        ({"outcomes": []}, "destinations[0].outcomes: must not be empty"),
        ({"recipients": []}, "destinations[0].recipients: must not be empty"),
        ({"recipients": "c@d.org"}, "destinations[0].recipients: must be a list"),
        ({"recipients": ["c@d.org\r\nBcc: e@f.org"]}, "destinations[0].recipients[0]: must be an address"),
        ({"sender": "A <a@b.org>"}, "destinations[0].sender: must be an address"),
        ({"password": "s3cret"}, "set AINODE_DESTINATIONS__0__PASSWORD or name a password_file"),
        ({"username": "node"}, "username and a password go together"),
        ({"host": "mail", "security": "none", "accession_number": True}, "is not sent without TLS"),
        ({"pages_url": "javascript:x"}, "destinations[0].pages_url: must begin with http://"),
        ({"recipient": ["c@d.org"]}, "destinations[0].recipient: unknown key; did you mean 'recipients'?"),
    ],
)
def test_what_is_wrong_with_an_email_is_named(tmp_path: Path, changes: dict[str, object], problem: str) -> None:
    with pytest.raises(ConfigurationError) as refused:
        parse({"destinations": [MAIL | changes]}, tmp_path, {})
    assert problem in str(refused.value)


def test_a_pacs_is_asked_itself_or_who_answers_for_it() -> None:
    asked = {"name": "pacs", **PEER, "read_back": True}
    table = {"query_ae_title": "QUERY", "query_port": 105}
    for changes, expected in (({}, ("PACS", "127.0.0.1", 104)), (table, ("QUERY", "127.0.0.1", 105))):
        config = parse({"destinations": [asked | changes]}, Path("/"), {})
        (settings,) = config.destinations
        assert isinstance(settings, DimseDestination)
        peer = query_peer(config, settings)
        assert (peer.ae_title, peer.host, peer.port) == expected
        assert reads_back(settings)
    with pytest.raises(ConfigurationError, match="read_back"):
        parse({"destinations": [{"name": "f", "type": "folder", "path": "/x", "read_back": True}]}, Path("/"), {})


def test_a_destination_that_nobody_configured() -> None:
    with pytest.raises(NotFound, match="there are: pacs"):
        destination(parse({"destinations": [{"name": "pacs", **PEER}]}, Path("/"), {}), "pasc")
