"""What an operator does to the queue while a job runs: pause, resume, cancel, retry, prioritise."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.e2e.held_model import MODEL_ID, HeldModel
from tests.e2e.pacs import Pacs, another_study, storescu, study_of
from tests.e2e.processes import children, command_line
from tests.e2e.site import Site
from tests.peers import data_dir
from tests.waiting import wait_for


@pytest.fixture
def held(tmp_path: Path) -> HeldModel:
    model = HeldModel(tmp_path / "model")
    model.hold()
    return model


@pytest.fixture
def site(pacs: Pacs, tmp_path: Path, held: HeldModel) -> Iterator[Site]:
    """Leases as they are shipped: an operator's word must not wait for one."""
    started = pacs.site(tmp_path / "site", f'[models]\npath = ["{held.folder}"]\nenabled = ["{MODEL_ID}"]\n')
    try:
        started.start()
        yield started
    finally:
        held.release()
        started.kill()


def send(site: Site, folder: Path, name: str) -> str:
    """A study of its own; returns when its job is there."""
    images = folder / name
    images.mkdir()
    for image in another_study(data_dir("hippocampus-dicom-study3"), name):
        image.save_as(images / f"{image.InstanceNumber}.dcm")
    storescu(site, images)
    study = study_of(images)
    wait_for(lambda: site.json("queue", "list", "--study", study)["jobs"], "the job is made", timeout_s=60)
    return study


def job_of(site: Site, study: str) -> dict[str, Any]:
    (job,) = site.json("queue", "list", "--study", study)["jobs"]
    assert isinstance(job, dict)
    return job


def queue(site: Site, *words: object) -> None:
    done = site.run("queue", *map(str, words))
    assert done.returncode == 0, done.stderr


def inference_processes(site: Site) -> list[int]:
    assert site.process is not None
    workers = [pid for pid in children(site.process.pid) if "node.app.serve work" in command_line(pid)]
    return [child for pid in workers for child in children(pid)]


def test_cancel_kills_the_child_and_the_next_job_runs(site: Site, held: HeldModel, tmp_path: Path) -> None:
    first = send(site, tmp_path, "canceled")
    wait_for(lambda: held.runs == 1, "the network was entered", timeout_s=60)
    second = send(site, tmp_path, "behind it")
    (child,) = inference_processes(site)
    queue(site, "cancel", job_of(site, first)["id"])
    wait_for(lambda: not command_line(child), "its process is gone")
    wait_for(lambda: job_of(site, first)["state"] == "CANCELED", "the row says so")
    wait_for(lambda: held.runs == 2, "the next one runs", timeout_s=60)
    assert job_of(site, second)["state"] == "IN_PROGRESS"
    queue(site, "retry", job_of(site, first)["id"])
    assert job_of(site, first)["state"] == "SCHEDULED"
    held.release()
    for study in (first, second):
        assert site.run("wait", study, "--timeout", "60").returncode == 0
        assert job_of(site, study)["state"] == "COMPLETED"
    assert job_of(site, first)["attempt"] == 2


def test_pause_lets_what_runs_end_and_starts_nothing(site: Site, held: HeldModel, tmp_path: Path) -> None:
    first = send(site, tmp_path, "runs")
    wait_for(lambda: held.runs == 1, "the network was entered", timeout_s=60)
    second = send(site, tmp_path, "waits")
    queue(site, "pause")
    assert site.json("status")["paused"] is True
    held.release()
    assert site.run("wait", first, "--timeout", "60").returncode == 0
    assert site.run("wait", second, "--timeout", "2").returncode == 3
    assert job_of(site, second)["state"] == "SCHEDULED"
    third = send(site, tmp_path, "comes in all the same")
    queue(site, "resume")
    for study in (second, third):
        assert site.run("wait", study, "--timeout", "60").returncode == 0
    assert held.runs == 3


def test_prioritise_changes_who_is_next(site: Site, held: HeldModel, tmp_path: Path) -> None:
    first = send(site, tmp_path, "one")
    wait_for(lambda: held.runs == 1, "the network was entered", timeout_s=60)
    second, third = send(site, tmp_path, "two"), send(site, tmp_path, "three")
    queue(site, "prioritise", job_of(site, third)["id"], "--priority", "HIGH")
    assert job_of(site, third)["priority"] == "HIGH"
    held.release()
    for study in (first, second, third):
        assert site.run("wait", study, "--timeout", "60").returncode == 0
    started = sorted((job_of(site, study)["started_at"], study) for study in (first, second, third))
    assert [study for _, study in started] == [first, third, second]
