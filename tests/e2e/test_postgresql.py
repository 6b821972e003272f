"""The same node on PostgreSQL: only the URL changes, and the password comes from the environment."""

from __future__ import annotations

from pathlib import Path

from tests.e2e.held_model import MODEL_ID, HeldModel
from tests.e2e.pacs import Pacs, storescu, study_of
from tests.peers import data_dir
from tests.postgres import running_postgres


def test_the_main_job_on_postgresql(pacs: Pacs, tmp_path: Path) -> None:
    data = data_dir("hippocampus-dicom-study3")
    model = HeldModel(tmp_path / "model")
    extra = f'[models]\npath = ["{model.folder}"]\nenabled = ["{MODEL_ID}"]\n'
    with running_postgres() as server, server.database() as database:
        site = pacs.site(tmp_path / "site", extra, server.url(database))
        site.extra_environment["AINODE_DATABASE__PASSWORD"] = server.password
        try:
            site.start()
            storescu(site, data)
            study = study_of(data)
            done = site.run("wait", study, "--timeout", "90")
            assert done.returncode == 0, done.stdout + done.stderr
            (job,) = site.json("queue", "list", "--study", study)["jobs"]
            assert (job["state"], job["attempt"]) == ("COMPLETED", 1)
            assert {one["state"] for one in site.json("deliveries", "list")["deliveries"]} == {"COMMITTED"}
            assert site.stop() == 0
        finally:
            site.kill()
    assert not list((tmp_path / "site" / "var").glob("*.db")), "no SQLite file beside it"
    assert server.password not in site.log
