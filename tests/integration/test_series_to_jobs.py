"""Real files through the intake into SQLite, and from there by completeness and admission to jobs."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pydicom
import pytest
from sqlalchemy import Engine

from node.database.catalogue import SqlCatalogue
from node.database.engine import make_engine
from node.database.migrations import upgrade
from node.domain.admission import Route, RouteCondition, Verdict
from node.domain.job import JobState, Priority
from node.domain.model import InputLimits, InputSelection, Interval
from node.domain.study import AssociationFacts, CloseReason
from node.infer.package import read_description
from node.jobs.queue import SqlJobQueue
from node.receive.intake import Command, Intake
from node.receive.part10 import data_set_offset
from node.receive.recording import RecordNow
from node.route.admission import judge
from node.route.close_series import CloseSeries, Reprocess
from node.route.completeness import CompletenessRule
from node.route.facts import describe
from node.show.worklist import Worklist
from node.store.files import FileStore
from tests.peers import REPOSITORY, data_dir
from tests.unit.route.descriptions import model
from tests.unit.route.headers import real_series

SELECTION = InputSelection(modalities=("MR",), field_of_view_mm=Interval(high=90.0))
LIMITS = InputLimits(("axial",), slices=Interval(low=30), slice_spacing_mm=Interval(high=2.0))
ROUTE = Route(("*",), ("pacs",), (RouteCondition("SourceApplicationEntityTitle", "in", ("MR1",)),), "HIGH")


class Room:
    def has_room_for(self, size: int = 0) -> bool:
        return True


class SteppedClock:
    def __init__(self) -> None:
        self.time = datetime(2026, 3, 1, 12, 0, tzinfo=UTC)

    def now(self) -> datetime:
        return self.time

    def step(self, seconds: float) -> None:
        self.time += timedelta(seconds=seconds)


@dataclass
class Site:
    """The parts of a node between the association and the job table."""

    engine: Engine
    folder: Path
    clock: SteppedClock = field(default_factory=SteppedClock)

    def __post_init__(self) -> None:
        self.catalogue = SqlCatalogue(self.engine, self.clock)
        self.queue = SqlJobQueue(self.engine, self.clock)
        self.store = FileStore(self.folder / "instances")
        self.intake = Intake(self.store, RecordNow(self.catalogue), self.clock, Room, ["SeriesDescription"])
        models = [model(SELECTION, LIMITS)]
        rule = CompletenessRule(5.0, 60.0)
        self.closer = CloseSeries(self.catalogue, self.clock, lambda: models, (ROUTE,), rule)
        self.reprocess = Reprocess(self.catalogue, self.queue, lambda: models, (ROUTE,))

    def receive(self, paths: list[Path], association: str = "1", calling_ae: str = "MR1") -> None:
        facts = AssociationFacts(association, calling_ae, "AINODE", "127.0.0.1", "receiver", self.clock.now())
        for path in paths:
            self._take(path, facts)
        self.intake.recording.association_ended(association, "released")

    def _take(self, path: Path, facts: AssociationFacts) -> None:
        header = pydicom.dcmread(path, stop_before_pixels=True)
        data = path.read_bytes()
        draft = self.intake.begin(len(data))
        draft.write([data])
        command = Command(str(header.SOPClassUID), str(header.SOPInstanceUID), str(header.file_meta.TransferSyntaxUID))
        self.intake.finish(draft, command, facts, data_set_offset(data))


@pytest.fixture
def site(tmp_path: Path) -> Iterator[Site]:
    engine = make_engine(f"sqlite:///{tmp_path}/ainode.db")
    upgrade(engine)
    yield Site(engine, tmp_path)
    engine.dispose()


def files(folder: str) -> list[Path]:
    return sorted(data_dir(folder).rglob("*.dcm"))


def test_a_real_series_whose_headers_state_its_count_becomes_a_job_at_once(site: Site) -> None:
    site.receive(files("hippocampus-dicom-study3"))
    assert site.closer.run_once() == 1
    job = site.queue.claim("worker", 6.0)
    assert job is not None
    assert (job.model, job.priority, job.destinations, job.unfit) == ("hippocampus_mr", Priority.HIGH, ("pacs",), None)


def test_a_late_image_reopens_the_series_and_closing_again_makes_a_new_job(site: Site) -> None:
    images = files("hippocampus-dicom-study3")
    site.receive(images[:-1])
    site.clock.step(5)
    assert site.closer.run_once() == 1
    site.receive(images[-1:], association="2")
    site.clock.step(5)
    assert site.closer.run_once() == 1
    job = site.queue.claim("worker", 6.0)
    assert job is not None
    assert (job.model, job.revision) == ("hippocampus_mr", 2)
    assert site.queue.claim("worker", 6.0) is None, "the job of the first revision is superseded"


def test_a_real_series_that_lacks_images_waits_for_the_quiet_period(site: Site) -> None:
    images = files("hippocampus-dicom-study3")
    site.receive([*images[:7], *images[8:]])
    assert site.closer.run_once() == 0
    site.clock.step(4.9)
    assert site.closer.run_once() == 0
    site.clock.step(0.1)
    assert site.closer.run_once() == 1


def test_real_series_without_a_count_close_by_their_gapless_grid(site: Site) -> None:
    images = files("brain-mr-glioma-study3")
    site.receive(images)
    assert site.closer.run_once() == 4
    study = str(pydicom.dcmread(images[0], stop_before_pixels=True).StudyInstanceUID)
    for series in Worklist(site.engine, site.clock).why(study)["studies"][0]["series"]:
        assert series["completeness"]["reason"] == CloseReason.GAPLESS.value
        assert series["completeness"]["evidence"]["numbers"] == "1 to 22"


def test_too_few_slices_become_a_job_that_says_so(site: Site) -> None:
    site.receive(sorted(files("hippocampus-dicom-study3"), key=lambda path: int(path.stem))[:12])
    site.clock.step(5)
    assert site.closer.run_once() == 1
    job = site.queue.claim("worker", 6.0)
    assert job is not None
    assert job.unfit is not None
    assert job.unfit.text == "Series of 12 slices; this model needs at least 30"


def test_a_sender_that_no_route_names_makes_no_job(site: Site) -> None:
    site.receive(files("hippocampus-dicom-study3"), calling_ae="CT9")
    site.clock.step(5)
    assert site.closer.run_once() == 1
    assert site.queue.claim("worker", 6.0) is None


def test_the_glioma_study_makes_no_job(site: Site) -> None:
    site.receive(files("brain-mr-glioma-study3"))
    site.clock.step(5)
    assert site.closer.run_once() == 4
    assert site.queue.claim("worker", 6.0) is None


def test_reprocessing_makes_one_further_job_once_the_first_has_ended(site: Site) -> None:
    site.receive(files("hippocampus-dicom-study3"))
    (open_series,) = site.catalogue.open_series()
    site.clock.step(5)
    site.closer.run_once()
    first = site.reprocess([open_series.series_id])[0].job
    assert first is not None
    site.queue.cancel(first)
    second = site.reprocess([open_series.series_id])[0].job
    assert second is not None
    assert second != first
    assert site.reprocess([open_series.series_id])[0].job == second
    assert site.queue.get(second).state is JobState.SCHEDULED


def test_an_enhanced_multi_frame_object_states_its_geometry_once_for_all_frames(site: Site) -> None:
    (path,) = (
        path
        for path in data_dir("mini-series-dicom2nifti/philips_enhanced_anatomical_001").iterdir()
        if path.suffix != ".gz" and pydicom.misc.is_dicom(path)
    )
    site.receive([path])
    (open_series,) = site.catalogue.open_series()
    facts = describe(site.catalogue.series(open_series.series_id))
    assert facts.slices == 8
    assert facts.slice_spacing_mm == pytest.approx(1.2)
    assert len(facts.orientations) == 1
    assert facts.extents_mm[0] == pytest.approx(9.6)
    assert all(extent is not None and extent > 100 for extent in facts.extents_mm[1:])


@pytest.mark.parametrize(
    ("folder", "verdicts"),
    [
        ("hippocampus-dicom-study3", {Verdict.ADMITTED}),
        ("brain-mr-glioma-study3", {Verdict.NOT_WANTED}),
        ("chest-ct-ricord", {Verdict.NOT_WANTED}),
        ("ct-20slice-totalseg", {Verdict.NOT_WANTED}),
        ("cxr-dicom-rsna", {Verdict.NOT_WANTED}),
        ("mini-series-dicom2nifti", {Verdict.NOT_WANTED}),
    ],
)
def test_the_hippocampus_package_wants_its_series_and_no_other(folder: str, verdicts: set[Verdict]) -> None:
    package = read_description(REPOSITORY / "models" / "hippocampus_mr")
    everywhere = (Route(("*",), ("pacs",), (), "MEDIUM"),)
    admissions = [judge(describe(series), package, everywhere) for series in real_series(data_dir(folder))]
    assert admissions
    assert {admission.verdict for admission in admissions} == verdicts
    assert all(admission.unmet for admission in admissions if admission.verdict is not Verdict.ADMITTED)
