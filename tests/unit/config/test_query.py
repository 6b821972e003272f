"""Who may ask what the node holds, and what is left open to everybody."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from node.app.querying import move_destinations
from node.config import open_to_everybody, parse
from node.errors import ConfigurationError

BASE = Path("/site")
TLS = {"certificate": "/c.pem", "key": "/k.pem", "client_ca": "/ca.pem"}
BY_TITLE, BY_BOTH = {"ae_title": "WS"}, {"ae_title": "WS", "host": "10.0.0.8"}


def test_nobody_may_ask_by_default() -> None:
    config = parse({}, BASE, {})
    assert (config.query.enabled, config.query.allow, config.query.move_to) == (True, (), ())


@pytest.mark.parametrize(
    ("raw", "keys"),
    [
        ({}, ["receive.allow"]),
        ({"receive": {"allow": [BY_BOTH]}}, []),
        ({"receive": {"tls": TLS}, "query": {"allow": [BY_TITLE]}}, []),
        ({"receive": {"allow": [BY_BOTH]}, "query": {"allow": [BY_TITLE]}}, []),
        ({"receive": {"allow": [BY_TITLE]}, "query": {"allow": [BY_BOTH, BY_TITLE]}}, ["query.allow[1]"]),
        ({"query": {"enabled": False, "allow": [BY_TITLE]}}, ["receive.allow"]),
        ({"receive": {"allow": [BY_BOTH]}, "ups": {"enabled": True, "allow": [BY_TITLE]}}, ["ups.allow[0]"]),
    ],
)
def test_what_is_open_to_everybody(raw: dict[str, Any], keys: list[str]) -> None:
    assert [path for path, _ in open_to_everybody(parse(raw, BASE, {}))] == keys


def test_where_a_move_may_go() -> None:
    """The PACS that results go to, and what is named for this alone, which wins."""
    pacs = {"name": "pacs", "ae_title": "PACS", "host": "10.0.0.1", "port": 104}
    folder = {"name": "share", "type": "folder", "path": "/tmp"}
    places = [{"ae_title": "WS", "host": "10.0.0.8", "port": 11112, "timeout_s": 5.0}]
    config = parse({"destinations": [pacs, folder], "query": {"move_to": places}}, BASE, {})
    found = {title: (one.host, one.port, one.timeout_s) for title, one in move_destinations(config).items()}
    assert found == {"PACS": ("10.0.0.1", 104, 30.0), "WS": ("10.0.0.8", 11112, 5.0)}
    other = parse({"destinations": [pacs], "query": {"move_to": [{**places[0], "ae_title": "PACS"}]}}, BASE, {})
    assert move_destinations(other)["PACS"].host == "10.0.0.8"


def test_one_title_for_two_places() -> None:
    place = {"ae_title": "WS", "host": "10.0.0.8", "port": 104}
    with pytest.raises(ConfigurationError) as caught:
        parse({"query": {"move_to": [place, {**place, "host": "10.0.0.9"}]}}, BASE, {})
    assert caught.value.problems == (("query.move_to[1].ae_title", "'WS' is used twice"),)
