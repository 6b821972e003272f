"""What is finished goes, in a running node: images, then rows, results and segments; what is not finished stays."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.e2e.held_model import MODEL_ID, HeldModel
from tests.e2e.pacs import Pacs, storescu, study_of
from tests.e2e.site import Site
from tests.integration.raw_scu import ASSOCIATE_AC, RawScu
from tests.integration.receiving import data_set_of
from tests.objects import data_set, part10
from tests.peers import data_dir
from tests.waiting import wait_for

DATA = "hippocampus-dicom-study3"
SETTINGS = """
[store]
kind = "{kind}"
journal_segment_bytes = 1048576
journal_spare_segments = 0
recycle_after_s = 1.0
[retention]
images_s = 3.0
rows_s = 6.0
every_s = 0.5
[models]
path = ["{models}"]
enabled = ["{model}"]
"""


@pytest.fixture
def held(tmp_path: Path) -> HeldModel:
    return HeldModel(tmp_path / "model")


@pytest.fixture(params=["journal", "files"])
def site(request: pytest.FixtureRequest, pacs: Pacs, tmp_path: Path, held: HeldModel) -> Iterator[Site]:
    extra = SETTINGS.format(kind=request.param, models=held.folder, model=MODEL_ID)
    site = pacs.site(tmp_path / "site", extra)
    site.extra_environment["AINODE_RECEIVE__PROCESSES"] = "1"  # so that later studies fill up what the first began
    try:
        site.start()
        yield site
    finally:
        held.release()
        site.kill()


def send_unwanted(site: Site, study: str) -> str:
    """A study that no model wants; its UID."""
    images = [data_set(number=number, study=study, size=256) for number in range(12)]
    with RawScu(("127.0.0.1", site.port)) as scu:
        assert scu.associate()[0] == ASSOCIATE_AC
        for made in images:
            scu.store(made.SOPClassUID, made.SOPInstanceUID, data_set_of(part10(made)))
            assert scu.status() == 0
        scu.release()
    return str(images[0].StudyInstanceUID)


def studies(site: Site) -> set[str]:
    return {one["study_instance_uid"] for one in site.json("studies", "list")["studies"]}


def test_what_is_finished_goes_and_what_is_not_stays(site: Site, held: HeldModel, pacs: Pacs) -> None:
    study = study_of(data_dir(DATA))
    held.hold()
    storescu(site, data_dir(DATA))
    wait_for(lambda: held.runs, "the network runs", timeout_s=90)
    lying = _places(site)
    assert lying
    unwanted = send_unwanted(site, "unwanted")
    wait_for(lambda: unwanted in studies(site), "it has its rows")
    wait_for(lambda: unwanted not in studies(site), "a finished study is gone", timeout_s=90)
    assert study in studies(site)
    shown = site.json("studies", "show", study)
    assert (shown["images_removed_at"], shown["state"]) == (None, "PROCESSING")
    assert site.json("store", "verify", "--deep")["findings"] == []

    held.release()
    wait_for(lambda: study not in studies(site), "the study is gone when its results are committed", timeout_s=90)
    assert sorted(one.Modality for one in pacs.instances(study)) == ["SEG", "SR"]
    for name in ("next", "over next"):  # what a receiver writes to is not used again before it is full
        send_unwanted(site, name)
    wait_for(lambda: not set(lying) & set(_places(site)), "their files are gone, or used again", timeout_s=60)
    wait_for(lambda: not studies(site), "every study is gone", timeout_s=60)
    wait_for(lambda: not _files(site, "results/objects"), "no result is left", timeout_s=60)
    document = site.json("store", "verify", "--deep")
    assert (document["findings"], document["rows"]) == ([], {"instances": 0, "results": 0})
    assert site.json("status")["jobs"]["COMPLETED"] == 0

    again = send_unwanted(site, "unwanted")
    wait_for(lambda: again in studies(site), "a study may come again")


def _places(site: Site) -> list[str]:
    """Segments of the journal, and files of instances."""
    return _files(site, "journal/segments") + _files(site, "instances/objects")


def _files(site: Site, folder: str) -> list[str]:
    return [str(path) for path in (site.folder / "var" / folder).rglob("*") if path.is_file()]
