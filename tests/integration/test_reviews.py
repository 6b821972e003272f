"""A person reviews what the node says of a study: an SCU in another process finds, claims and ends the workitem."""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Any

import pytest
from pydicom.dataset import Dataset

from node.app.records import Records, open_records
from node.config import Config, ReviewSection
from node.domain.result import Outcome, Reason
from node.domain.study import CloseReason, Closure
from node.domain.workitem import GLOBAL
from node.errors import InferenceTimeout
from tests.contract.rows import STUDY, completion, new_job, stored
from tests.integration.test_ups import (
    CANCEL,
    CLAIM,
    TRANSACTION,
    Line,
    Site,
    configuration,
    performed,
    plain,
    serving,
    subscribe,
)
from tests.peers import free_port
from tests.waiting import wait_for

NAME = "<script>alert(1)</script>^" + "长" * 10_000
HELD = {"TransactionUID": TRANSACTION}


def reviewed(config: Config) -> Config:
    section = config.ups.model_copy(update={"review": ReviewSection(enabled=True, after="analysis")})
    return config.model_copy(update={"ups": section})


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Site]:
    folder, port = tmp_path_factory.mktemp("reviews"), free_port()
    watcher = Line("ups_receiver", "WATCHER")
    wait_for(lambda: watcher.lines, "the subscriber listens", 240)
    records = open_records(reviewed(configuration(folder, port, int(watcher.lines[0]))))
    scu = Line("ups_scu", str(port))
    try:
        with serving(records):
            yield Site(records, scu, watcher)
    finally:
        scu.close()
        watcher.close()
        records.close()


def receive(records: Records, study: str, number: int) -> None:
    attributes = {"Modality": "MR", "PatientName": NAME, "AccessionNumber": "A1"}
    place: dict[str, Any] = {"study": study, "series": f"{study}.1", "attributes": attributes}
    records.catalogue.record(stored(f"{study}.1.{number}", records.clock.now(), **place))


def close_and_request(records: Records, study: str) -> int:
    """The only series of the study is complete, and a model wants it."""
    [series] = records.catalogue.open_series()
    closure = Closure(CloseReason.OPERATOR, {})
    assert records.catalogue.close_series(series.series_id, series.revision, closure, [], [])
    made = new_job(
        f"{study}/{series.revision}",
        study_instance_uid=study,
        series_instance_uids=(f"{study}.1",),
        revision=series.revision,
        destinations=(),
    )
    return records.queue.enqueue(made)


def analyse(records: Records, study: str, outcome: Outcome, prefix: str) -> None:
    job_id = close_and_request(records, study)
    job = records.queue.claim("host/work-0", 600.0)
    assert job is not None
    assert job.id == job_id
    reason = Reason("NoPixelData", "no pixel data") if outcome is Outcome.NOT_EVALUABLE else None
    assert records.queue.complete(job, completion(prefix, outcome, reason))


def found(site: Site, study: str, state: str = "") -> list[Dataset]:
    """Reviews of a study, by C-FIND."""
    keys = plain(
        StudyInstanceUID=study,
        ProcedureStepState=state,
        ScheduledWorkitemCodeSequence=[Dataset.from_json(plain(CodeValue="110005", CodingSchemeDesignator="DCM"))],
        ProcedureStepLabel="",
        ScheduledProcedureStepPriority="",
        CommentsOnTheScheduledProcedureStep="",
        PatientName="",
    )
    answer = site.scu.ask(do="find", data_set=keys)
    assert answer["status"] == "0000"
    return [Dataset.from_json(each) for each in answer["matches"]]


def waiting_review(site: Site, study: str) -> Dataset:
    [one] = wait_for(lambda: found(site, study, "SCHEDULED"), "there is a review", 240)
    return one


