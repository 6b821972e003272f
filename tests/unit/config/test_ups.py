"""``[ups]``: off by default, and never open to everybody."""

from __future__ import annotations

from pathlib import Path

import pytest

from node.config import parse
from node.errors import ConfigurationError

BASE = Path("/site")


def test_by_default_no_workitem_is_served() -> None:
    assert not parse({}, BASE, {}).ups.enabled


def test_who_may_ask_is_said() -> None:
    with pytest.raises(ConfigurationError) as caught:
        parse({"ups": {"enabled": True}}, BASE, {})
    [(key, problem)] = caught.value.problems
    assert (key, "names of patients" in problem) == ("ups.allow", True)
    config = parse({"ups": {"enabled": True, "allow": [{"ae_title": "WORKLIST"}]}}, BASE, {})
    assert [peer.ae_title for peer in config.ups.allow] == ["WORKLIST"]


def test_its_port_is_its_own() -> None:
    with pytest.raises(ConfigurationError) as caught:
        parse({"receive": {"port": 104}, "ups": {"port": 104}}, BASE, {})
    assert dict(caught.value.problems) == {"ups.port": "104 is the port of the receiver already"}


def test_reviews_are_workitems() -> None:
    with pytest.raises(ConfigurationError) as caught:
        parse({"ups": {"review": {"enabled": True}}}, BASE, {})
    assert [key for key, _ in caught.value.problems] == ["ups.review"]
    raw = {"ups": {"enabled": True, "allow": [{"ae_title": "DESK"}], "review": {"enabled": True, "after": "analysis"}}}
    review = parse(raw, BASE, {}).ups.review
    assert (review.label, review.code.value, review.after) == ("Review AI results", "110005", "analysis")


@pytest.mark.parametrize(
    "wrong", [{"label": "a\\b"}, {"label": " "}, {"code": {"value": "x" * 17}}, {"after": "never"}]
)
def test_what_a_review_cannot_be_called(wrong: dict[str, object]) -> None:
    with pytest.raises(ConfigurationError):
        parse({"ups": {"enabled": True, "allow": [{"ae_title": "DESK"}], "review": wrong}}, BASE, {})


def test_a_subscriber_has_a_whole_address_or_none() -> None:
    ups: dict[str, object] = {"enabled": True, "allow": [{"ae_title": "DESK"}]}
    told = parse({"ups": {**ups, "receivers": [{"ae_title": "DESK"}]}}, BASE, {}).ups.receivers
    assert [(one.ae_title, one.host, one.port) for one in told] == [("DESK", None, None)]
    for half in ({"host": "10.0.0.7"}, {"port": 104}):
        with pytest.raises(ConfigurationError) as caught:
            parse({"ups": {**ups, "receivers": [{"ae_title": "DESK", **half}]}}, BASE, {})
        assert [key for key, _ in caught.value.problems] == ["ups.receivers[0].port"]
