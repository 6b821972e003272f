"""A node whose disk is full: what was acknowledged stays, nothing half is kept, and it goes on when there is room."""

from __future__ import annotations

import json
import urllib.request
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from pydicom.dataset import Dataset

from tests.e2e.site import Site
from tests.e2e.small_disk import fill, free_bytes, small_disk
from tests.integration.raw_scu import ASSOCIATE_AC, RawScu
from tests.integration.receiving import data_set_of
from tests.objects import data_set, part10
from tests.waiting import wait_for

MB = 1 << 20
SUCCESS, OUT_OF_RESOURCES = 0x0000, 0xA700
WATERMARK = 4 * MB
REJECTED = -1
NOTHING_RUNS = '[models]\nenabled = ["none"]\n'


@pytest.fixture
def disk(tmp_path: Path) -> Iterator[Path]:
    with small_disk(tmp_path / "disk", 32 * MB) as mounted:
        yield mounted


def site_on(disk: Path, folder: Path, watermark: int, **settings: str) -> Site:
    site = Site(folder, extra=NOTHING_RUNS)
    site.extra_environment |= {
        "AINODE_NODE__DATA_DIR": str(disk / "var"),
        "AINODE_DATABASE__URL": f"sqlite:///{disk / 'var' / 'ainode.db'}",
        "AINODE_NODE__FREE_SPACE_WATERMARK_BYTES": str(watermark),
        "AINODE_STORE__JOURNAL_SEGMENT_BYTES": str(MB),
        "AINODE_STORE__JOURNAL_SPARE_SEGMENTS": "1",
        "AINODE_RECEIVE__PROCESSES": "1",
        **settings,
    }
    return site


def image(number: int, study: str = "full disk") -> Dataset:
    return data_set(number=number, study=study, size=128)


def send(site: Site, *images: Dataset) -> list[int | None]:
    """The status of each, on one association; ``REJECTED`` where that was not taken."""
    with RawScu(("127.0.0.1", site.port)) as scu:
        if scu.associate()[0] != ASSOCIATE_AC:
            return [REJECTED] * len(images)
        statuses = []
        for made in images:
            scu.store(made.SOPClassUID, made.SOPInstanceUID, data_set_of(part10(made)))
            statuses.append(scu.status())
        scu.release()
    return statuses


def instances(site: Site) -> int:
    return sum(one["instances"] for one in site.json("studies", "list")["studies"])


def ready(site: Site) -> Any:
    with urllib.request.urlopen(f"http://127.0.0.1:{site.web_port}/readyz", timeout=60) as answer:
        return json.load(answer)


@pytest.mark.parametrize(
    ("settings", "refusal"),
    [
        ({}, OUT_OF_RESOURCES),
        ({"AINODE_RECEIVE__FAST": "false"}, REJECTED),
        ({"AINODE_STORE__KIND": "files"}, OUT_OF_RESOURCES),
    ],
    ids=["journal", "stock", "files"],
)
def test_below_the_watermark_nothing_is_taken_until_there_is_room(
    disk: Path, tmp_path: Path, settings: dict[str, str], refusal: int
) -> None:
    site = site_on(disk, tmp_path / "site", WATERMARK, **settings)
    filler = disk / "filler"
    try:
        site.start(roles=("receive", "timers", "web"))
        assert send(site, *[image(number) for number in range(5)]) == [SUCCESS] * 5
        wait_for(lambda: instances(site) == 5, "the images have their rows")
        site.when_well()

        fill(filler, leave_bytes=WATERMARK - MB)
        assert send(site, image(6), image(7)) == [refusal] * 2
        document = site.json("status")
        assert document["state"] == "degraded"
        assert any("watermark" in reason and "A700" in reason for reason in document["reasons"]), document
        assert ready(site)["state"] == "degraded"
        assert not [path for path in (disk / "var").rglob("incoming/**/*") if path.is_file()]
        assert instances(site) == 5

        filler.unlink()
        assert send(site, image(6), image(7)) == [SUCCESS] * 2
        wait_for(lambda: instances(site) == 7, "the images have their rows")
        site.when_well()
        assert site.json("store", "verify", "--deep")["findings"] == []
    finally:
        site.kill()


@pytest.mark.parametrize("kind", ["journal", "files"])
def test_not_a_byte_left(disk: Path, tmp_path: Path, kind: str) -> None:
    """Without a watermark: writes of bytes and of rows fail wherever they are. Success is kept all the same."""
    site = site_on(disk, tmp_path / "site", 0, AINODE_STORE__KIND=kind)
    filler = disk / "filler"
    acknowledged: set[str] = set()

    def attempt(first: int, count: int) -> set[int | None]:
        made = [image(number) for number in range(first, first + count)]
        statuses = send(site, *made)
        acknowledged.update(one.SOPInstanceUID for one, status in zip(made, statuses, strict=True) if status == SUCCESS)
        return set(statuses)

    def is_full() -> bool:
        """What the database gives back meanwhile is taken as well."""
        fill(filler)
        return free_bytes(disk) == 0

    try:
        site.start(roles=("receive", "timers"))
        assert attempt(0, 5) == {SUCCESS}
        wait_for(is_full, "not a byte is left")
        refused = attempt(100, 60)
        assert refused <= {SUCCESS, OUT_OF_RESOURCES}
        assert OUT_OF_RESOURCES in refused
        assert site.process is not None
        assert site.process.poll() is None
        filler.unlink()
        wait_for(lambda: attempt(200, 5) == {SUCCESS}, "images are taken again", timeout_s=60)
        wait_for(lambda: instances(site) >= len(acknowledged), "every acknowledged image has its row", timeout_s=60)
        assert instances(site) == len(acknowledged)
        site.when_well()
        assert site.json("store", "verify", "--deep")["findings"] == []
        assert site.stop() == 0
    finally:
        site.kill()
