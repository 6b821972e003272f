"""The main job with real parts: DCMTK sends, the node works, Orthanc keeps and commits, the command line shows it."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path

import pydicom
import pytest

from tests.e2e.pacs import COMPREHENSIVE_3D_SR, SEG, Pacs, dcmsend, dicom_files, storescu, study_of, with_identity
from tests.e2e.site import Site
from tests.peers import data_dir

HIPPOCAMPUS = "hippocampus_mr"


@pytest.fixture(scope="module")
def site(pacs: Pacs, folder: Path) -> Iterator[Site]:
    started = pacs.site(folder)
    try:
        started.start()
        yield started
    finally:
        started.kill()


def verdicts(site: Site, study: str) -> dict[str, dict[str, list[str]]]:
    """Series -> model -> the names of its unmet conditions."""
    document = site.json("why", study)
    return {
        series["series_instance_uid"]: {
            model["model"]: [one["name"] for one in model["conditions"] if not one["met"]] for model in series["models"]
        }
        for one_study in document["studies"]
        for series in one_study["series"]
    }


def test_hippocampus_gets_seg_and_sr_committed_in_orthanc(site: Site, pacs: Pacs) -> None:
    folder = data_dir("hippocampus-dicom-study3")
    study = study_of(folder)
    storescu(site, folder)
    assert site.run("wait", study, "--timeout", "90").returncode == 0

    (job,) = site.json("queue", "list", "--study", study)["jobs"]
    assert (job["state"], job["model"], job["attempt"]) == ("COMPLETED", HIPPOCAMPUS, 1)
    deliveries = site.json("deliveries", "list", "--study", study)["deliveries"]
    assert [one["state"] for one in deliveries] == ["COMMITTED", "COMMITTED"]

    written = {item.SOPClassUID: item for item in pacs.instances(study)}
    assert set(written) == {SEG, COMPREHENSIVE_3D_SR}
    for item in written.values():
        assert item.SeriesDescription.endswith("- POSITIVE - unverified")
        assert len(item.SeriesDescription) <= 64
    assert written[COMPREHENSIVE_3D_SR].VerificationFlag == "UNVERIFIED"
    assert written[COMPREHENSIVE_3D_SR].PreliminaryFlag == "PRELIMINARY"
    (listed,) = [one for one in site.json("studies", "list")["studies"] if one["study_instance_uid"] == study]
    assert listed["outcome"][HIPPOCAMPUS] == "POSITIVE"


def test_reprocessing_writes_the_very_same_objects(site: Site, pacs: Pacs) -> None:
    study = study_of(data_dir("hippocampus-dicom-study3"))
    (first,) = site.json("queue", "list", "--study", study)["jobs"]
    reprocessed = site.json("studies", "reprocess", study)["reprocessed"]
    (again,) = [one for one in reprocessed if one["model"] == HIPPOCAMPUS]
    assert again["job"] != first["id"]
    assert site.run("wait", study, "--timeout", "90").returncode == 0

    def digests(job: int) -> set[tuple[str, str]]:
        return {(one["sop_instance_uid"], one["sha256"]) for one in site.json("queue", "show", str(job))["objects"]}

    assert len(digests(first["id"])) == 2
    assert digests(again["job"]) == digests(first["id"])
    assert len(pacs.instances(study)) == 2, "one object of each kind, however often it was sent"


@pytest.mark.parametrize(
    ("name", "program", "models"),
    [
        ("brain-mr-glioma-study3", storescu, set()),
        ("chest-ct-ricord", dcmsend, {"organ_ct"}),
        ("ct-20slice-totalseg", dcmsend, {"organ_ct"}),
    ],
)
def test_what_a_model_does_not_want_is_accepted_and_why_says_why(
    site: Site, name: str, program: Callable[[Site, Path], None], models: set[str], tmp_path: Path
) -> None:
    folder = data_dir(name)
    if name == "ct-20slice-totalseg":
        folder = with_identity(folder, tmp_path / "with UIDs")
    study = study_of(folder)
    before = {job["id"] for job in site.json("queue", "list", "--study", study)["jobs"]}
    program(site, folder)
    assert site.run("wait", study, "--timeout", "240").returncode == 0
    jobs = [job for job in site.json("queue", "list", "--study", study)["jobs"] if job["id"] not in before]
    assert {(job["model"], job["state"]) for job in jobs} == {(model, "COMPLETED") for model in models}
    sent = {str(pydicom.dcmread(path, stop_before_pixels=True).SeriesInstanceUID) for path in dicom_files(folder)}
    reasons = verdicts(site, study)
    assert sent <= set(reasons)
    for series in sent:
        assert reasons[series][HIPPOCAMPUS], f"series {series} has no unmet condition"


def test_status_while_it_runs(site: Site) -> None:
    document = site.when_well()
    assert set(document["roles"]) == {"receive", "record", "work", "deliver", "timers"}
    assert document["jobs"]["COMPLETED"] >= 1
    assert set(document["jobs"]) == {"SCHEDULED", "IN_PROGRESS", "COMPLETED", "FAILED", "CANCELED"}
    assert document["disk"]["free_bytes"] > 0


def test_echo(site: Site) -> None:
    assert site.run("echo", "pacs").returncode == 0
    assert site.run("echo", "nobody").returncode == 1


def test_the_log_is_json_lines_without_patient_data(site: Site) -> None:
    header = pydicom.dcmread(next(data_dir("hippocampus-dicom-study3").glob("*.dcm")), stop_before_pixels=True)
    records = site.records()  # fails where a line is no JSON object
    assert records
    for secret in (str(header.PatientName), str(header.PatientID), "Dumbledore"):
        assert secret not in site.log
