"""Every status that a request about workitems can be answered with, asked for by another process (PS3.4 CC.2)."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

from node.app.conformance_ups import answered
from node.domain.workitem import FILTERED, GLOBAL
from node.errors import StoreUnavailable
from node.receive.ups_statuses import General, Service, status_of
from tests.integration.test_ups import (
    CANCEL,
    CLAIM,
    OTHER,
    SUBSCRIBE,
    SUSPEND,
    TRANSACTION,
    UNSUBSCRIBE,
    Site,
    performed,
    plain,
    request,
    site,
    subscribe,
)

__all__ = ["site"]  # the fixture

NOWHERE = "9.9.9.9"
HELD = {"TransactionUID": TRANSACTION}


def created(site: Site, uid: str, **changes: Any) -> str:
    return str(site.scu.ask(do="create", uid=uid, data_set=request(**changes))["status"])


def said(site: Site, uid: str, **values: Any) -> str:
    return str(site.scu.ask(do="set", uid=uid, data_set=plain(**values))["status"])


def got(site: Site, uid: str, tags: list[int]) -> str:
    return str(site.scu.ask(do="get", uid=uid, tags=tags)["status"])


def found(site: Site, **keys: Any) -> str:
    return str(site.scu.ask(do="find", data_set=keys)["status"])


def changed(site: Site, uid: str, state: str, **more: Any) -> str:
    return site.act(uid, CLAIM, ProcedureStepState=state, **more)


def claimed(site: Site) -> str:
    uid = site.job()
    assert site.claim(uid) == "0000"
    return uid


def ended(site: Site, state: str = "COMPLETED") -> str:
    uid = claimed(site)
    assert said(site, uid, **HELD, UnifiedProcedureStepPerformedProcedureSequence=performed()) == "0000"
    assert changed(site, uid, state, **HELD) == "0000"
    return uid


def twice(site: Site) -> str:
    assert created(site, "1.2.70.1") in ("0000", "0111")
    return created(site, "1.2.70.1")


def crowded(site: Site) -> str:
    for _ in range(21):
        site.job()
    return found(site, **plain(ProcedureStepState="SCHEDULED"))


OF_NOTHING = {"00404005": {"vr": "DT", "Value": ["yesterday"]}}
ASKED: list[tuple[str, str, Callable[[Site], str]]] = [
    ("N-CREATE", "0000", lambda site: created(site, "1.2.70.2")),
    ("N-CREATE", "B300", lambda site: created(site, "1.2.70.3", PatientName="Another^Name")),
    ("N-CREATE", "0106", lambda site: created(site, "1.2.70.4", ScheduledProcedureStepPriority="STAT")),
    ("N-CREATE", "0111", twice),
    ("N-CREATE", "0117", lambda site: created(site, "1.2.x")),
    ("N-CREATE", "0120", lambda site: created(site, "1.2.70.4", ProcedureStepLabel=None)),
    ("N-CREATE", "0121", lambda site: created(site, "1.2.70.4", ProcedureStepLabel="")),
    ("N-CREATE", "C309", lambda site: created(site, "1.2.70.4", ProcedureStepState="IN PROGRESS")),
    ("N-GET", "0000", lambda site: got(site, site.job(), [0x00741000])),
    ("N-GET", "0001", lambda site: got(site, site.job(), [0x00741000, 0x00081195])),
    ("N-GET", "C307", lambda site: got(site, NOWHERE, [])),
    ("N-SET", "0000", lambda site: said(site, site.job(), WorklistLabel="Night")),
    ("N-SET", "0001", lambda site: said(site, site.job(), PatientName="Another^Name")),
    ("N-SET", "0106", lambda site: said(site, site.job(), ProcedureStepState="IN PROGRESS")),
    ("N-SET", "C300", lambda site: said(site, ended(site), **HELD, WorklistLabel="Night")),
    ("N-SET", "C301", lambda site: said(site, claimed(site), WorklistLabel="Night")),
    ("N-SET", "C307", lambda site: said(site, NOWHERE, ProcedureStepState="IN PROGRESS")),
    ("N-SET", "C310", lambda site: said(site, site.job(), **HELD, WorklistLabel="Night")),
    # Change UPS State, in the order of Table CC.1.1-2.
    ("N-ACTION", "0000", lambda site: site.claim(site.job())),
    ("N-ACTION", "C302", lambda site: site.claim(claimed(site), OTHER)),
    ("N-ACTION", "C300", lambda site: site.claim(ended(site))),
    ("N-ACTION", "C300", lambda site: site.claim(ended(site, "CANCELED"))),
    ("N-ACTION", "C307", lambda site: changed(site, NOWHERE, "IN PROGRESS", **HELD)),
    ("N-ACTION", "C307", lambda site: changed(site, NOWHERE, "IN PROGRESS")),
    ("N-ACTION", "C301", lambda site: changed(site, site.job(), "IN PROGRESS")),
    ("N-ACTION", "C301", lambda site: changed(site, claimed(site), "IN PROGRESS")),
    ("N-ACTION", "C301", lambda site: changed(site, ended(site), "IN PROGRESS")),
    ("N-ACTION", "C307", lambda site: changed(site, NOWHERE, "SCHEDULED", **HELD)),
    ("N-ACTION", "C303", lambda site: changed(site, site.job(), "SCHEDULED", **HELD)),
    ("N-ACTION", "C303", lambda site: changed(site, ended(site), "SCHEDULED", **HELD)),
    ("N-ACTION", "C307", lambda site: changed(site, NOWHERE, "COMPLETED", **HELD)),
    ("N-ACTION", "C310", lambda site: changed(site, site.job(), "COMPLETED", **HELD)),
    ("N-ACTION", "C304", lambda site: changed(site, claimed(site), "COMPLETED", **HELD)),
    ("N-ACTION", "B306", lambda site: changed(site, ended(site), "COMPLETED", **HELD)),
    ("N-ACTION", "C300", lambda site: changed(site, ended(site, "CANCELED"), "COMPLETED", **HELD)),
    ("N-ACTION", "C301", lambda site: changed(site, claimed(site), "COMPLETED", TransactionUID=OTHER)),
    ("N-ACTION", "C310", lambda site: changed(site, site.job(), "CANCELED", **HELD)),
    ("N-ACTION", "C300", lambda site: changed(site, ended(site), "CANCELED", **HELD)),
    ("N-ACTION", "B304", lambda site: changed(site, ended(site, "CANCELED"), "CANCELED", **HELD)),
    ("N-ACTION", "C301", lambda site: changed(site, ended(site, "CANCELED"), "CANCELED", TransactionUID=OTHER)),
    ("N-ACTION", "0115", lambda site: changed(site, site.job(), "DONE", **HELD)),
    ("N-ACTION", "0115", lambda site: site.act(site.job(), CLAIM, **HELD)),
    # Request UPS Cancel
    ("N-ACTION", "0000", lambda site: site.act(site.job(), CANCEL)),
    ("N-ACTION", "B304", lambda site: site.act(ended(site, "CANCELED"), CANCEL)),
    ("N-ACTION", "C311", lambda site: site.act(ended(site), CANCEL)),
    ("N-ACTION", "C312", lambda site: site.act(claimed(site), CANCEL)),
    ("N-ACTION", "C307", lambda site: site.act(NOWHERE, CANCEL)),
    # Subscribe, unsubscribe, suspend
    ("N-ACTION", "B301", lambda site: site.act(site.job(), SUBSCRIBE, ReceivingAE="WATCHER", DeletionLock="TRUE")),
    ("N-ACTION", "0115", lambda site: site.act(site.job(), SUBSCRIBE, ReceivingAE="WATCHER")),
    ("N-ACTION", "0115", lambda site: site.act(site.job(), SUBSCRIBE, ReceivingAE="", DeletionLock="TRUE")),
    ("N-ACTION", "0115", lambda site: subscribe(site, FILTERED)),
    ("N-ACTION", "C307", lambda site: subscribe(site, NOWHERE)),
    ("N-ACTION", "C307", lambda site: subscribe(site, NOWHERE, UNSUBSCRIBE)),
    ("N-ACTION", "C307", lambda site: subscribe(site, NOWHERE, SUSPEND)),
    ("N-ACTION", "C308", lambda site: subscribe(site, GLOBAL, receiver="STRANGER")),
    ("N-ACTION", "C308", lambda site: subscribe(site, GLOBAL, UNSUBSCRIBE, receiver="STRANGER")),
    ("N-ACTION", "C308", lambda site: subscribe(site, GLOBAL, SUSPEND, receiver="STRANGER")),
    ("N-ACTION", "C314", lambda site: subscribe(site, site.job(), SUSPEND)),
    ("N-ACTION", "0123", lambda site: site.act(site.job(), 9)),
    ("C-FIND", "0000", lambda site: found(site, **plain(SOPInstanceUID=NOWHERE))),
    ("C-FIND", "A700", crowded),
    ("C-FIND", "A900", lambda site: found(site, **plain(ProcedureStepState="SCHEDULED"), **OF_NOTHING)),
]
# What nobody can ask for: matches and their end, and the node's own trouble.
NOT_ASKED = {
    ("C-FIND", "FF00"), ("C-FIND", "FE00"), ("C-FIND", "C000"),
    *((service, status) for service in ("N-CREATE", "N-GET", "N-SET", "N-ACTION") for status in ("0110", "0213")),
}  # fmt: skip


@pytest.mark.parametrize(("service", "status", "ask"), ASKED, ids=[f"{one[0]}-{one[1]}" for one in ASKED])
def test_every_status(site: Site, service: str, status: str, ask: Callable[[Site], str]) -> None:
    assert ask(site) == status, service


def test_no_status_is_left_out() -> None:
    """Of what the conformance statement names; and it names all that was asked for here."""
    stated = {(service.value, f"{one.status:04X}") for one in answered() for service in one.services}
    assert {(service, status) for service, status, _ in ASKED} | NOT_ASKED == stated


@pytest.mark.parametrize("service", list(Service))
def test_the_trouble_of_the_node(service: Service) -> None:
    is_query = service is Service.FIND
    away, broken = status_of(StoreUnavailable("away"), service), status_of(KeyError("x"), service)
    assert away == (General.OUT_OF_RESOURCES if is_query else General.RESOURCE_LIMITATION)
    assert broken == (General.UNABLE if is_query else General.PROCESSING_FAILURE)


def test_whoever_names_no_workitem_is_told_its_uid(site: Site) -> None:
    """PS3.7 section 10.1.5.1.4: the SCP assigns it, and it stands in the success response."""
    answer = site.scu.ask(do="create", data_set=request(PatientName="Another^Name"))
    uid = answer["data_set"]["00080018"]["Value"][0]
    assert (answer["status"], uid.startswith("2.25.")) == ("0000", True)
    assert site.state(uid) == "SCHEDULED"
