"""Jobs that wait for priors, and what was asked for at archives, over both databases."""

from __future__ import annotations

from typing import Any

import pytest
from sqlalchemy import Engine

from node.database.catalogue import SqlCatalogue
from node.database.priors import SqlPriors
from node.database.retrievals import SqlRetrievals
from node.domain.job import JobState
from node.domain.prior import Priors, PriorSeries, PriorState, PriorsWanted
from node.domain.retrieval import Purpose, RetrievalState
from node.jobs.queue import SqlJobQueue
from tests.contract.rows import new_job, stored
from tests.fakes.outbox import StandingClock

READY = Priors(PriorState.READY, (PriorSeries("1.1", "1.1.1", "20200101"),))
MISSING = Priors(PriorState.MISSING, reason="there is none")


class Node:
    def __init__(self, engine: Engine, clock: StandingClock) -> None:
        self.clock = clock
        self.catalogue = SqlCatalogue(engine, clock)
        self.queue = SqlJobQueue(engine, clock)
        self.priors = SqlPriors(engine, clock)
        self.retrievals = SqlRetrievals(engine, clock)

    def receive(self, study: str, number: int = 1, **attributes: str) -> None:
        headers = {"PatientID": "P1", "PatientBirthDate": "19500101", "StudyDate": "20200101", "Modality": "MR"}
        place: dict[str, Any] = {"study": study, "series": f"{study}.1", "attributes": headers | attributes}
        self.catalogue.record(stored(f"{study}.1.{number}", self.clock.now(), **place))


@pytest.fixture
def node(engine: Engine, clock: StandingClock) -> Node:
    return Node(engine, clock)


def test_a_job_waits_until_its_priors_are_settled(node: Node) -> None:
    node.receive("2.1", StudyDate="20210101", SeriesDescription="T1 axial")
    wanted = new_job("k", study_instance_uid="2.1", series_instance_uids=("2.1.1",), priors_wait_s=60.0)
    job_id = node.queue.enqueue(wanted)
    assert node.queue.enqueue(new_job("plain")) != job_id
    (waiting,) = node.priors.waiting()
    facts = (waiting.job_id, waiting.patient_id, waiting.patient_birth_date, waiting.study_date)
    assert facts == (job_id, "P1", "19500101", "20210101")
    assert waiting.series_description == "T1 axial"
    plain = node.queue.claim("w", 6.0)
    assert plain is not None
    assert (plain.key, plain.priors) == ("plain", None)
    assert node.queue.claim("w", 6.0) is None
    assert node.priors.settle(job_id, READY) == READY
    assert node.priors.waiting() == []
    claimed = node.queue.claim("w", 6.0)
    assert claimed is not None
    assert (claimed.id, claimed.priors) == (job_id, READY)
    assert node.priors.settle(job_id, MISSING) == READY, "what is settled stays"


def test_a_job_does_not_wait_for_ever(node: Node) -> None:
    job_id = node.queue.enqueue(new_job("k", priors_wait_s=60.0))
    node.clock.advance(61.0)
    claimed = node.queue.claim("w", 6.0)
    assert claimed is not None
    assert claimed.priors == Priors(PriorState.WANTED)
    assert node.priors.waiting() == [], "it runs"
    assert node.priors.settle(job_id, MISSING) == MISSING
    assert node.priors.settle(job_id, READY) == MISSING
    assert node.queue.get(job_id).state is JobState.IN_PROGRESS


def test_what_is_here_of_a_patient(node: Node) -> None:
    node.receive("2.1", StudyDate="20210101")
    node.receive("1.1", 1, SeriesDescription="T1", BodyPartExamined="BRAIN")
    node.receive("1.1", 2)
    node.receive("1.2", StudyDate="20190101")
    node.receive("1.3", PatientID="P2")
    node.receive("1.4", PatientBirthDate="19990101")
    node.receive("1.5", Modality="CT")
    node.receive("1.6", BodyPartExamined="KNEE")
    node.queue.enqueue(new_job("k", study_instance_uid="2.1", series_instance_uids=("2.1.1",), priors_wait_s=60.0))
    (waiting,) = node.priors.waiting()
    wanted = PriorsWanted(modalities=("MR",), body_parts=("BRAIN",))
    (found,) = node.priors.held(waiting, wanted, "20191231", "20201231")
    assert (found.series, found.description, found.instances) == (PriorSeries("1.1", "1.1.1", "20200101"), "T1", 2)
    assert found.source == ""
    assert node.priors.is_here("1.1.1", 2)
    assert not node.priors.is_here("1.1.1", 3)


def test_what_was_asked_for(node: Node) -> None:
    assert node.retrievals.of("1.1") is None
    asked = node.retrievals.request("1.1", "archive", "ORTHANC", Purpose.PRIOR)
    assert (asked.purpose, asked.state, asked.ae_title) == (Purpose.PRIOR, RetrievalState.REQUESTED, "ORTHANC")
    node.retrievals.failed("1.1", "RetrievalFailed")
    failed = node.retrievals.of("1.1")
    assert failed is not None
    assert (failed.state, failed.error_code) == (RetrievalState.FAILED, "RetrievalFailed")
    assert node.retrievals.request("1.1", "archive", "ORTHANC", Purpose.DEMAND).purpose is Purpose.DEMAND
    node.retrievals.fetched("1.1", 7)
    again = node.retrievals.request("1.1", "other", "OTHER", Purpose.PRIOR)
    assert (again.purpose, again.source, again.error_code) == (Purpose.DEMAND, "other", None)
    node.receive("1.1", 1)
    node.receive("1.1", 2)
    assert (node.retrievals.held("1.1"), node.retrievals.held("1.2")) == (2, 0)
