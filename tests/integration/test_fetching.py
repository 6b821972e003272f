"""Studies and priors from a real Orthanc into a node's own records: fetched, routed, and given to a model."""

from __future__ import annotations

import json
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from pydicom.dataset import Dataset
from typer.testing import CliRunner

from node import config as configuration
from node.admin.cli.root import cli
from node.app import finding_priors
from node.app.records import Records, open_records
from node.app.routing import series_closer
from node.app.taking import IntakeTaker, intake_of
from node.app.writing import result_writer
from node.database.history import SqlResultHistory
from node.database.priors import SqlPriors
from node.domain.model import ModelDescription
from node.domain.prior import PriorState
from node.domain.result import Outcome
from node.domain.retry import RetryPolicy
from node.infer.registry import check_package
from node.infer.worker import Worker
from node.ports.retrieval import Incoming
from tests.fakes.inline_executor import InlineExecutor
from tests.fakes.series import series
from tests.objects import part10
from tests.orthanc import Orthanc
from tests.peers import REPOSITORY, free_port
from tests.waiting import wait_for

GROWTH = check_package(REPOSITORY / "tests" / "fakes" / "models" / "growth")
BEFORE, NOW, ELSE = "1.2.8.1", "1.2.8.2", "1.2.8.3"


def study(uid: str, day: str, bright: bool = True, patient: str = "P1") -> list[Dataset]:
    """One series of four slices, all of them bright, or only the first."""

    def of_study(image: Dataset, number: int) -> None:
        image.StudyInstanceUID, image.SeriesInstanceUID = uid, f"{uid}.1"
        image.SOPInstanceUID = f"{uid}.1.{number + 1}"
        image.file_meta.MediaStorageSOPInstanceUID = image.SOPInstanceUID
        image.PatientID, image.PatientName, image.PatientBirthDate = patient, "Synthetic^Patient", "19500101"
        image.PatientSex, image.StudyDate, image.StudyTime, image.StudyID = "O", day, "120000", "1"
        image.AccessionNumber, image.SeriesNumber, image.SeriesDescription = f"A{uid[-1]}", 1, "T1"
        if not bright and number:
            image.PixelData = bytes(len(image.PixelData))

    return series(change=of_study)


@pytest.fixture
def orthanc(tmp_path: Path) -> Iterator[Orthanc]:
    with Orthanc(tmp_path / "orthanc", node=("AINODE", "127.0.0.1", free_port())) as made:
        for image in study(BEFORE, "20200101", bright=False) + study(ELSE, "20200102", patient="P2"):
            made.post("/instances", part10(image))
        yield made


@pytest.fixture
def site(tmp_path: Path, orthanc: Orthanc) -> Path:
    """The configuration of a node that fetches from it by C-GET."""
    path = tmp_path / "ainode.toml"
    path.write_text(
        f"""
[node]
free_space_watermark_bytes = 1000000
[store]
kind = "files"
[receive]
quiet_period_s = 0.2
quiet_period_learned = false
[work]
priors_wait_s = 3600.0
[models]
enabled = []
[[sources]]
name = "archive"
ae_title = "ORTHANC"
host = "127.0.0.1"
port = {orthanc.dicom_port}
calling = ["NOBODY"]
retrieve = "get"
""",
        encoding="utf-8",
    )
    return path


@contextmanager
def opened(site: Path) -> Iterator[Records]:
    records = open_records(configuration.load(site, {}))
    try:
        yield records
    finally:
        records.close()


@contextmanager
def closing(records: Records, *models: ModelDescription) -> Iterator[None]:
    """Series are closed meanwhile."""
    stop = threading.Event()
    closer = series_closer(records, {model.id: model for model in models})

    def close() -> None:
        while not stop.wait(0.05):
            closer.run_once()

    thread = threading.Thread(target=close)
    thread.start()
    try:
        yield
    finally:
        stop.set()
        thread.join()


def ainode(site: Path, *arguments: str) -> tuple[int, Any]:
    """The exit code, and the JSON document."""
    done = CliRunner().invoke(cli, ["-c", str(site), *arguments, "--json"])
    return done.exit_code, json.loads(done.stdout) if done.stdout.strip() else None


