"""The UPS service as it is wired: an SCU and a subscriber in processes of their own, jobs in a real table."""

from __future__ import annotations

import itertools
import json
import subprocess
import sys
import threading
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from pydicom.dataset import Dataset

from node.app import workitems
from node.app.place import Place
from node.app.records import Records, open_records
from node.config import Config, parse
from node.domain.job import JobState
from node.domain.study import CloseReason, Closure
from node.domain.workitem import FILTERED, GLOBAL, WorkitemQuery
from tests.contract.rows import SERIES, STUDY, completion, new_job, stored
from tests.peers import REPOSITORY, free_port
from tests.waiting import wait_for

CLAIM, CANCEL, SUBSCRIBE, UNSUBSCRIBE, SUSPEND = 1, 2, 3, 4, 5
TRANSACTION, OTHER = "1.2.99.1", "1.2.99.2"
MODEL = "threshold"


class Line:
    """A process that answers each line with a line."""

    def __init__(self, module: str, *arguments: str) -> None:
        self._process = subprocess.Popen(
            [sys.executable, "-m", f"tests.integration.{module}", *arguments],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
            cwd=REPOSITORY,
        )
        self.lines: list[str] = []
        self._reader = threading.Thread(target=self._read, daemon=True)
        self._reader.start()

    @property
    def pid(self) -> int:
        return self._process.pid

    def ask(self, **question: Any) -> Any:
        assert self._process.stdin is not None
        before = len(self.lines)
        self._process.stdin.write(json.dumps(question) + "\n")
        self._process.stdin.flush()
        wait_for(lambda: len(self.lines) > before or self._process.poll() is not None, "an answer", 240)
        return json.loads(self.lines[before])

    def told(self) -> list[Any]:
        return [json.loads(line) for line in self.lines[1:]]

    def close(self) -> None:
        assert self._process.stdin is not None
        self._process.stdin.close()
        self._process.wait(60)
        self._reader.join(60)
        assert self._process.stdout is not None
        self._process.stdout.close()

    def _read(self) -> None:
        assert self._process.stdout is not None
        self.lines.extend(iter(self._process.stdout.readline, ""))


class Site:
    def __init__(self, records: Records, scu: Line, watcher: Line) -> None:
        self.records, self.scu, self.watcher = records, scu, watcher
        self._number = 0

    def job(self) -> str:
        """A job that waits, on a series of its own; the UID of its workitem."""
        self._number += 1
        new = new_job(f"job-{self._number}", series_instance_uids=(f"{SERIES}.{self._number}",), destinations=())
        job_id = self.records.queue.enqueue(new)
        return self.uid_of(job_id)

    def uid_of(self, job_id: int) -> str:
        found = workitems.workitem_store(self.records).find(WorkitemQuery(), job_id - 1, 1)
        return found[0].uid

    def act(self, uid: str, kind: int, title: str = "MANAGER", **values: Any) -> str:
        answer = self.scu.ask(do="action", uid=uid, type=kind, title=title, data_set=plain(**values))
        return str(answer["status"])

    def claim(self, uid: str, transaction: str = TRANSACTION, title: str = "PERFORMER") -> str:
        return self.act(uid, CLAIM, title, ProcedureStepState="IN PROGRESS", TransactionUID=transaction)

    def state(self, uid: str) -> str:
        return str(self.get(uid).ProcedureStepState)

    def get(self, uid: str) -> Dataset:
        answer = self.scu.ask(do="get", uid=uid)
        assert answer["status"] == "0000", answer
        return Dataset.from_json(answer["data_set"])

    def events(self, uid: str) -> list[tuple[int, Dataset]]:
        return [
            (each["type"], Dataset.from_json(each["information"])) for each in self.watcher.told() if each["uid"] == uid
        ]

    def states_told(self, uid: str) -> list[str]:
        """In their order; what happened while somebody subscribed may be told twice."""
        states = [str(each.ProcedureStepState) for kind, each in self.events(uid) if kind == 1]
        return [state for state, _ in itertools.groupby(states)]


