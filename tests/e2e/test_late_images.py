"""A series that goes on after it was judged: a second report that names the first, and never an old one as the new."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pydicom
import pytest

from tests.e2e.held_model import MODEL_ID, HeldModel
from tests.e2e.pacs import COMPREHENSIVE_3D_SR, SEG, Pacs, another_study, storescu, study_of
from tests.e2e.processes import children, command_line
from tests.e2e.site import Site
from tests.peers import data_dir
from tests.waiting import wait_for

DATA = "hippocampus-dicom-study3"
# Of forty images, these come late.
LATE = (39, 40)


@pytest.fixture
def held(tmp_path: Path) -> HeldModel:
    return HeldModel(tmp_path / "model")


@pytest.fixture
def site(pacs: Pacs, tmp_path: Path, held: HeldModel) -> Iterator[Site]:
    """Its series close when a test says so, never because of silence."""
    started = pacs.site(tmp_path / "site", f'[models]\npath = ["{held.folder}"]\nenabled = ["{MODEL_ID}"]\n')
    started.extra_environment["AINODE_RECEIVE__QUIET_PERIOD_S"] = "600"
    started.extra_environment["AINODE_RECEIVE__QUIET_PERIOD_LEARNED"] = "false"
    try:
        started.start()
        yield started
    finally:
        held.release()
        started.kill()


class Sender:
    """A study of one series that a scanner sends in two parts."""

    def __init__(self, site: Site, folder: Path, name: str) -> None:
        self._site, self._first, self._rest = site, folder / "first", folder / "rest"
        for part in (self._first, self._rest):
            part.mkdir(parents=True)
        for image in another_study(data_dir(DATA), name):
            del image.ImagesInAcquisition  # it would say when the series is whole
            part = self._rest if image.InstanceNumber in LATE else self._first
            image.save_as(part / f"{image.InstanceNumber}.dcm")
        self.study = study_of(folder)

    def send_the_first(self) -> None:
        """And see it close."""
        storescu(self._site, self._first)
        wait_for(lambda: self.instances() == 40 - len(LATE), "the first part is recorded")
        self.close()

    def send_the_rest(self) -> None:
        """And see it reopen the series."""
        storescu(self._site, self._rest)
        wait_for(lambda: self.instances() == 40, "every image is recorded")
        assert (self.row()["state"], self.row()["revision"]) == ("RECEIVING", 2)

    def close(self) -> None:
        assert self._site.run("studies", "complete", self.study).returncode == 0

    def instances(self) -> int:
        """How many are recorded."""
        studies = self._site.json("studies", "list")["studies"]
        return sum(one["instances"] for one in studies if one["study_instance_uid"] == self.study)

    def row(self) -> dict[str, Any]:
        (found,) = self._site.json("studies", "show", self.study)["series"]
        assert isinstance(found, dict)
        return found

    def jobs(self) -> list[dict[str, Any]]:
        """The oldest first."""
        jobs: list[dict[str, Any]] = self._site.json("queue", "list", "--study", self.study)["jobs"]
        return jobs[::-1]

    def wait(self) -> None:
        assert self._site.run("wait", self.study, "--timeout", "90").returncode == 0


def objects_of(site: Site, job: int) -> dict[str, dict[str, Any]]:
    """The objects of a job by modality."""
    return {one["modality"]: one for one in site.json("queue", "show", str(job))["objects"]}


def predecessors(report: pydicom.Dataset) -> list[tuple[str, str, str]]:
    """Study, series and SOP Instance UID of each document that a report says it replaces."""
    return [
        (str(study.StudyInstanceUID), str(series.SeriesInstanceUID), str(item.ReferencedSOPInstanceUID))
        for study in report.get("PredecessorDocumentsSequence") or []
        for series in study.ReferencedSeriesSequence
        for item in series.ReferencedSOPSequence
    ]


def reports(pacs: Pacs, study: str) -> dict[str, pydicom.Dataset]:
    """What Orthanc holds of our reports, by SOP Instance UID."""
    held = [item for item in pacs.instances(study) if item.SOPClassUID == COMPREHENSIVE_3D_SR]
    return {str(item.SOPInstanceUID): item for item in held}


def test_a_late_image_makes_a_second_report_that_names_the_first(site: Site, pacs: Pacs, tmp_path: Path) -> None:
    sender = Sender(site, tmp_path / "images", "in two parts")
    sender.send_the_first()
    sender.wait()
    (first,) = sender.jobs()
    assert (first["state"], first["revision"], first["superseded_at"]) == ("COMPLETED", 1, None)

    sender.send_the_rest()
    assert site.json("studies", "show", sender.study)["outcome"][MODEL_ID] == "PENDING"
    assert sender.jobs() == [first]
    sender.close()
    sender.wait()
    old, new = sender.jobs()
    assert (new["state"], new["revision"], new["superseded_by"]) == ("COMPLETED", 2, None)
    assert (old["state"], old["superseded_by"]) == ("COMPLETED", new["id"])
    assert old["superseded_at"]

    was, is_now = objects_of(site, old["id"])["SR"], objects_of(site, new["id"])["SR"]
    held = reports(pacs, sender.study)
    assert set(held) == {was["sop_instance_uid"], is_now["sop_instance_uid"]}
    assert predecessors(held[was["sop_instance_uid"]]) == []
    assert predecessors(held[is_now["sop_instance_uid"]]) == [
        (sender.study, was["series_instance_uid"], was["sop_instance_uid"])
    ]
    document = site.json("studies", "show", sender.study)
    assert [one["superseded_by"] for one in document["results"]] == [new["id"], new["id"], None, None]
    assert document["outcome"] == {MODEL_ID: "POSITIVE"}
    assert document["state"] == "COMPLETED"
    (judged,) = site.json("why", sender.study)["studies"][0]["series"]
    assert [one["revision"] for one in judged["models"]] == [2]

    site.run("studies", "reprocess", sender.study)
    sender.wait()
    again = sender.jobs()[-1]
    assert again["id"] != new["id"]
    for modality, written in objects_of(site, again["id"]).items():
        same = objects_of(site, new["id"])[modality]
        assert (written["sop_instance_uid"], written["sha256"]) == (same["sop_instance_uid"], same["sha256"])
    assert set(reports(pacs, sender.study)) == set(held), "a repeat makes no third report"


def test_a_job_that_runs_when_its_series_closes_anew_gives_no_result(
    site: Site, held: HeldModel, pacs: Pacs, tmp_path: Path
) -> None:
    sender = Sender(site, tmp_path / "images", "while it runs")
    held.hold()
    sender.send_the_first()
    wait_for(lambda: held.runs == 1, "the network was entered", timeout_s=60)
    (inference,) = inference_processes(site)
    sender.send_the_rest()
    (first,) = sender.jobs()
    assert first["state"] == "IN_PROGRESS", "as long as the series is open, the job may finish"
    sender.close()
    wait_for(lambda: sender.jobs()[0]["state"] == "CANCELED", "the old job is stopped")
    wait_for(lambda: not command_line(inference), "its process is gone")
    wait_for(lambda: held.runs == 2, "the new one runs", timeout_s=60)
    held.release()
    sender.wait()
    old, new = sender.jobs()
    assert (old["state"], old["error_code"], old["superseded_by"]) == ("CANCELED", "Superseded", new["id"])
    assert (new["state"], new["revision"]) == ("COMPLETED", 2)
    ours = pacs.instances(sender.study)
    assert sorted(item.SOPClassUID for item in ours) == sorted([SEG, COMPREHENSIVE_3D_SR])
    assert [predecessors(item) for item in ours] == [[], []]
    assert site.run("queue", "retry", str(old["id"])).returncode == 1
    assert [one["state"] for one in sender.jobs()] == ["CANCELED", "COMPLETED"]


def test_a_job_that_ends_while_its_series_is_open_again_is_a_predecessor(
    site: Site, held: HeldModel, pacs: Pacs, tmp_path: Path
) -> None:
    sender = Sender(site, tmp_path / "images", "ends in between")
    held.hold()
    sender.send_the_first()
    wait_for(lambda: held.runs == 1, "the network was entered", timeout_s=60)
    sender.send_the_rest()
    held.release()
    wait_for(lambda: sender.jobs()[0]["state"] == "COMPLETED", "the old job ends", timeout_s=60)
    assert site.json("studies", "show", sender.study)["outcome"] == {MODEL_ID: "PENDING"}
    sender.close()
    sender.wait()
    old, new = sender.jobs()
    assert (old["superseded_by"], new["superseded_by"]) == (new["id"], None)
    was, is_now = (objects_of(site, job["id"])["SR"]["sop_instance_uid"] for job in (old, new))
    held_reports = reports(pacs, sender.study)
    assert set(held_reports) == {was, is_now}
    assert [named[2] for named in predecessors(held_reports[is_now])] == [was]


def inference_processes(site: Site) -> list[int]:
    assert site.process is not None
    workers = [pid for pid in children(site.process.pid) if "node.app.serve work" in command_line(pid)]
    return [child for pid in workers for child in children(pid)]