def test_a_person_reviews_a_finding(site: Site) -> None:
    study = f"{STUDY}.1"
    assert subscribe(site, GLOBAL) == "0000"
    receive(site.records, study, 1)
    analyse(site.records, study, Outcome.POSITIVE, "9.71")
    one = waiting_review(site, study)
    uid = str(one.SOPInstanceUID)
    assert (one.ScheduledProcedureStepPriority, one.ProcedureStepLabel) == ("HIGH", "Review AI results: POSITIVE")
    assert str(one.PatientName).startswith("<script>")
    whole = site.get(uid)
    images, results = whole.InputInformationSequence
    assert (images.SeriesInstanceUID, results.SeriesInstanceUID) == (f"{study}.1", "1.2.3.99")
    assert sorted(ref.ReferencedSOPInstanceUID for ref in results.ReferencedSOPSequence) == ["9.71.1", "9.71.2"]
    assert "hippocampus 1.0: POSITIVE" in whole.CommentsOnTheScheduledProcedureStep
    assert site.records.queue.claim("host/work-0", 600.0) is None
    assert site.claim(uid, title="MANAGER") == "0000"
    assert site.claim(uid, "1.2.99.9") == "C302"
    assert site.act(uid, CLAIM, ProcedureStepState="COMPLETED", **HELD) == "C304"
    said = plain(**HELD, UnifiedProcedureStepPerformedProcedureSequence=performed())
    assert site.scu.ask(do="set", uid=uid, data_set=said)["status"] == "0000"
    assert site.act(uid, CLAIM, ProcedureStepState="COMPLETED", **HELD) == "0000"
    assert site.act(uid, CANCEL) == "C311"
    wait_for(lambda: site.states_told(uid)[-1:] == ["COMPLETED"], "the end is told", 240)
    assert site.states_told(uid) == ["SCHEDULED", "IN PROGRESS", "COMPLETED"]
    assert [each.SOPInstanceUID for each in found(site, study)] == [uid]
    assert NAME not in json.dumps(site.watcher.told(), ensure_ascii=False)


def test_a_late_image_replaces_it_and_what_failed_is_said(site: Site) -> None:
    study = f"{STUDY}.2"
    receive(site.records, study, 1)
    analyse(site.records, study, Outcome.NEGATIVE, "9.72")
    first = waiting_review(site, study)
    assert first.ScheduledProcedureStepPriority == "LOW"
    receive(site.records, study, 2)
    wait_for(lambda: found(site, study, "CANCELED"), "nobody begins with what is out of date", 240)
    assert site.claim(str(first.SOPInstanceUID)) == "C300"
    job_id = close_and_request(site.records, study)
    job = site.records.queue.claim("host/work-0", 600.0)
    assert job is not None
    assert job.id == job_id
    assert site.records.queue.fail(job, InferenceTimeout(), None)
    second = waiting_review(site, study)
    assert (second.ScheduledProcedureStepPriority, second.ProcedureStepLabel) == (
        "MEDIUM",
        "Review AI results: FAILED",
    )
    assert "the images were not evaluated" in second.CommentsOnTheScheduledProcedureStep
    whole = site.get(str(second.SOPInstanceUID))
    [former] = whole.ReplacedProcedureStepSequence
    assert former.ReferencedSOPInstanceUID == first.SOPInstanceUID
    old = site.get(str(first.SOPInstanceUID)).ProcedureStepProgressInformationSequence[0]
    assert old.ReasonForCancellation.startswith("the study has changed")


def test_what_could_not_be_judged_is_reviewed(site: Site) -> None:
    study = f"{STUDY}.3"
    receive(site.records, study, 1)
    analyse(site.records, study, Outcome.NOT_EVALUABLE, "9.73")
    one = waiting_review(site, study)
    assert (one.ScheduledProcedureStepPriority, one.ProcedureStepLabel) == (
        "MEDIUM",
        "Review AI results: NOT EVALUABLE",
    )
    assert "NOT EVALUABLE - no pixel data" in one.CommentsOnTheScheduledProcedureStep
    assert site.act(str(one.SOPInstanceUID), CANCEL, ReasonForCancellation="no reader") == "0000"
    assert found(site, study, "SCHEDULED") == []