def receive(records: Records, images: list[Dataset]) -> None:
    """As if a scanner had sent them."""
    scanner = records.config.sources[0].model_copy(update={"ae_title": "MR1"})
    taker = IntakeTaker(intake_of(records), scanner, "AINODE")
    for image in images:
        syntax = str(image.file_meta.TransferSyntaxUID)
        assert taker.take(Incoming(str(image.SOPClassUID), str(image.SOPInstanceUID), syntax, part10(image))) == 0
    taker.close("released")


def test_a_study_on_demand_and_many(site: Path) -> None:
    with opened(site) as records, closing(records, replace(GROWTH, priors=None)):
        code, document = ainode(site, "fetch", "A1")
        assert (code, document["ok"]) == (0, True), document
        (study,) = document["studies"]
        assert (study["study_instance_uid"], study["state"], study["instances"]) == (BEFORE, "FETCHED", 4)
        assert study["outcome"] == {"growth": "PENDING"}, "it is routed like any study that came"
        code, document = ainode(site, "fetch", BEFORE)
        assert (code, document["studies"][0]["state"]) == (0, "HELD")
        days = ("backfill", "--from", "2020-01-01", "--to", "20200131", "--rate", "6000/min")
        code, document = ainode(site, *days)
        counts = [document[key] for key in ("studies", "fetched", "skipped", "ok")]
        assert (code, counts) == (0, [2, 1, 1, True])
        assert ainode(site, *days)[1]["fetched"] == 0
        code, document = ainode(site, "fetch", ELSE, "--timeout", "60")
        assert (code, document["studies"][0]["instances"]) == (0, 4)


def test_commands_that_cannot(site: Path, orthanc: Orthanc) -> None:
    runner = CliRunner()
    usage = ["-c", str(site), "backfill", "--from", "2020-01-02"]
    assert runner.invoke(cli, [*usage, "--to", "2020-01-01"]).exit_code == 2
    assert runner.invoke(cli, [*usage, "--to", "2020-01-03", "--rate", "fast"]).exit_code == 2
    assert runner.invoke(cli, [*usage, "--to", "tomorrow"]).exit_code == 2
    for arguments in (["fetch", "A9"], ["fetch", "A1", "--source", "other"]):
        assert runner.invoke(cli, ["-c", str(site), *arguments]).exit_code == 1
    # Nobody closes the series.
    code, document = ainode(site, "fetch", "A1", "--timeout", "0")
    assert (code, document["ok"], document["studies"][0]["state"]) == (3, False, "FETCHED")
    orthanc.stop()
    code, document = ainode(site, "backfill", "--from", "2020-01-01", "--to", "2020-01-09")
    assert (code, document["given_up"], len(document["days_failed"])) == (1, True, 3)


def test_a_prior_is_fetched_before_the_job_runs(site: Path) -> None:
    models = {GROWTH.id: GROWTH}
    with opened(site) as records, closing(records, GROWTH):
        receive(records, study(NOW, "20210101"))
        wait_for(lambda: SqlPriors(records.engine, records.clock).waiting(), "the job waits", timeout_s=60)
        worker = Worker(
            records.queue, records.catalogue, records.instances, records.results, InlineExecutor(), result_writer(),
            SqlResultHistory(records.engine), models, RetryPolicy(), owner="w", lease_s=600.0,
            priors=SqlPriors(records.engine, records.clock),
        )  # fmt: skip
        assert not worker.run_once(), "nothing runs before its priors are settled"
        finder = finding_priors.finder(records, models, threading.Event())
        assert finder.run_once() == 1
        wait_for(lambda: not records.worklist.receiving(BEFORE), "the prior is closed", timeout_s=60)
        assert worker.run_once()
        (job,) = records.worklist.jobs()
        told = records.worklist.job(job["id"])
        assert (job["priors_state"], job["study_instance_uid"]) == (PriorState.READY, NOW), job
        assert [one["study_instance_uid"] for one in job["priors"]["series"]] == [BEFORE]
        assert (told["state"], told["outcome"]) == ("COMPLETED", Outcome.POSITIVE), told["error"]
        assert [one["used"] for one in told["provenance"]["priors"]] == [True]
        assert len(told["provenance"]["prior_inputs"]) == 4
        (why,) = records.worklist.why(BEFORE)["studies"]
        assert (why["outcome"], why["jobs"]) == ({"growth": "NOT WANTED"}, [])
        conditions = why["series"][0]["models"][0]["conditions"]
        assert [one["found"] for one in conditions if not one["met"]] == ["fetched as a prior of another study"]
