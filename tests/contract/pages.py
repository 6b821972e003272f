"""The web application over a site in a folder, with studies to look at and an account that may act."""

from __future__ import annotations

import shutil
from dataclasses import replace
from pathlib import Path
from typing import Any

from argon2 import PasswordHasher

from node import config as configuration
from node.admin.accounts import Logins
from node.app import web
from node.app.records import open_records
from node.database.accounts import SqlAccounts
from node.domain.admission import Admission, Verdict
from node.domain.study import CloseReason, Closure, Value
from node.show.application import make_web
from tests.contract.rows import completion, new_job, stored
from tests.webclient import WebClient

USER, PASSWORD = "reader", "not a secret at all"
# Digests of a test shall cost nothing.
QUICK = PasswordHasher(time_cost=1, memory_cost=8, parallelism=1)
SETTINGS = """
[web]
host = "{host}"
[[destinations]]
name = "pacs"
ae_title = "PACS"
host = "127.0.0.1"
port = 104
"""


class Pages:
    """``web`` over the records of a new site; ``receive`` and ``run`` make something to look at. To be closed."""

    def __init__(self, folder: Path, empty: Path, host: str = "127.0.0.1") -> None:
        """``empty`` is a database with today's schema, to be copied: migrations take their time."""
        path = folder / "ainode.toml"
        (folder / "var").mkdir()
        shutil.copy(empty, folder / "var" / "ainode.db")
        path.write_text(SETTINGS.format(host=host), encoding="utf-8")
        self.records = open_records(configuration.load(path))
        accounts = SqlAccounts(self.records.engine, self.records.clock, "test")
        self.logins = Logins(accounts, self.records.clock, QUICK)
        self.site = replace(web.site(self.records), logins=self.logins)
        self.web = make_web(self.site)

    def close(self) -> None:
        self.records.close()

    def client(self, **options: Any) -> WebClient:
        return WebClient(self.web.application, **options)

    def receive(self, study: str, models: tuple[str, ...] = ("hippocampus",), **attributes: Value) -> None:
        """One image of a study, its series closed, a job for each of ``models``; its line is made."""
        catalogue, series = self.records.catalogue, f"{study}.1"
        now = self.records.clock.now()
        catalogue.record(stored(f"{series}.1", now, study=study, series=series, attributes=attributes))
        (found,) = [one for one in catalogue.open_series() if one.study_instance_uid == study]
        jobs = [
            new_job(f"{model}/{study}", study_instance_uid=study, series_instance_uids=(series,), model=model)
            for model in models
        ]
        admissions = [Admission(model, "1.0", Verdict.ADMITTED, ()) for model in models]
        assert catalogue.close_series(found.series_id, 1, Closure(CloseReason.QUIET, {}), admissions, jobs)
        self.site.projection.project_all()

    def run(self, prefix: str, **result: Any) -> int:
        """The next job, done; the lines say so."""
        job = self.records.queue.claim("w1", 600.0)
        assert job is not None
        assert self.records.queue.complete(job, completion(prefix, **result))
        self.site.projection.project_all()
        return job.id

    def log_in(self, client: WebClient) -> str:
        """The token of the session."""
        if USER not in [one.name for one in self.logins.all()]:
            self.logins.add(USER, PASSWORD)
        answer = client.post("/api/v1/sessions", json={"name": USER, "password": PASSWORD})
        assert answer.status_code == 200, answer.text
        token: str = answer.json()["csrf_token"]
        return token
