from __future__ import annotations

import pynetdicom
import pytest
from pynetdicom import dul, fsm
from pynetdicom.association import Association
from pynetdicom.transport import AssociationSocket

from node.receive import pdu, self_check


def test_the_pynetdicom_that_we_depend_on_is_usable() -> None:
    assert self_check.unusable() == ""


def test_a_name_that_is_gone(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delattr(Association, "_serve_request")
    assert self_check.unusable() == "Association._serve_request"


def test_a_method_with_other_parameters(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(AssociationSocket, "recv", lambda self, count, flags: None)
    assert self_check.unusable() == "AssociationSocket.recv"


def test_a_property_that_became_a_method(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(AssociationSocket, "ready", lambda self: True)
    assert self_check.unusable() == "AssociationSocket.ready"


def test_an_attribute_that_is_gone(monkeypatch: pytest.MonkeyPatch) -> None:
    before = dul.DULServiceProvider.__init__

    def without(self: dul.DULServiceProvider, assoc: Association) -> None:
        before(self, assoc)
        del self.state_machine.current_state

    monkeypatch.setattr(dul.DULServiceProvider, "__init__", without)
    assert self_check.unusable() == "dul.state_machine.current_state"


@pytest.mark.parametrize(("version", "usable"), [("3.0.3", False), ("3.0.4", True), ("3.0.9", True), ("3.1.0", False)])
def test_versions(monkeypatch: pytest.MonkeyPatch, version: str, usable: bool) -> None:
    monkeypatch.setattr(pynetdicom, "__version__", version)
    assert (self_check.unusable() == "") is usable


def test_a_version_that_is_no_number(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(pynetdicom, "__version__", "next")
    assert self_check.unusable() == "ValueError during the self-check"


def test_another_state_machine(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delitem(fsm.TRANSITION_TABLE, ("Evt19", "Sta6"))
    assert self_check.unusable() == "the state machine"


def test_other_bytes(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(pdu, "file_meta", lambda *_: b"")
    assert self_check.unusable() == "file meta information"


def test_another_response(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(pdu, "store_response", lambda *_: b"")
    assert self_check.unusable() == "C-STORE-RSP"