def plain(**values: Any) -> dict[str, Any]:
    made = Dataset()
    for keyword, value in values.items():
        setattr(made, keyword, value)
    return made.to_json_dict()


def item(**values: Any) -> Dataset:
    return Dataset.from_json(plain(**values))


def coded(value: str, scheme: str = "99AINODE", **more: str) -> Dataset:
    return item(CodeValue=value, CodingSchemeDesignator=scheme, CodeMeaning="something", **more)


def request(**changes: Any) -> dict[str, Any]:
    """To create a workitem; None leaves an attribute out."""
    values: dict[str, Any] = {
        "SpecificCharacterSet": "ISO_IR 192",
        "ProcedureStepState": "SCHEDULED",
        "InputReadinessState": "READY",
        "ScheduledProcedureStepPriority": "HIGH",
        "ProcedureStepLabel": "脑部分析",
        "WorklistLabel": "Night",
        "ScheduledProcedureStepStartDateTime": "20300101120000",
        "ScheduledWorkitemCodeSequence": [coded(MODEL)],
        "InputInformationSequence": [item(TypeOfInstances="DICOM", StudyInstanceUID=STUDY, SeriesInstanceUID=SERIES)],
        "PatientID": "P1",
        "TransactionUID": "",
        **changes,
    }
    return plain(**{keyword: value for keyword, value in values.items() if value is not None})


def performed() -> list[Dataset]:
    output = item(TypeOfInstances="DICOM", StudyInstanceUID=STUDY, SeriesInstanceUID="1.2.3.77")
    return [
        item(
            PerformedStationNameCodeSequence=[coded("S1", "99SITE")],
            PerformedProcedureStepStartDateTime="20300101120000",
            PerformedProcedureStepEndDateTime="20300101120100",
            PerformedWorkitemCodeSequence=[coded("W1", "99SITE")],
            OutputInformationSequence=[output],
        )
    ]


def configuration(folder: Path, port: int, watcher_port: int) -> Config:
    raw = {
        "node": {"data_dir": str(folder / "var"), "free_space_watermark_bytes": 0},
        "database": {"url": f"sqlite:///{folder / 'node.db'}"},
        "models": {"path": [str(REPOSITORY / "tests/fakes/models")], "enabled": [MODEL]},
        "work": {"device": "cpu"},
        "ups": {
            "enabled": True,
            "host": "127.0.0.1",
            "port": port,
            "max_associations": 64,
            "max_matches": 20,
            "timeout_s": 120.0,
            "allow": [{"ae_title": title} for title in ("MANAGER", "PERFORMER", "WATCHER")]
            + [{"ae_title": f"CLAIMANT{number}"} for number in range(50)],
            "receivers": [
                {"ae_title": "WATCHER", "host": "127.0.0.1", "port": watcher_port},
                {"ae_title": "GONE", "host": "127.0.0.1", "port": free_port()},
            ],
            "retry_base_s": 0.1,
            "retry_cap_s": 0.2,
            "give_up_s": 1.0,
        },
    }
    return parse(raw, folder, {})


@contextmanager
def serving(records: Records) -> Iterator[None]:
    ready, stop = threading.Event(), threading.Event()
    place = Place("ups", "ups", "host", "cpu", None, ready.set, stop)
    thread = threading.Thread(target=workitems.serve, args=(records, place))
    thread.start()
    try:
        assert ready.wait(60)
        yield
    finally:
        stop.set()
        thread.join(60)


