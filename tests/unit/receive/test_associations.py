from __future__ import annotations

import threading

import pytest

from node.receive.associations import ABORTED, LOST, Associations, Link
from tests.fakes.catalogue import FakeCatalogue


def link() -> Link:
    return Link(host="10.0.0.1", calling_ae="CT1", called_ae="AINODE")


def test_an_association_is_recorded_once_and_its_end_as_it_was() -> None:
    catalogue, one = FakeCatalogue(), link()
    one.record(catalogue, "receiver-1")
    one.record(catalogue, "receiver-1")
    assert len(catalogue.associations) == 1
    one.ended = ABORTED
    one.record_end(catalogue)
    (recorded,) = catalogue.associations.values()
    assert (recorded.calling_ae, recorded.called_ae, recorded.peer_host) == ("CT1", "AINODE", "10.0.0.1")
    assert (recorded.receiver, recorded.ended) == ("receiver-1", ABORTED)


def test_without_an_instance_nothing_is_recorded() -> None:
    catalogue = FakeCatalogue()
    link().record_end(catalogue)
    assert catalogue.associations == {}


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
