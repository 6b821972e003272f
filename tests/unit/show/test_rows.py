"""Rows that are kept: the same again for what is the same, another for whatever a reader could tell apart."""

from __future__ import annotations

from copy import deepcopy
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from node.show.application import TEMPLATE_FOLDERS, WORDS
from node.show.assets import read_assets
from node.show.language import Catalogue
from node.show.list_page.rows import Rows
from node.show.pages import Pages
from node.show.visitor import Visitor

NOW = datetime(2030, 1, 1, 12, tzinfo=UTC)
STUDY: dict[str, Any] = {
    "study_instance_uid": "1.2.3",
    "accession_number": "A1",
    "study_description": "HEAD",
    "modalities": ["MR"],
    "received_at": "2030-01-01T11:30:00+00:00",
    "patient": {"id": "P", "name": "NOBODY^FILLED", "birth_date": "19700101", "sex": "O"},
    "acquired_at": None,
    "models": [
        {"model": "m", "outcome": "PENDING", "finding": None, "reason": None, "jobs": [7]},
        {"model": "n", "outcome": "NOT WANTED", "finding": None, "reason": None, "jobs": []},
    ],
    "delivery": {"wanted": 2, "to_commit": 2, "stored": 2, "committed": 1, "read_back": None, "failed": 0},
    "assessment": None,
    "urgency": 1,
}


@pytest.fixture(scope="module")
def rows() -> Rows:
    return Rows(Pages(Catalogue(*WORDS), read_assets(), TEMPLATE_FOLDERS))


def test_what_is_the_same_is_rendered_once(rows: Rows) -> None:
    first = rows.html(STUDY, Visitor(), NOW, {})
    assert rows.html(deepcopy(STUDY), Visitor(), NOW + timedelta(seconds=10), {}) is first


def test_whoever_asked_first_leaves_no_trace(rows: Rows) -> None:
    named = rows.html(STUDY | {"accession_number": "A2"}, Visitor(user="reader", csrf="s3cret", theme="dark"), NOW, {})
    assert "s3cret" not in named
    assert "reader" not in named
    assert rows.html(STUDY | {"accession_number": "A2"}, Visitor(), NOW, {}) is named


def test_whatever_a_reader_could_tell_apart_is_rendered_anew(rows: Rows) -> None:
    first = rows.html(STUDY, Visitor(), NOW, {})
    assessed = STUDY | {"assessment": [{"model": "m", "decision": "ACCEPT", "by": "reader"}]}
    others = [
        rows.html(assessed, Visitor(), NOW, {}),
        rows.html(STUDY | {"delivery": STUDY["delivery"] | {"committed": 2}}, Visitor(), NOW, {}),
        rows.html(STUDY, Visitor(language="zh"), NOW, {}),
        rows.html(STUDY, Visitor(), NOW + timedelta(minutes=1), {}),
        rows.html(STUDY, Visitor(), NOW, {7: NOW + timedelta(seconds=30)}),
        rows.html(STUDY, Visitor(), NOW, {7: NOW + timedelta(minutes=5)}),
    ]
    assert len({first, *others}) == 7


def test_states_of_delivery_have_their_dots(rows: Rows) -> None:
    html = rows.html(STUDY, Visitor(), NOW, {})
    assert html.count('<span class="dot ') == 3
    assert '<span class="dot all"></span><span class="dot some"></span><span class="dot unknown"></span>' in html