def receive_a_series(records: Records) -> None:
    """One that the model takes."""
    at = records.clock.now()
    for number in range(3):
        attributes = {"Modality": "MR", "PatientName": "Müller^Jürgen", "InstanceNumber": number + 1}
        records.catalogue.record(replace(stored(f"{SERIES}.{number}", at, attributes=attributes), association_id=None))
    [series] = records.catalogue.open_series()
    closure = Closure(CloseReason.OPERATOR, {"instances": 3})
    assert records.catalogue.close_series(series.series_id, series.revision, closure, [], [])


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Site]:
    folder, port = tmp_path_factory.mktemp("ups"), free_port()
    watcher = Line("ups_receiver", "WATCHER")
    wait_for(lambda: watcher.lines, "the subscriber listens", 120)
    records = open_records(configuration(folder, port, int(watcher.lines[0])))
    receive_a_series(records)
    scu = Line("ups_scu", str(port))
    try:
        with serving(records):
            yield Site(records, scu, watcher)
    finally:
        scu.close()
        watcher.close()
        records.close()


# ---------------------------------------------------------------- push


def test_a_workitem_is_created_run_and_lists_every_object(site: Site) -> None:
    answer = site.scu.ask(do="create", uid="1.2.50.1", data_set=request())
    assert answer["status"] == "0000", answer
    made = site.get("1.2.50.1")
    assert (made.ProcedureStepState, made.ScheduledProcedureStepPriority) == ("SCHEDULED", "HIGH")
    assert (made.ProcedureStepLabel, made.WorklistLabel, str(made.PatientName)) == (
        "脑部分析",
        "Night",
        "Müller^Jürgen",
    )
    [inputs] = made.InputInformationSequence
    assert [each.ReferencedSOPInstanceUID for each in inputs.ReferencedSOPSequence] == [
        f"{SERIES}.{number}" for number in range(3)
    ]
    assert "TransactionUID" not in made
    job = site.records.queue.claim("host/work-0", 60.0, [MODEL])
    assert job is not None
    assert (job.model, job.series_instance_uids) == (MODEL, (SERIES,))
    assert site.state("1.2.50.1") == "IN PROGRESS"
    assert site.claim("1.2.50.1") == "C302"
    assert site.records.queue.complete(job, completion("9.50"))
    done = site.get("1.2.50.1")
    assert done.ProcedureStepState == "COMPLETED"
    [performed_step] = done.UnifiedProcedureStepPerformedProcedureSequence
    told = [
        ref.ReferencedSOPInstanceUID
        for output in performed_step.OutputInformationSequence
        for ref in output.ReferencedSOPSequence
    ]
    assert sorted(told) == ["9.50.1", "9.50.2"]
    assert performed_step.CommentsOnThePerformedProcedureStep == "POSITIVE"


def test_the_node_names_what_nobody_named(site: Site) -> None:
    answer = site.scu.ask(do="create", data_set=request())
    assert answer["status"] == "0000"
    uid = answer["data_set"]["00080018"]["Value"][0]
    assert site.state(uid) == "SCHEDULED"


@pytest.mark.parametrize(
    ("status", "changes"),
    [
        ("C309", {"ProcedureStepState": "IN PROGRESS"}),
        ("0120", {"ProcedureStepState": None}),
        ("0120", {"ScheduledProcedureStepPriority": None}),
        ("0121", {"ProcedureStepLabel": ""}),
        ("0106", {"ScheduledProcedureStepPriority": "STAT"}),
        ("0106", {"InputReadinessState": "INCOMPLETE"}),
        ("0106", {"ScheduledWorkitemCodeSequence": [coded("nobody-knows-it")]}),
        ("0106", {"ScheduledWorkitemCodeSequence": [coded("110004", "DCM")]}),
        ("0106", {"ScheduledWorkitemCodeSequence": [coded(MODEL, CodingSchemeVersion="9.9")]}),
        ("0106", {"TransactionUID": TRANSACTION}),
        ("0120", {"InputInformationSequence": None}),
        ("0121", {"InputInformationSequence": []}),
        ("0106", {"InputInformationSequence": [item(StudyInstanceUID="9.9.9")]}),
        ("0106", {"InputInformationSequence": [item(StudyInstanceUID=STUDY, SeriesInstanceUID="9.9")]}),
        ("0106", {"PatientID": "SOMEBODY ELSE"}),
    ],
)
def test_what_cannot_be_created_has_a_status(site: Site, status: str, changes: dict[str, Any]) -> None:
    answer = site.scu.ask(do="create", uid="1.2.50.9", data_set=request(**changes))
    assert answer["status"] == status, answer
    assert answer["comment"]
    assert site.scu.ask(do="get", uid="1.2.50.9")["status"] == "C307"


