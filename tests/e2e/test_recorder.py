"""The recorder behind the journal: it may die, hang or be left out, and nothing that was acknowledged is lost."""

from __future__ import annotations

import os
import signal
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.e2e.pacs import Pacs, another_study, dicom_files, storescu, study_of
from tests.e2e.processes import children, command_line
from tests.e2e.site import Site
from tests.peers import data_dir
from tests.waiting import wait_for

DATA = "hippocampus-dicom-study3"


@pytest.fixture
def site(pacs: Pacs, tmp_path: Path) -> Iterator[Site]:
    started = pacs.site(tmp_path / "site")
    try:
        yield started
    finally:
        started.kill()


def recorder_of(site: Site) -> int:
    assert site.process is not None
    found = [pid for pid in children(site.process.pid) if "node.app.serve record" in command_line(pid)]
    return found[0] if found else 0


def study(site: Site, uid: str) -> dict[str, Any] | None:
    found = [one for one in site.json("studies", "list")["studies"] if one["study_instance_uid"] == uid]
    return found[0] if found else None


def wait_for_all(site: Site, sent: Path) -> None:
    """Until the study has every image; their rows come in batches, so the first ones are seen before the last."""

    def recorded() -> int:
        found = study(site, study_of(sent))
        return 0 if found is None else int(found["instances"])

    wait_for(lambda: recorded() >= len(dicom_files(sent)), "every image has its row")
    assert recorded() == len(dicom_files(sent))


def events(site: Site, name: str) -> list[dict[str, Any]]:
    return [record for record in site.records() if record.get("event") == name]


def kill_all(site: Site) -> None:
    """As a power cut does, but for what the kernel keeps."""
    assert site.process is not None
    pids = [site.process.pid, *children(site.process.pid)]
    for pid in pids:
        os.kill(pid, signal.SIGKILL)
    site.process.wait()
    wait_for(lambda: not any(command_line(pid) for pid in pids), "every process is gone")
    site.process = None


def another(folder: Path, name: str) -> Path:
    folder.mkdir()
    for number, image in enumerate(another_study(data_dir(DATA), name)):
        image.save_as(folder / f"{number}.dcm")
    return folder


def test_a_killed_recorder_goes_on_where_it_was(site: Site, tmp_path: Path) -> None:
    site.start(roles=("receive", "timers"))
    wait_for(lambda: events(site, "store.reconciled"), "reconciled at the start")
    first = recorder_of(site)
    os.kill(first, signal.SIGKILL)
    sent = another(tmp_path / "images", "killed recorder")
    storescu(site, sent)
    wait_for(lambda: recorder_of(site) not in (0, first), "another recorder")
    wait_for(lambda: len(events(site, "store.reconciled")) == 2, "reconciled after its start")
    wait_for_all(site, sent)
    assert events(site, "store.reconciled")[-1]["missing"] == 0


def test_while_the_recorder_hangs_images_are_taken_and_no_series_is_closed(site: Site, tmp_path: Path) -> None:
    site.start(roles=("receive", "timers"))
    wait_for(lambda: events(site, "store.reconciled"), "reconciled at the start")
    pid = recorder_of(site)
    os.kill(pid, signal.SIGSTOP)
    sent = another(tmp_path / "images", "hanging recorder")
    storescu(site, sent)
    assert study(site, study_of(sent)) is None
    kill_all(site)
    site.forget_log()
    site.start(roles=("receive", "timers"))
    (line,) = wait_for(lambda: events(site, "store.reconciled"), "reconciled after the next start")
    assert line["recorded"] > len(dicom_files(sent)), "the end of the association too"
    assert line["missing"] == 0
    wait_for_all(site, sent)
    jobs = wait_for(lambda: site.json("queue", "list", "--study", study_of(sent))["jobs"], "its job")
    assert [job["attempt"] for job in jobs] == [0], "judged once, when all of it had its rows"


def test_a_site_that_changes_its_store_keeps_what_it_has(site: Site, tmp_path: Path) -> None:
    site.start()
    before, after = another(tmp_path / "before", "into the journal"), another(tmp_path / "after", "into files")
    storescu(site, before)
    assert site.run("wait", study_of(before), "--timeout", "90").returncode == 0
    assert site.stop() == 0
    site.extra_environment["AINODE_STORE__KIND"] = "files"
    site.forget_log()
    site.start()
    assert site.run("studies", "reprocess", study_of(before)).returncode == 0
    storescu(site, after)
    for folder in (after, before):
        assert site.run("wait", study_of(folder), "--timeout", "90").returncode == 0
    states = {job["state"] for job in site.json("queue", "list")["jobs"]}
    assert states == {"COMPLETED"}
    objects = [path for path in (site.folder / "var" / "instances" / "objects").rglob("*") if path.is_file()]
    assert len(objects) == len(dicom_files(after))
