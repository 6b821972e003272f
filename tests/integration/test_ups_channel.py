"""UPS-RS over HTTP and its event channel over a WebSocket: the web role as it is wired, clients in other processes."""

from __future__ import annotations

import itertools
import json
import os
import signal
import threading
from collections.abc import Iterator
from typing import Any

import pytest

from node.app import web as web_role
from node.app.logins import logins
from node.app.place import Place
from node.app.records import Records, open_records
from node.config import Config, UpsReceiver, WebSection
from node.domain.workitem import GLOBAL
from node.jobs.subscriptions import SqlSubscriptions
from node.show.ups.channel import REPLACED
from tests.integration.test_ups import (
    OTHER,
    TRANSACTION,
    Line,
    configuration,
    performed,
    plain,
    receive_a_series,
    request,
    serving,
)
from tests.peers import free_port
from tests.waiting import wait_for

WORKITEMS = "/api/dicom-web/workitems"
NAME, PASSWORD = "desk", "correct horse battery staple"


class Site:
    def __init__(self, records: Records, port: int) -> None:
        self.records = records
        self.url = f"http://127.0.0.1:{port}"
        self.asking = Line("ups_web", "ask", self.url)
        self.cookie = ""
        self._listening: list[Line] = []

    def log_in(self) -> None:
        answer = self.ask("POST", "/api/v1/sessions", json={"name": NAME, "password": PASSWORD})
        assert answer["status"] == 200, answer
        self.cookie = "; ".join(f"{name}={value}" for name, value in answer["cookies"].items())

    def ask(self, method: str, path: str, **more: Any) -> Any:
        headers = {"Content-Type": "application/dicom+json", "Content-Length": "0"} if "json" not in more else {}
        return self.asking.ask(method=method, path=path, headers=headers, **more)

    def sent(self, method: str, path: str, **values: Any) -> int:
        return int(self.ask(method, f"{WORKITEMS}{path}", json=[plain(**values)])["status"])

    def create(self, uid: str, **changes: Any) -> None:
        answer = self.ask("POST", f"{WORKITEMS}?{uid}", json=[request(**changes)])
        assert answer["status"] == 201, answer

    def subscribe(self, uid: str, receiver: str = "DESK") -> Any:
        return self.ask("POST", f"{WORKITEMS}/{uid}/subscribers/{receiver}")

    def listen(self, receiver: str = "DESK", cookie: str | None = None, *origin: str) -> Line:
        line = Line("ups_web", "listen", self.url, receiver, self.cookie if cookie is None else cookie, *origin)
        self._listening.append(line)
        wait_for(lambda: line.lines, "the channel is open, or refused", 240)
        return line

    def close(self) -> None:
        for line in (*self._listening, self.asking):
            line.close()


def told(line: Line, uid: str) -> list[dict[str, Any]]:
    reports = [json.loads(each) for each in list(line.lines)[1:]]
    return [each for each in reports if each.get("00001000", {}).get("Value") == [uid]]


def states(line: Line, uid: str) -> list[str]:
    found = [each["00741000"]["Value"][0] for each in told(line, uid) if each["00001002"]["Value"] == [1]]
    return [state for state, _ in itertools.groupby(found)]


def told_over_the_web(config: Config, web_port: int) -> Config:
    receivers = (*config.ups.receivers, UpsReceiver(ae_title="DESK"), UpsReceiver(ae_title="LOST"))
    # Nobody is dropped here because a machine is slow; the one who is gone has a test of its own.
    ups = config.ups.model_copy(update={"receivers": receivers, "give_up_s": 86400.0})
    return config.model_copy(update={"ups": ups, "web": WebSection(port=web_port)})


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Site]:
    folder, web_port = tmp_path_factory.mktemp("channel"), free_port()
    records = open_records(told_over_the_web(configuration(folder, free_port(), free_port()), web_port))
    logins(records, "test").add(NAME, PASSWORD)
    receive_a_series(records)
    ready, stop = threading.Event(), threading.Event()
    place = Place("web", "web", "host", "cpu", None, ready.set, stop)
    serves = threading.Thread(target=web_role.serve, args=(records, place))
    serves.start()
    made = None
    try:
        assert ready.wait(240)
        made = Site(records, web_port)
        made.log_in()
        with serving(records):
            yield made
    finally:
        if made is not None:
            made.close()
        stop.set()
        serves.join(120)
        records.close()


