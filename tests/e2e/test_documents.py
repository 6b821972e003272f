"""Results after the run: a failure is a document, whoever dies; what was written can be traced, repeated, withdrawn."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pydicom
import pytest
from sqlalchemy import update

from node import config as configuration
from node.app import packages, provenance, reproducing, routing
from node.app.records import Records, open_records
from node.database.tables import audit_entry, instance
from node.database.unit_of_work import UnitOfWork
from node.domain.document import RejectionTitle
from node.errors import AlreadyWithdrawn, NotFound
from tests.e2e.pacs import COMPREHENSIVE_3D_SR, SEG, Pacs, another_study, storescu, study_of
from tests.e2e.site import Site
from tests.peers import REPOSITORY, data_dir
from tests.waiting import wait_for

MODELS = REPOSITORY / "tests" / "fakes" / "models"
CRASHING = Path(__file__).parent / "crash"
GOOD, BAD = "threshold", "fails"
KEY_OBJECTS = "1.2.840.10008.5.1.4.1.1.88.59"
# The document of a failure is announced, and its writer dies before it is put.
POINT = "document-announced-not-put"


# Many processes on a busy machine.
pytestmark = pytest.mark.timeout(600)


@pytest.fixture(scope="module")
def tokens(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("tokens")


@pytest.fixture(scope="module")
def site(pacs: Pacs, folder: Path, tokens: Path) -> Iterator[Site]:
    started = pacs.site(folder, f'[models]\npath = ["{MODELS}"]\nenabled = ["{GOOD}", "{BAD}"]\n')
    started.extra_environment |= {
        "PYTHONPATH": f"{CRASHING}:{REPOSITORY}",
        "CRASH_POINTS": f"{POINT} node.jobs.documents SqlDueDocuments.announce some",
        "CRASH_TOKENS": str(tokens),
    }
    try:
        started.start()
        yield started
    finally:
        started.kill()


@pytest.fixture(scope="module")
def records(site: Site) -> Iterator[Records]:
    """Asked in this process: one of its own for each question would cost more than all the rest."""
    opened = open_records(configuration.load(site.config, site.environment))
    yield opened
    opened.close()


@pytest.fixture(scope="module")
def study(site: Site, records: Records, tokens: Path, tmp_path_factory: pytest.TempPathFactory) -> str:
    """Analysed by one model, failed by the other; the writer of the failure's document died once."""
    images = tmp_path_factory.mktemp("images")
    for image in another_study(data_dir("hippocampus-dicom-study3"), "documents"):
        image.save_as(images / f"{image.InstanceNumber}.dcm")
    (tokens / POINT).touch()
    storescu(site, images)
    uid = study_of(images)
    wait_for(lambda: records.worklist.jobs(study=uid), "the series is complete", timeout_s=60)
    assert site.run("wait", uid, "--timeout", "100").returncode == 1
    assert not (tokens / POINT).exists(), "a process died there"
    return uid


def held(pacs: Pacs, study: str, sop_class_uid: str) -> dict[str, pydicom.Dataset]:
    return {str(one.SOPInstanceUID): one for one in pacs.instances(study) if one.SOPClassUID == sop_class_uid}


def is_final(records: Records, study: str) -> None:
    wait_for(lambda: records.worklist.finality(study).final, "everything is final", timeout_s=90)


def objects(records: Records, study: str, model: str) -> dict[str, dict[str, Any]]:
    """The newest result of a model: its objects by modality."""
    listed = [one for one in provenance.list_results(records, study, 100) if one["model"] == model]
    return {one["modality"]: one for one in listed if one["job"] == listed[0]["job"]}


def test_a_failure_is_one_document_although_its_writer_died(records: Records, pacs: Pacs, study: str) -> None:
    failed = [one for one in held(pacs, study, COMPREHENSIVE_3D_SR).values() if "FAILED" in one.SeriesDescription]
    assert len(failed) == 1
    texts = [
        str(item.get("TextValue", ""))
        for part in failed[0].ContentSequence
        for item in part.get("ContentSequence") or []
    ]
    assert any(text.startswith("FAILED: The analysis failed: the model ended with an error") for text in texts)
    (bad,) = (job for job in records.worklist.jobs(study=study) if job["model"] == BAD)
    assert (bad["state"], bad["error_code"], bad["document"]) == ("FAILED", "ModelError", "WRITTEN")
    states = {one["state"] for one in records.worklist.deliveries(study=study)}
    assert states == {"COMMITTED"}
    assert records.worklist.study(study)["outcome"] == {BAD: "FAILED", GOOD: "POSITIVE"}
    assert records.worklist.documents() == {"due": 0, "given_up": 0}
    verified = reproducing.verify(records, objects(records, study, BAD)["SR"]["sop_instance_uid"], "cpu")
    assert verified["ok"], verified
    assert [one["detail"] for one in verified["findings"]][-1] == "equal to the bit"


def test_a_result_tells_where_it_came_from(records: Records, study: str) -> None:
    named = objects(records, study, GOOD)
    assert set(named) == {"SEG", "SR"}
    (shown,) = provenance.show_results(records, named["SEG"]["sop_instance_uid"])
    assert (shown["model"], shown["model_version"], shown["standing"]) == (GOOD, "1.0.0", "CURRENT")
    assert len(shown["inputs"]) == 40
    assert len(shown["weights_sha256"]) == len(shown["inputs"][0]["sha256"]) == 64
    assert {"torch", "ainode"} <= set(shown["libraries"])
    assert (shown["device"], shown["precision"]) == ("cpu", "fp32")
    assert shown["parameters"]["runtime"]["precision"] == "fp32"
    assert len(shown["parameters"]["package_sha256"]) == 64
    assert [one["state"] for one in shown["deliveries"]] == ["COMMITTED", "COMMITTED"]
    with pytest.raises(NotFound):
        provenance.show_results(records, "1.2.3.4.5")


