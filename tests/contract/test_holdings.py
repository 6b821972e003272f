"""What the node holds, asked over both databases."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from datetime import UTC, datetime
from typing import Any

import pytest
from sqlalchemy import Engine, text, update

from node.database.catalogue import SqlCatalogue
from node.database.held_objects import SqlHeldObjects
from node.database.holdings import SqlHoldings
from node.database.retrievable import SqlRetrievable
from node.database.tables import instance, job
from node.domain.holdings import OF_LEVEL
from node.domain.query import Level, OneOf, Query, matching
from node.domain.study import CloseReason, Closure, Value
from node.jobs.queue import SqlJobQueue
from tests.contract.rows import SEG, SR, completion, new_job, stored
from tests.fakes.outbox import StandingClock

VRS = {
    "PatientName": "PN", "StudyDate": "DA", "StudyTime": "TM", "StudyInstanceUID": "UI", "SeriesInstanceUID": "UI",
    "SOPInstanceUID": "UI", "InstanceNumber": "IS", "NumberOfStudyRelatedInstances": "IS", "SOPClassesInStudy": "UI",
}  # fmt: skip
RESULT_HEADERS: Mapping[str, Mapping[str, Value]] = {
    "key-9.1.1": {"SeriesDescription": "AI said something", "SeriesNumber": 900, "InstanceNumber": 1}
}


class Site:
    def __init__(self, engine: Engine, clock: StandingClock) -> None:
        self.engine = engine
        self.clock = clock
        self.catalogue = SqlCatalogue(engine, clock)
        self.queue = SqlJobQueue(engine, clock)
        # In small pieces, so that every query takes several.
        self.held = SqlHeldObjects(engine)
        self.holdings = SqlHoldings(engine, lambda key: RESULT_HEADERS.get(key, {}), piece=2)

    def receive(
        self, study: str, number: int = 1, modality: str = "CT", patient: Mapping[str, Value] = {}, **attributes: Value
    ) -> None:
        headers: dict[str, Value] = {"Modality": modality, "InstanceNumber": number, "StudyID": f"ID{study[-1]}"}
        uid, series = f"{study}.{modality == 'CT'}.{number}".replace("True", "1").replace("False", "2"), f"{study}.9"
        series += {"CT": "1", "MR": "2"}[modality]
        self.catalogue.record(
            stored(uid, self.clock.now(), study=study, series=series, attributes={**headers, **patient, **attributes})
        )

    def write_results(self, study: str, series: str) -> int:
        (found,) = [one for one in self.catalogue.open_series() if one.series_instance_uid == series]
        wanted = new_job(f"m/{series}", study_instance_uid=study, series_instance_uids=(series,))
        closure = Closure(CloseReason.QUIET, {})
        assert self.catalogue.close_series(found.series_id, found.revision, closure, [], [wanted])
        claimed = self.queue.claim("w", 6.0)
        assert claimed is not None
        assert self.queue.complete(claimed, completion())
        return claimed.id

    def find(self, level: Level, **keys: str) -> list[dict[str, Any]]:
        found = {name: key for name, value in keys.items() if (key := matching(VRS.get(name, "LO"), value))}
        return [dict(one) for one in self.holdings.find(Query(level, found, frozenset(OF_LEVEL[level])))]

    def uids(self, level: Level, keyword: str, **keys: str) -> list[str]:
        return [one[keyword] for one in self.find(level, **keys)]

    def studies(self, **keys: str) -> list[str]:
        return self.uids(Level.STUDY, "StudyInstanceUID", **keys)


@pytest.fixture
def site(engine: Engine, clock: StandingClock) -> Site:
    """Patient P1 with studies 1.1 (CT and MR) and 1.2, patient P2 with 1.3, somebody unknown with 1.4."""
    made = Site(engine, clock)
    one: dict[str, Value] = {"PatientID": "P1", "PatientName": "Smith^John", "PatientSex": "M"}
    for number in (1, 2, 3):
        made.receive("1.1", number, StudyDate="20200101", StudyTime="101500", AccessionNumber="A11", patient=one)
    made.receive("1.1", 1, "MR", StudyDate="20200101", StudyTime="101500", AccessionNumber="A11", patient=one)
    made.receive("1.2", 1, "MR", StudyDate="20210101", StudyTime="2230", AccessionNumber="A12", patient=one)
    name = "Yamada^Tarou=山田^太郎"
    made.receive("1.3", 1, StudyDate="20220101", AccessionNumber="A13", PatientID="P2", PatientName=name)
    made.receive("1.4", StudyDate="2022.01.01 or so, as somebody said", PatientID="", AccessionNumber="%_")
    return made


def test_studies(site: Site) -> None:
    assert site.studies() == ["1.1", "1.2", "1.3", "1.4"]
    assert site.studies(PatientID="P1") == ["1.1", "1.2"]
    assert site.studies(PatientID="p1") == []
    assert site.studies(PatientID="P*") == ["1.1", "1.2", "1.3"]
    assert site.studies(AccessionNumber="A1?") == ["1.1", "1.2", "1.3"]
    assert site.studies(AccessionNumber="%*") == ["1.4"]
    assert site.studies(AccessionNumber="A_1") == []
    assert site.studies(StudyInstanceUID="1.2\\1.3\\1.9") == ["1.2", "1.3"]
    assert site.studies(StudyDate="20200101-20211231") == ["1.1", "1.2"]
    assert site.studies(StudyDate="20210102-") == ["1.3"]
    assert site.studies(StudyDate="20200101", StudyTime="10-11") == ["1.1"]
    assert site.studies(StudyTime="22-23") == ["1.2"]
    assert site.studies(PatientName="smith*") == ["1.1", "1.2"]
    assert site.studies(PatientName="山田*") == ["1.3"]
    assert site.studies(PatientName="yamada^tarou") == ["1.3"]
    assert site.studies(ModalitiesInStudy="MR") == ["1.1", "1.2"]
    assert site.studies(StudyID="ID2") == ["1.2"]
    assert site.studies(NumberOfStudyRelatedInstances="4") == ["1.1"]


def test_what_is_said_of_a_study(site: Site) -> None:
    (found,) = site.find(Level.STUDY, StudyInstanceUID="1.1")
    assert found["ModalitiesInStudy"] == ["CT", "MR"]
    assert (found["NumberOfStudyRelatedSeries"], found["NumberOfStudyRelatedInstances"]) == (2, 4)
    assert found["SOPClassesInStudy"] == ["1.2.840.10008.5.1.4.1.1.2"]
    assert (found["StudyID"], found["PatientSex"], found["StudyTime"]) == ("ID1", "M", "101500")


def test_patients(site: Site) -> None:
    """Nobody is made of studies that do not say whose they are."""
    found = site.find(Level.PATIENT)
    assert [one["PatientID"] for one in found] == ["P1", "P2"]
    counts = ("NumberOfPatientRelatedStudies", "NumberOfPatientRelatedSeries", "NumberOfPatientRelatedInstances")
    assert [[one[key] for key in counts] for one in found] == [[2, 3, 5], [1, 1, 1]]
    assert site.uids(Level.PATIENT, "PatientID", PatientName="*tarou*") == ["P2"]


def test_series_and_images(site: Site) -> None:
    found = site.find(Level.SERIES, StudyInstanceUID="1.1")
    assert [one["SeriesInstanceUID"] for one in found] == ["1.1.91", "1.1.92"]
    assert [one["NumberOfSeriesRelatedInstances"] for one in found] == [3, 1]
    assert {one["PatientID"] for one in found} == {"P1"}
    assert site.uids(Level.SERIES, "SeriesInstanceUID", StudyInstanceUID="1.1", Modality="MR") == ["1.1.92"]
    assert site.find(Level.SERIES, StudyInstanceUID="1.1", PatientID="P2") == []
    of_series = {"StudyInstanceUID": "1.1", "SeriesInstanceUID": "1.1.91"}
    assert site.uids(Level.IMAGE, "SOPInstanceUID", **of_series) == ["1.1.1.1", "1.1.1.2", "1.1.1.3"]
    assert site.uids(Level.IMAGE, "SOPInstanceUID", **of_series, InstanceNumber="2") == ["1.1.1.2"]
    assert site.uids(Level.IMAGE, "SOPInstanceUID", **of_series, SOPInstanceUID="1.1.1.3\\7") == ["1.1.1.3"]
    assert site.find(Level.IMAGE, StudyInstanceUID="1.2", SeriesInstanceUID="1.1.91") == []


def test_results_are_held_beside_images(site: Site) -> None:
    site.write_results("1.2", "1.2.92")
    (found,) = site.find(Level.STUDY, StudyInstanceUID="1.2")
    assert (found["NumberOfStudyRelatedSeries"], found["NumberOfStudyRelatedInstances"]) == (2, 3)
    assert set(found["SOPClassesInStudy"]) == {"1.2.840.10008.5.1.4.1.1.2", SEG, SR}
    series = {one["SeriesInstanceUID"]: one for one in site.find(Level.SERIES, StudyInstanceUID="1.2")}
    assert series.keys() == {"1.2.92", "1.2.3.99"}
    images = site.find(Level.IMAGE, StudyInstanceUID="1.2", SeriesInstanceUID="1.2.3.99")
    assert [(one["SOPInstanceUID"], one["SOPClassUID"]) for one in images] == [("9.1.1", SR), ("9.1.2", SEG)]
    assert images[0]["InstanceNumber"] == 1


def test_what_is_not_here_is_not_answered(site: Site) -> None:
    """Images that retention took, results that were withdrawn, other bytes under a UID that is taken."""
    number = site.write_results("1.2", "1.2.92")
    with site.engine.begin() as connection:
        gone = update(instance).values(removed_at=datetime(2030, 1, 1, tzinfo=UTC))
        of_study = text("series_id IN (SELECT id FROM series WHERE study_instance_uid IN ('1.2', '1.3'))")
        connection.execute(gone.where(of_study))
    assert site.studies() == ["1.1", "1.2", "1.4"]
    assert [one["SeriesInstanceUID"] for one in site.find(Level.SERIES, StudyInstanceUID="1.2")] == ["1.2.3.99"]
    assert site.find(Level.IMAGE, StudyInstanceUID="1.2", SeriesInstanceUID="1.2.92") == []
    with site.engine.begin() as connection:
        withdrawn = {"withdrawn_at": datetime(2030, 1, 1, tzinfo=UTC)}
        connection.execute(update(job).where(job.c.id == number).values(**withdrawn))
    assert site.studies() == ["1.1", "1.4"]


def test_what_is_found_can_be_retrieved_and_nothing_else(site: Site) -> None:
    """Before and after images were removed, a result was withdrawn, and other bytes came under the same UID."""
    other = replace(stored("1.1.1.1", site.clock.now(), study="1.1", series="1.1.91"), variant=1)
    site.catalogue.record(other)
    number = site.write_results("1.2", "1.2.92")
    assert_same(site)
    assert [(one.storage_key, one.is_result) for one in site.held.of("1.2", "1.2.3.99", "9.1.1")] == [
        ("key-9.1.1", True)
    ]
    assert site.held.studies_of(["1.2.3.99"], []) == site.held.studies_of([], ["9.1.1"]) == ["1.2"]
    assert site.held.studies_of(["1.1.91", "1.1.92"], []) == site.held.studies_of([], ["1.1.1.2"]) == ["1.1"]
    with site.engine.begin() as connection:
        gone = update(instance).values(removed_at=datetime(2030, 1, 1, tzinfo=UTC))
        of_study = text("series_id IN (SELECT id FROM series WHERE study_instance_uid IN ('1.2', '1.3'))")
        connection.execute(gone.where(of_study))
    assert_same(site)
    with site.engine.begin() as connection:
        withdrawn = {"withdrawn_at": datetime(2030, 1, 1, tzinfo=UTC)}
        connection.execute(update(job).where(job.c.id == number).values(**withdrawn))
    assert_same(site)
    assert site.held.of("1.2") == site.held.of("1.3") == []
    assert site.held.of("1.9") == site.held.of("1.1", "1.2.92") == []


def assert_same(site: Site) -> None:
    for study in ("1.1", "1.2", "1.3", "1.4"):
        found = [
            one
            for series in site.uids(Level.SERIES, "SeriesInstanceUID", StudyInstanceUID=study)
            for one in site.uids(Level.IMAGE, "SOPInstanceUID", StudyInstanceUID=study, SeriesInstanceUID=series)
        ]
        assert sorted(one.sop_instance_uid for one in site.held.of(study)) == sorted(found)


def test_queries_use_indexes(site: Site) -> None:
    on_postgresql = site.engine.dialect.name == "postgresql"
    with site.engine.connect() as connection:
        if on_postgresql:
            connection.exec_driver_sql("SET enable_seqscan = off")  # it reads a small table as a whole
        explain = "EXPLAIN" if on_postgresql else "EXPLAIN QUERY PLAN"

        def plan(where: str) -> str:
            rows = connection.exec_driver_sql(f"{explain} SELECT * FROM study WHERE {where}").all()
            return " ".join(str(row[-1]) for row in rows)

        assert "ix_study_patient" in plan("patient_id = 'P1'")
        assert "ix_study_date" in plan("study_date >= '20200101' AND length(study_date) <= 16")


def test_objects_to_be_given_out(site: Site) -> None:
    """What queries answer, series by series in the order of their numbers; more than wanted is one more."""
    site.write_results("1.2", "1.2.92")

    def given(level: Level, most: int = 100, **keys: str) -> list[str]:
        found = {name: key for name, value in keys.items() if (key := matching(VRS.get(name, "LO"), value))}
        objects = SqlRetrievable(site.engine).objects(Query(level, found, frozenset()), most)
        return [one.sop_instance_uid for one in objects]

    of_study = given(Level.STUDY, StudyInstanceUID="1.1")
    assert of_study == ["1.1.1.1", "1.1.1.2", "1.1.1.3", "1.1.2.1"]
    assert given(Level.STUDY, most=2, StudyInstanceUID="1.1") == of_study[:3]
    assert given(Level.STUDY, StudyInstanceUID="1.2") == ["9.1.1", "9.1.2", "1.2.2.1"]
    assert given(Level.STUDY, StudyInstanceUID="1.2\\1.3") == ["9.1.1", "9.1.2", "1.2.2.1", "1.3.1.1"]
    assert len(given(Level.PATIENT, PatientID="P1")) == 7
    assert given(Level.STUDY, PatientID="P2", StudyInstanceUID="1.1") == []
    assert given(Level.SERIES, StudyInstanceUID="1.1", SeriesInstanceUID="1.1.92") == ["1.1.2.1"]
    of_series = {"StudyInstanceUID": "1.2", "SeriesInstanceUID": "1.2.3.99"}
    assert given(Level.IMAGE, **of_series, SOPInstanceUID="9.1.2\\9.1.9") == ["9.1.2"]
    assert given(Level.IMAGE, **of_series | {"StudyInstanceUID": "1.1"}, SOPInstanceUID="9.1.2") == []
    with site.engine.begin() as connection:
        connection.execute(update(job).values(withdrawn_at=site.clock.now()))
        connection.execute(update(instance).values(removed_at=site.clock.now()))
    assert given(Level.STUDY, StudyInstanceUID="1.2") == []


def test_what_is_known_of_an_object(site: Site) -> None:
    site.write_results("1.2", "1.2.92")
    wanted = Query(Level.STUDY, {"StudyInstanceUID": OneOf(frozenset({"1.2"}))}, frozenset())
    report, _, received = SqlRetrievable(site.engine).objects(wanted, 10)
    assert (report.sop_class_uid, report.storage_key, report.is_result) == (SR, "key-9.1.1", True)
    assert (report.transfer_syntax_uid, report.sha256) == ("", "ab" * 32)
    assert (received.study_instance_uid, received.transfer_syntax_uid) == ("1.2", "1.2.840.10008.1.2.1")
    assert not received.is_result
