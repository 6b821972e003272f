"""Jobs that end whatever runs them: they fail after their attempts, are told of, and hold up nobody."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.e2e.pacs import COMPREHENSIVE_3D_SR, Pacs, another_study, storescu, study_of
from tests.e2e.processes import children, command_line
from tests.e2e.site import Site
from tests.peers import REPOSITORY, data_dir
from tests.waiting import wait_for

MODELS = REPOSITORY / "tests" / "fakes" / "models"
GOOD = "threshold"
ATTEMPTS = 2


@pytest.fixture(params=["segfaults", "ends_its_worker"])
def poison(request: pytest.FixtureRequest) -> str:
    """Two models that crash: one its child, one the worker itself."""
    name: str = request.param
    return name


@pytest.fixture
def started(pacs: Pacs, tmp_path: Path, poison: str) -> Iterator[Callable[[float], Site]]:
    """Starts a site where the poison is the more urgent; ``retry_s`` passes between its attempts."""
    sites: list[Site] = []

    def start(retry_s: float) -> Site:
        extra = f"""
[models]
path = ["{MODELS}"]
enabled = ["{poison}", "{GOOD}"]
[work]
max_attempts = {ATTEMPTS}
retry_base_s = {retry_s}
retry_cap_s = {retry_s}
"""
        site = pacs.site(tmp_path / "site", extra)
        sites.append(site)
        urgent = f'[[routes]]\ndestinations = ["pacs"]\nmodels = ["{poison}"]\npriority = "HIGH"\n'
        site.config.write_text(site.config.read_text().replace("[[routes]]", urgent + "[[routes]]"))
        site.start()
        return site

    yield start
    for site in sites:
        site.kill()


def send(site: Site, folder: Path, name: str) -> str:
    folder.mkdir()
    for image in another_study(data_dir("hippocampus-dicom-study3"), name):
        image.save_as(folder / f"{image.InstanceNumber}.dcm")
    storescu(site, folder)
    return study_of(folder)


def jobs(site: Site, study: str) -> dict[str, dict[str, Any]]:
    """The jobs of a study by model."""
    return {one["model"]: one for one in site.json("queue", "list", "--study", study)["jobs"]}


def worker_of(site: Site) -> int:
    assert site.process is not None
    (pid,) = [pid for pid in children(site.process.pid) if "node.app.serve work" in command_line(pid)]
    return pid


def test_a_poison_job_holds_up_nobody(started: Callable[[float], Site], poison: str, tmp_path: Path) -> None:
    site = started(3600.0)
    worker = worker_of(site)
    study = send(site, tmp_path / "images", f"{poison} waits")
    # What a dead worker held is noticed when its lease is over, which may be after the good one is done.
    states = {GOOD: "COMPLETED", poison: "SCHEDULED"}

    def ended() -> bool:
        return {model: job["state"] for model, job in jobs(site, study).items()} == states

    wait_for(ended, "the good one is done, and the other waits for its next attempt", timeout_s=120)
    now = jobs(site, study)
    assert (now[poison]["attempt"], now[poison]["error_code"]) == (1, "WorkerLost")
    assert (now[poison]["priority"], now[GOOD]["priority"]) == ("HIGH", "MEDIUM")
    assert now[poison]["started_at"] < now[GOOD]["started_at"] < now[poison]["run_after"]
    assert (worker_of(site) == worker) == (poison == "segfaults"), "a child's crash is no worker's"


def failures(pacs: Pacs, study: str) -> list[str]:
    """SOP Instance UIDs of the reports in the PACS that say that a run failed."""
    reports = [one for one in pacs.instances(study) if one.SOPClassUID == COMPREHENSIVE_3D_SR]
    return [str(one.SOPInstanceUID) for one in reports if "FAILED" in one.SeriesDescription]


@pytest.mark.timeout(600)  # many commands, each a process, on a busy machine
def test_a_poison_job_is_quarantined(started: Callable[[float], Site], pacs: Pacs, poison: str, tmp_path: Path) -> None:
    site = started(0.2)
    study = send(site, tmp_path / "images", f"{poison} ends")

    def given_up() -> bool:
        return bool(jobs(site, study).get(poison, {}).get("state") == "FAILED")

    wait_for(given_up, "it is given up", timeout_s=180)
    ended = jobs(site, study)
    assert (ended[poison]["attempt"], ended[poison]["error_code"]) == (ATTEMPTS, "WorkerLost")
    status = site.json("status")
    assert (status["state"], status["quarantined"]) == ("degraded", 1)
    assert any("quarantined: 1" in reason for reason in status["reasons"])
    assert site.run("wait", study, "--timeout", "120").returncode == 1
    document = site.json("studies", "show", study)
    assert document["outcome"] == {poison: "FAILED", GOOD: "POSITIVE"}
    (told,) = failures(pacs, study)

    number = str(ended[poison]["id"])
    assert site.run("queue", "cancel", number).returncode == 0
    assert jobs(site, study)[poison]["state"] == "CANCELED"
    wait_for(lambda: site.json("status")["state"] == "ok", "an operator has looked at it")
    assert site.run("queue", "retry", number).returncode == 0
    wait_for(given_up, "it is given up again", timeout_s=180)
    assert jobs(site, study)[poison]["attempt"] == 2 * ATTEMPTS
    wait_for(lambda: jobs(site, study)[poison]["document"] == "WRITTEN", "that is told", timeout_s=90)
    assert failures(pacs, study) == [told], "the same failure is the same document"
    assert site.json("status")["quarantined"] == 1
