"""What a worker's death, an operator and SIGTERM do to a job in mid-inference."""

from __future__ import annotations

import os
import signal
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.e2e.held_model import MODEL_ID, HeldModel
from tests.e2e.pacs import SEG, Pacs, storescu, study_of
from tests.e2e.processes import children, command_line
from tests.e2e.site import Site
from tests.peers import data_dir
from tests.waiting import wait_for

DATA = "hippocampus-dicom-study3"


@pytest.fixture
def held(tmp_path: Path) -> HeldModel:
    model = HeldModel(tmp_path / "model")
    model.hold()
    return model


@pytest.fixture
def site(pacs: Pacs, tmp_path: Path, held: HeldModel) -> Iterator[Site]:
    """Leases as they are shipped: on a busy machine a shorter one ends while its worker lives."""
    extra = f"""
[models]
path = ["{held.folder}"]
enabled = ["{MODEL_ID}"]
"""
    started = pacs.site(tmp_path / "site", extra)
    try:
        started.start()
        yield started
    finally:
        held.release()
        started.kill()


def worker_of(site: Site) -> int:
    assert site.process is not None
    (pid,) = [pid for pid in children(site.process.pid) if "node.app.serve work" in command_line(pid)]
    return pid


def job_of(site: Site, study: str) -> dict[str, Any]:
    (job,) = site.json("queue", "list", "--study", study)["jobs"]
    assert isinstance(job, dict)
    return job


def send_and_hold(site: Site, held: HeldModel) -> str:
    folder = data_dir(DATA)
    storescu(site, folder)
    wait_for(lambda: held.runs == 1, "the network was entered", timeout_s=60)
    return study_of(folder)


def test_a_worker_killed_in_mid_inference_costs_one_attempt(site: Site, held: HeldModel, pacs: Pacs) -> None:
    study = send_and_hold(site, held)
    worker = worker_of(site)
    inference = children(worker)
    os.kill(worker, signal.SIGKILL)
    wait_for(lambda: held.runs == 2, "another attempt entered the network", timeout_s=60)
    wait_for(lambda: not any(command_line(pid) for pid in inference), "the orphaned child ended")
    held.release()
    assert site.run("wait", study, "--timeout", "60").returncode == 0
    job = job_of(site, study)
    assert (job["state"], job["attempt"]) == ("COMPLETED", 2)
    ours = [item for item in pacs.instances(study) if MODEL_ID in str(item.SeriesDescription)]
    assert sorted(item.Modality for item in ours) == ["SEG", "SR"]


def test_cancel_stops_the_run_and_the_worker_lives_on(site: Site, held: HeldModel) -> None:
    study = send_and_hold(site, held)
    worker = worker_of(site)
    job = str(job_of(site, study)["id"])
    assert site.run("queue", "cancel", job).returncode == 0
    wait_for(lambda: job_of(site, study)["state"] == "CANCELED", "the job is canceled")
    held.release()
    assert site.run("queue", "retry", job).returncode == 0
    assert site.run("wait", study, "--timeout", "60").returncode == 0
    assert job_of(site, study)["state"] == "COMPLETED"
    assert worker_of(site) == worker


def test_sigterm_hands_the_job_back_and_the_next_start_finishes_it(site: Site, held: HeldModel, pacs: Pacs) -> None:
    study = send_and_hold(site, held)
    assert site.stop() == 0
    assert job_of(site, study)["state"] == "SCHEDULED"
    held.release()
    site.start()
    assert site.run("wait", study, "--timeout", "60").returncode == 0
    assert job_of(site, study)["state"] == "COMPLETED"
    segs = [
        item for item in pacs.instances(study) if item.SOPClassUID == SEG and MODEL_ID in str(item.SeriesDescription)
    ]
    assert len(segs) == 1


def test_pause_and_resume(site: Site, held: HeldModel) -> None:
    held.release()
    assert site.run("queue", "pause").returncode == 0
    folder = data_dir(DATA)
    study = study_of(folder)
    storescu(site, folder)
    wait_for(lambda: site.json("queue", "list", "--study", study)["jobs"], "the job waits", timeout_s=60)
    assert site.run("wait", study, "--timeout", "2").returncode == 3
    assert held.runs == 0
    assert site.json("status")["state"] == "degraded"
    assert site.run("queue", "resume").returncode == 0
    assert site.run("wait", study, "--timeout", "60").returncode == 0
    assert held.runs == 1
