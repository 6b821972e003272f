"""A node of its own processes: Orthanc asks it and has a study moved to itself; a stranger gets nothing."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.e2e.pacs import Pacs, storescu
from tests.e2e.site import Site
from tests.integration.receiving import data_set_of
from tests.objects import MR, data_set, part10
from tests.orthanc import Orthanc
from tests.peers import free_port, require_program, run_program
from tests.waiting import wait_for

WAIT_S = 180.0
IMAGES = {str(made.SOPInstanceUID): part10(made) for made in (data_set(MR, number, "one") for number in (1, 2, 3))}
STUDY = str(data_set(MR, 1, "one").StudyInstanceUID)
NAME = "Test^Synthetic"


@pytest.fixture
def images(tmp_path: Path) -> Path:
    folder = tmp_path / "images"
    folder.mkdir()
    for uid, content in IMAGES.items():
        (folder / f"{uid}.dcm").write_bytes(content)
    return folder


def findscu(site: Site, calling: str) -> str:
    """What it prints when it asks for the study."""
    wanted = ("QueryRetrieveLevel=STUDY", f"StudyInstanceUID={STUDY}", "NumberOfStudyRelatedInstances")
    keys = [part for each in wanted for part in ("-k", each)]
    command = [require_program("findscu"), "-v", "-S", "-aet", calling, "-aec", "AINODE", *keys]
    command += ["127.0.0.1", str(site.port)]
    return run_program(command, check=False, timeout_s=WAIT_S)


def test_orthanc_retrieves_from_the_node(tmp_path: Path, images: Path) -> None:
    port = free_port()
    with Orthanc(tmp_path / "orthanc", node=("AINODE", "127.0.0.1", port)) as orthanc:
        allow = '[query]\nallow = [{ ae_title = "ORTHANC", host = "127.0.0.1" }]\n[models]\nenabled = []\n'
        site = Pacs(orthanc, port).site(tmp_path / "node", allow)
        site.start(("receive", "timers"))
        try:
            storescu(site, images)
            wait_for(lambda: "[3 ]" in findscu(site, "ORTHANC"), "three images are counted", timeout_s=WAIT_S)
            _retrieve(orthanc)
            assert "Calling AE Title Not Recognized" in findscu(site, "STRANGER")
            _is_logged(site)
            assert site.stop() == 0
            assert NAME not in site.log
        finally:
            site.kill()


def _retrieve(orthanc: Orthanc) -> None:
    asked = orthanc.post("/modalities/node/query", {"Level": "Study", "Query": {"StudyInstanceUID": STUDY}})
    (answer,) = orthanc.get(f"/queries/{asked['ID']}/answers")
    found = orthanc.get(f"/queries/{asked['ID']}/answers/{answer}/content?simplify")
    assert (found["StudyInstanceUID"], found["RetrieveAETitle"]) == (STUDY, "AINODE")
    orthanc.post(f"/queries/{asked['ID']}/answers/{answer}/retrieve", {"TargetAet": "ORTHANC", "Synchronous": True})
    assert set(orthanc.instances()) == set(IMAGES)
    assert all(data_set_of(orthanc.part10(uid)) == data_set_of(content) for uid, content in IMAGES.items())


def _is_logged(site: Site) -> None:
    def actions() -> list[str]:
        entries = site.json("audit", "list", "--limit", "200")["entries"]
        return [one["action"] for one in entries if one["actor"] == "dimse:ORTHANC@127.0.0.1"]

    wait_for(lambda: "RETRIEVAL_ENDED" in actions(), "the retrieval is in the log of uses", timeout_s=WAIT_S)
    assert {"HOLDINGS_QUERIED", "RETRIEVAL_BEGUN"} <= set(actions())
    assert site.run("audit", "verify").returncode == 0
    assert [one["path"] for one in site.json("check")["open"]] == ["receive.allow"]
