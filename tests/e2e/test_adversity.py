"""A node in a bad place: a dead PACS beside a living one, a full disk, a supervisor that is killed."""

from __future__ import annotations

import os
import signal
import socket
from pathlib import Path

import pytest

from tests.e2e.held_model import MODEL_ID, HeldModel
from tests.e2e.pacs import Pacs, dicom_files, storescu, study_of
from tests.e2e.processes import children, command_line
from tests.e2e.site import Site
from tests.peers import data_dir, free_port, require_program, run_program
from tests.waiting import wait_for

DATA = "hippocampus-dicom-study3"


@pytest.fixture
def model(tmp_path: Path) -> str:
    """A quick model that wants the hippocampus series, as configuration."""
    return f'[models]\npath = ["{HeldModel(tmp_path / "model").folder}"]\nenabled = ["{MODEL_ID}"]\n'


def test_a_dead_destination_delays_no_other(pacs: Pacs, tmp_path: Path, model: str) -> None:
    dead = f"""
[[destinations]]
name = "dead"
ae_title = "DEAD"
host = "127.0.0.1"
port = {free_port()}
retry_base_s = 0.5
[[destinations]]
name = "living"
ae_title = "{pacs.orthanc.ae_title}"
host = "127.0.0.1"
port = {pacs.orthanc.dicom_port}
[[routes]]
destinations = ["dead", "living"]
"""
    site = Site(tmp_path / "site", dead, model, port=pacs.node_port)
    data = data_dir(DATA)
    try:
        site.start()
        storescu(site, data)

        def deliveries() -> dict[str, set[str]]:
            states: dict[str, set[str]] = {}
            for one in site.json("deliveries", "list")["deliveries"]:
                states.setdefault(one["destination"], set()).add(one["state"])
            return states

        wait_for(lambda: deliveries().get("living") == {"COMMITTED"}, "the living one has everything", timeout_s=60)
        assert deliveries()["dead"] <= {"SCHEDULED", "IN_PROGRESS"}
        wait_for(
            lambda: any(one["error_code"] for one in site.json("deliveries", "list")["deliveries"]), "the error is kept"
        )
        assert site.run("wait", study_of(data), "--timeout", "1").returncode == 3
        assert site.run("echo", "dead").returncode == 1
    finally:
        site.kill()


def test_below_the_watermark_nothing_is_taken_and_status_says_so(tmp_path: Path) -> None:
    site = Site(tmp_path / "site")
    site.extra_environment["AINODE_NODE__FREE_SPACE_WATERMARK_BYTES"] = str(1 << 60)
    image = dicom_files(data_dir(DATA))[0]
    try:
        site.start(roles=("receive", "timers"))
        done = run_program(
            [require_program("storescu"), "-v", "-aec", "AINODE", "127.0.0.1", str(site.port), image], check=False
        )
        assert "OutOfResources" in done, done
        document = site.json("status")
        assert document["state"] == "degraded"
        assert any("A700" in reason for reason in document["reasons"])
        assert site.json("studies", "list")["studies"] == []
        assert not list((tmp_path / "site" / "var" / "instances").rglob("*.dcm"))
    finally:
        site.kill()


def test_nothing_outlives_a_killed_supervisor_and_the_next_start_goes_on(tmp_path: Path) -> None:
    site = Site(tmp_path / "site", extra='[models]\nenabled = ["none"]\n')
    data = data_dir(DATA)
    try:
        site.start(roles=("receive", "timers"))
        assert site.process is not None
        processes = children(site.process.pid)
        # A peer is connected when everything dies.
        with socket.create_connection(("127.0.0.1", site.port)):
            os.kill(site.process.pid, signal.SIGKILL)
            site.process.wait()
            wait_for(lambda: not any(command_line(pid) for pid in processes), "every process ended", timeout_s=40)
        site.forget_log()
        site.start(roles=("receive", "timers"))
        storescu(site, data)
        assert site.run("wait", study_of(data), "--timeout", "60").returncode == 0
        assert site.stop() == 0
    finally:
        site.kill()
