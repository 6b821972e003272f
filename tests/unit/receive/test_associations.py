from __future__ import annotations

import threading
from datetime import UTC, datetime

import pytest

from node.domain.study import AssociationFacts
from node.receive.associations import LOST, Associations, Link

OPENED = datetime(2030, 1, 1, tzinfo=UTC)


def link() -> Link:
    return Link("10.0.0.1", "receiver-1", OPENED, calling_ae="CT1", called_ae="AINODE")


def test_the_facts_are_those_of_the_link() -> None:
    one = link()
    assert one.facts() == AssociationFacts(one.id, "CT1", "AINODE", "10.0.0.1", "receiver-1", OPENED)


def test_an_end_without_a_word_is_a_loss() -> None:
    assert link().ended == LOST


def test_every_link_has_its_own_identity() -> None:
    assert link().id != link().id


def test_waiting_ends_when_the_last_has_left() -> None:
    associations: Associations[str] = Associations()
    assert associations.wait_until_none(0)
    associations.arrive("a", link())
    assert not associations.wait_until_none(0)
    assert associations.all() == ["a"]
    leaving = threading.Thread(target=associations.leave, args=("a",))
    leaving.start()
    assert associations.wait_until_none(10)
    leaving.join()
    with pytest.raises(KeyError):
        associations.of("a")
    associations.leave("a")