def test_a_withdrawn_result_is_rejected_and_may_be_made_anew(
    site: Site, records: Records, pacs: Pacs, study: str, folder: Path
) -> None:
    first = objects(records, study, GOOD)
    uid = first["SR"]["sop_instance_uid"]
    assert site.run("results", "withdraw", uid, "--reason", "the wrong patient", "--title", "patient").returncode == 0
    with pytest.raises(AlreadyWithdrawn):
        provenance.withdraw(records, uid, "operator@host", "again", RejectionTitle.QUALITY)
    is_final(records, study)
    assert records.worklist.studies()[0]["outcome"][GOOD] == "WITHDRAWN"
    ((_, note),) = held(pacs, study, KEY_OBJECTS).items()
    assert note.ConceptNameCodeSequence[0].CodeValue == "113038"
    rejected = [item.ReferencedSOPSequence[0] for item in note.ContentSequence if "ReferencedSOPSequence" in item]
    assert {str(one.ReferencedSOPInstanceUID) for one in rejected} == {
        one["sop_instance_uid"] for one in first.values()
    }
    assert "the wrong patient" not in site.log

    models = packages.open_models(records.config)
    assert routing.reprocess(records, models)(records.worklist.series_ids(study), GOOD)[0].job is not None
    is_final(records, study)
    second = objects(records, study, GOOD)
    assert not {one["sop_instance_uid"] for one in first.values()} & {
        one["sop_instance_uid"] for one in second.values()
    }
    assert set(held(pacs, study, SEG)) == {first["SEG"]["sop_instance_uid"], second["SEG"]["sop_instance_uid"]}
    report = held(pacs, study, COMPREHENSIVE_3D_SR)[second["SR"]["sop_instance_uid"]]
    named = report.PredecessorDocumentsSequence[0].ReferencedSeriesSequence[0].ReferencedSOPSequence[0]
    assert str(named.ReferencedSOPInstanceUID) == uid
    (old,) = provenance.show_results(records, uid)
    assert (old["standing"], old["successors"]) == ("WITHDRAWN", [second["SR"]["sop_instance_uid"]])
    assert old["withdrawn"]["reason"] == "the wrong patient"

    verified = site.json("results", "verify", second["SEG"]["sop_instance_uid"])
    assert verified["ok"], verified
    assert verified["findings"][-1]["detail"] == "equal to the bit on cpu"
    (kept,) = (folder / "var" / "results").rglob(f"{second['SR']['sop_instance_uid']}.dcm")
    kept.write_bytes(kept.read_bytes()[:-2] + b"  ")
    spoilt = reproducing.verify(records, second["SR"]["sop_instance_uid"], "cpu")
    assert not spoilt["ok"]
    assert "DigestDiffers" in {one["code"] for one in spoilt["findings"]}
    gone = update(instance).values(removed_at=records.clock.now())
    UnitOfWork(records.engine).write(lambda connection: connection.execute(gone))
    removed = reproducing.verify(records, first["SEG"]["sop_instance_uid"], "cpu")
    assert [one["code"] for one in removed["findings"] if not one["ok"]] == ["InputsRemoved"]


def test_every_use_of_all_that_is_in_the_log(site: Site, records: Records, study: str) -> None:
    entries = site.json("audit", "list")["entries"]
    assert [one["number"] for one in entries] == list(range(len(entries), 0, -1))
    assert {one["study_instance_uid"] for one in entries} == {study}
    by_command = {one["action"] for one in entries if one["actor"].startswith("cli:")}
    by_process = {one["action"] for one in entries if one["actor"].startswith("system:")}
    assert {"RESULT_WITHDRAWN", "RESULT_VERIFIED"} <= by_command
    assert {"JOB_COMPLETED", "JOB_FAILED", "DOCUMENT_WRITTEN", "JOB_REQUESTED"} <= by_process
    (completed,) = [one for one in entries if one["action"] == "JOB_COMPLETED"][-1:]
    first = provenance.show_results(records, completed["detail"]["objects"][0]["sop_instance_uid"])[0]
    assert completed["subject"] == f"job {first['job']}"
    assert completed["detail"]["weights_sha256"] == first["weights_sha256"]
    assert completed["detail"]["inputs"] == 40
    assert "the wrong patient" not in str(entries)

    whole = site.json("audit", "verify", "--head", entries[3]["digest"])
    assert (whole["ok"], whole["entries"], whole["noted_at"]) == (True, len(entries), entries[3]["number"])
    assert f'"digest": "{"0" * 64}"' in site.log, "the head was noted when the node started"
    assert site.run("audit", "verify", "--head", "something").returncode == 2

    forged = update(audit_entry).where(audit_entry.c.number == 2).values(actor="nobody")
    with records.engine.begin() as connection:
        connection.exec_driver_sql("DROP TRIGGER audit_entry_UPDATE")
        connection.execute(forged)
    broken = site.run("audit", "verify")
    assert (broken.returncode, "at entry 2" in broken.stderr) == (1, True), broken.stderr
    assert site.json("audit", "verify")["broken"]["number"] == 2