def test_a_duplicate_is_refused_and_a_change_is_said(site: Site) -> None:
    changed = request(InputInformationSequence=[item(StudyInstanceUID=STUDY)], PatientName="Another^Name")
    assert site.scu.ask(do="create", uid="1.2.50.3", data_set=changed)["status"] == "B300"
    assert str(site.get("1.2.50.3").PatientName) == "Müller^Jürgen"
    assert site.scu.ask(do="create", uid="1.2.50.3", data_set=request())["status"] == "0111"


# ---------------------------------------------------------------- pull


def test_somebody_else_performs_a_workitem(site: Site) -> None:
    uid = site.job()
    assert site.act(uid, CLAIM, ProcedureStepState="COMPLETED", TransactionUID=TRANSACTION) == "C310"
    assert site.act(uid, CLAIM, ProcedureStepState="IN PROGRESS") == "C301"
    assert site.act(uid, CLAIM, ProcedureStepState="SCHEDULED", TransactionUID=TRANSACTION) == "C303"
    assert site.claim(uid) == "0000"
    assert site.claim(uid, OTHER) == "C302"
    assert site.act(uid, CLAIM, ProcedureStepState="COMPLETED", TransactionUID=OTHER) == "C301"
    assert site.act(uid, CLAIM, ProcedureStepState="COMPLETED", TransactionUID=TRANSACTION) == "C304"
    told = plain(TransactionUID=OTHER, UnifiedProcedureStepPerformedProcedureSequence=performed())
    assert site.scu.ask(do="set", uid=uid, data_set=told)["status"] == "C301"
    told = plain(TransactionUID=TRANSACTION, UnifiedProcedureStepPerformedProcedureSequence=performed())
    assert site.scu.ask(do="set", uid=uid, title="PERFORMER", data_set=told)["status"] == "0000"
    assert site.act(uid, CLAIM, ProcedureStepState="COMPLETED", TransactionUID=TRANSACTION) == "0000"
    assert site.act(uid, CLAIM, ProcedureStepState="COMPLETED", TransactionUID=TRANSACTION) == "B306"
    assert site.act(uid, CLAIM, ProcedureStepState="CANCELED", TransactionUID=TRANSACTION) == "C300"
    assert site.scu.ask(do="set", uid=uid, data_set=told)["status"] == "C300"
    assert site.act(uid, CANCEL) == "C311"
    done = site.get(uid)
    [step] = done.UnifiedProcedureStepPerformedProcedureSequence
    assert step.OutputInformationSequence[0].SeriesInstanceUID == "1.2.3.77"
    assert "TransactionUID" not in done
    assert site.act("9.9.9.9", CLAIM, ProcedureStepState="IN PROGRESS", TransactionUID=TRANSACTION) == "C307"
    assert site.act(uid, 9) == "0123"


def test_of_fifty_who_claim_at_once_one_wins(site: Site) -> None:
    uid = site.job()
    answers = Counter(site.scu.ask(do="race", uid=uid, claimants=50)["answers"])
    assert answers == {"0000": 1, "C302": 49}
    assert site.records.queue.claim("host/work-0", 60.0, ["hippocampus"]) is None or site.state(uid) == "IN PROGRESS"