def test_the_whole_life_of_a_workitem_over_the_web(site: Site) -> None:
    listening = site.listen()
    assert json.loads(listening.lines[0]) == {"status": 101}
    subscribed = site.subscribe(GLOBAL)
    assert subscribed["status"] == 201
    assert subscribed["headers"]["content-location"] == f"ws{site.url[4:]}/api/dicom-web/subscribers/DESK"
    site.create("1.2.80.1")
    state = "/1.2.80.1/state"
    assert site.sent("PUT", state, ProcedureStepState="IN PROGRESS", TransactionUID=TRANSACTION) == 200
    assert site.sent("PUT", state, ProcedureStepState="IN PROGRESS", TransactionUID=OTHER) == 409
    assert site.sent("POST", "/1.2.80.1/cancelrequest", ReasonForCancellation="<b>no</b>") == 409
    said = {"UnifiedProcedureStepPerformedProcedureSequence": performed()}
    assert site.sent("POST", f"/1.2.80.1?{TRANSACTION}", **said) == 200
    assert site.sent("PUT", state, ProcedureStepState="COMPLETED", TransactionUID=TRANSACTION) == 200
    wait_for(lambda: states(listening, "1.2.80.1")[-1:] == ["COMPLETED"], "the end is told", 240)
    assert states(listening, "1.2.80.1") == ["SCHEDULED", "IN PROGRESS", "COMPLETED"]
    first = told(listening, "1.2.80.1")[0]
    assert first["00000002"]["Value"] == ["1.2.840.10008.5.1.4.34.6.1"]
    assert first["00404041"]["Value"] == ["READY"]
    numbers = [each["00000110"]["Value"][0] for each in map(json.loads, listening.lines[1:])]
    assert numbers == sorted(set(numbers))
    listening.close()
    assert json.loads(listening.lines[-1]) == {"closed": 1000}


def test_long_text_and_script_pass_as_they_are(site: Site) -> None:
    label = "<script>" + "长" * 50
    listening = site.listen()
    assert site.subscribe(GLOBAL)["status"] == 201
    site.create("1.2.80.2", ProcedureStepLabel=label, WorklistLabel="x" * 10_000)
    reason = "\u202e" + "r" * 10_000
    assert site.sent("POST", "/1.2.80.2/cancelrequest", ReasonForCancellation=reason) == 202
    wait_for(lambda: states(listening, "1.2.80.2")[-1:] == ["CANCELED"], "the end is told", 240)
    assert told(listening, "1.2.80.2")[-1]["00741238"]["Value"] == [reason]
    assert site.ask("GET", f"{WORKITEMS}/1.2.80.2")["body"][0]["00741204"]["Value"] == [label]


def test_a_channel_that_broke_off_goes_on_where_it_was(site: Site) -> None:
    """Its process is killed; what happens meanwhile waits in the database, in its order."""
    listening = site.listen()
    assert site.subscribe(GLOBAL)["status"] == 201
    site.create("1.2.80.3")
    wait_for(lambda: states(listening, "1.2.80.3") == ["SCHEDULED"], "the beginning is told", 240)
    os.kill(listening.pid, signal.SIGKILL)
    listening.close()
    state = "/1.2.80.3/state"
    assert site.sent("PUT", state, ProcedureStepState="IN PROGRESS", TransactionUID=TRANSACTION) == 200
    assert site.sent("PUT", state, ProcedureStepState="CANCELED", TransactionUID=TRANSACTION) == 200
    again = site.listen()
    wait_for(lambda: states(again, "1.2.80.3")[-1:] == ["CANCELED"], "the end is told to the new one", 240)
    newer = site.listen()
    wait_for(lambda: json.loads(again.lines[-1]) == {"closed": REPLACED}, "the newer channel counts", 240)
    site.create("1.2.80.4")
    wait_for(lambda: states(newer, "1.2.80.4") == ["SCHEDULED"], "it is told", 240)
    assert states(again, "1.2.80.4") == []


def test_who_may_open_a_channel(site: Site) -> None:
    def answer(*asked: Any) -> int:
        return int(json.loads(site.listen(*asked).lines[0])["status"])

    assert answer("DESK", "") == 401
    assert answer("DESK", "ainode_session=forged") == 401
    assert answer("DESK", site.cookie, "https://evil.example") == 403
    assert answer("STRANGER") == 404
    assert answer("WATCHER") == 404  # it has an address
    assert answer("DESK", site.cookie, site.url) == 101


def test_a_subscriber_that_never_comes_delays_nobody(site: Site) -> None:
    listening = site.listen()
    for receiver in ("LOST", "DESK"):
        assert site.subscribe(GLOBAL, receiver)["status"] == 201
    site.create("1.2.80.5")
    wait_for(lambda: states(listening, "1.2.80.5") == ["SCHEDULED"], "the other one is told", 240)
    subscriptions = SqlSubscriptions(site.records.engine, site.records.clock)
    wait_for(lambda: subscriptions.behind("DESK").reports == 0, "and has taken everything", 240)
    assert subscriptions.behind("LOST").reports > 0
    gone = f"{WORKITEMS}/{GLOBAL}/subscribers/LOST"
    assert site.ask("DELETE", gone)["status"] == 200