def test_workitems_are_found_by_what_they_are(site: Site) -> None:
    uid = site.job()
    site.claim(uid)
    keys = plain(
        SOPInstanceUID=uid,
        ProcedureStepState="IN PROGRESS",
        ProcedureStepLabel="hippo*",
        ScheduledProcedureStepStartDateTime="20200101-",
        WorklistLabel="",
        PatientName="",
        ScheduledWorkitemCodeSequence=[item(CodeValue="hippocampus", CodingSchemeDesignator="")],
        TransactionUID="",
    )
    answer = site.scu.ask(do="find", data_set=keys)
    assert answer["status"] == "0000"
    [found] = [Dataset.from_json(each) for each in answer["matches"]]
    assert (found.SOPInstanceUID, found.WorklistLabel) == (uid, "AINODE")
    assert not found.get("TransactionUID")
    assert "InputInformationSequence" not in found
    for other in (
        {"ProcedureStepState": "SCHEDULED"},
        {"ProcedureStepLabel": "brain*"},
        {"ScheduledProcedureStepStartDateTime": "-20200101"},
        {"ScheduledWorkitemCodeSequence": [item(CodeValue="other")]},
        {"PatientID": "NOBODY"},
    ):
        answer = site.scu.ask(do="find", data_set=plain(SOPInstanceUID=uid, **other))
        assert (answer["status"], answer["matches"]) == ("0000", []), other
    wrong = plain(SOPInstanceUID=uid) | {"00404005": {"vr": "DT", "Value": ["yesterday"]}}
    assert site.scu.ask(do="find", data_set=wrong)["status"] == "A900"


def test_too_many_matches_are_refused_not_cut_off(site: Site) -> None:
    for _ in range(21):
        site.job()
    answer = site.scu.ask(do="find", data_set=plain(ProcedureStepState="", SOPInstanceUID=""))
    assert (answer["status"], len(answer["matches"])) == ("A700", 20)


def test_who_is_not_known_may_not_ask(site: Site) -> None:
    assert site.scu.ask(do="get", uid="1.2", title="STRANGER") == {"established": False}


def test_an_operator_asks_the_performer_to_stop(site: Site) -> None:
    """It is seen at once, and the performer decides: here it stops."""
    uid = site.job()
    assert subscribe(site, uid) == "0000"
    site.claim(uid, title="WATCHER")
    [job] = workitems.workitem_store(site.records).find(WorkitemQuery(uids=(uid,)), -1, 1)
    site.records.queue.cancel(job.job.id)
    assert site.records.worklist.job(job.job.id)["cancel_requested"]
    wait_for(lambda: 2 in [kind for kind, _ in site.events(uid)], "the performer is asked", 60)
    [asked] = [each for kind, each in site.events(uid) if kind == 2]
    assert (asked.RequestingAE, asked.ReasonForCancellation) == ("AINODE", "an operator of the node asks for it")
    assert site.state(uid) == "IN PROGRESS"
    assert site.act(uid, CLAIM, ProcedureStepState="CANCELED", TransactionUID=TRANSACTION) == "0000"
    assert site.records.queue.get(job.job.id).state is JobState.CANCELED


# ---------------------------------------------------------------- watch


def subscribe(site: Site, uid: str, kind: int = SUBSCRIBE, receiver: str = "WATCHER", **keys: Any) -> str:
    lock = {"DeletionLock": "FALSE"} if kind == SUBSCRIBE else {}
    return site.act(uid, kind, ReceivingAE=receiver, **lock, **keys)


def test_a_subscriber_is_told(site: Site) -> None:
    uid = site.job()
    assert subscribe(site, uid) == "0000"
    site.claim(uid)
    progress = item(ProcedureStepProgress="50", ProcedureStepProgressDescription="half")
    changes = plain(TransactionUID=TRANSACTION, ProcedureStepProgressInformationSequence=[progress])
    assert site.scu.ask(do="set", uid=uid, data_set=changes)["status"] == "0000"
    assert site.act(uid, CANCEL, ReasonForCancellation="not needed") == "C312"
    assert subscribe(site, uid, receiver="STRANGER") == "C308"
    assert site.act(uid, CLAIM, ProcedureStepState="CANCELED", TransactionUID=TRANSACTION) == "0000"
    wait_for(lambda: site.states_told(uid)[-1:] == ["CANCELED"], "the end is told", 60)
    assert site.states_told(uid) == ["SCHEDULED", "IN PROGRESS", "CANCELED"]
    [(kind, half)] = [each for each in site.events(uid) if each[0] != 1]
    assert kind == 3
    assert half.ProcedureStepProgressInformationSequence[0].ProcedureStepProgressDescription == "half"
    assert "Transaction" not in json.dumps(site.watcher.told())


def test_a_performer_that_listens_is_asked_to_stop(site: Site) -> None:
    uid = site.job()
    assert subscribe(site, uid) == "0000"
    site.claim(uid, title="WATCHER")
    assert site.act(uid, CANCEL, ReasonForCancellation="not needed", ContactDisplayName="Desk") == "0000"
    wait_for(lambda: 2 in [kind for kind, _ in site.events(uid)], "the request is told", 60)
    [asked] = [each for kind, each in site.events(uid) if kind == 2]
    assert (asked.RequestingAE, asked.ReasonForCancellation) == ("MANAGER", "not needed")
    assert site.state(uid) == "IN PROGRESS"


def test_canceling_what_nobody_began(site: Site) -> None:
    uid = site.job()
    assert subscribe(site, uid) == "0000"
    assert site.act(uid, CANCEL, ReasonForCancellation="duplicate") == "0000"
    wait_for(lambda: site.states_told(uid)[-1:] == ["CANCELED"], "the end is told", 60)
    assert site.states_told(uid) == ["SCHEDULED", "IN PROGRESS", "CANCELED"]
    _, end = site.events(uid)[-1]
    assert end.ReasonForCancellation == "duplicate"
    assert end.ProcedureStepDiscontinuationReasonCodeSequence[0].CodeValue == "110513"
    assert site.act(uid, CANCEL) == "B304"
    assert site.records.queue.claim("host/work-9", 60.0, ["nothing"]) is None


def test_everything_can_be_watched_filtered_and_suspended(site: Site) -> None:
    assert subscribe(site, FILTERED) == "0115"
    assert subscribe(site, FILTERED, ScheduledProcedureStepPriority="HIGH") == "0000"
    before = site.job()
    assert site.scu.ask(do="create", uid="1.2.50.20", data_set=request())["status"] == "0000"
    wait_for(lambda: site.states_told("1.2.50.20") == ["SCHEDULED"], "what matches is told", 60)
    assert site.states_told(before) == []
    assert subscribe(site, GLOBAL) == "0000"
    first, second = site.job(), site.job()
    assert subscribe(site, second, UNSUBSCRIBE) == "0000"
    site.claim(second)
    assert subscribe(site, second, SUSPEND) == "C314"
    assert subscribe(site, GLOBAL, SUSPEND) == "0000"
    third = site.job()
    site.claim(first)
    wait_for(lambda: site.states_told(first)[-1:] == ["IN PROGRESS"], "what was made before is still told", 60)
    assert site.states_told(third) == []
    assert "IN PROGRESS" not in site.states_told(second)
    assert subscribe(site, GLOBAL, UNSUBSCRIBE) == "0000"


def test_a_subscriber_that_is_gone_delays_nobody_and_is_dropped(site: Site) -> None:
    uid = site.job()
    assert subscribe(site, uid, receiver="GONE") == "0000"
    assert subscribe(site, uid) == "0000"
    site.claim(uid)
    wait_for(lambda: site.states_told(uid) == ["SCHEDULED", "IN PROGRESS"], "the other is told", 60)

    def alerts() -> list[Any]:
        return [each for each in site.records.worklist.alerts() if each["kind"] == "ups_subscriber_gone"]

    [alert] = wait_for(alerts, "it is dropped with an alert", 60)
    assert alert["subject"] == "GONE"
    assert site.state(uid) == "IN PROGRESS"
    assert site.records.queue.get(1).state in set(JobState)
