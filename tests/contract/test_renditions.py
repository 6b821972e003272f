"""Which destination gets which form of a result, and what the history tells of each: over both databases."""

from __future__ import annotations

from dataclasses import replace

import pytest
from sqlalchemy import Engine, select

from node.database.history import SqlResultHistory
from node.database.result_rows import objects_of
from node.database.tables import delivery, result
from node.domain.document import Failure, failure_reason
from node.domain.job import Completion, Job
from node.domain.rendition import Rendition, Wishes, wanted_by
from node.domain.result import EarlierResult, ResultObject
from node.errors import InferenceTimeout
from node.jobs.documents import SqlDueDocuments
from node.jobs.queue import SqlJobQueue
from tests.contract.rows import SEG, SR, completion, new_job, written
from tests.fakes.outbox import StandingClock

KOS = "1.2.840.10008.5.1.4.1.1.88.59"
SECONDARY_CAPTURE = "1.2.840.10008.5.1.4.1.1.7"
WISHES = {
    "viewer": Wishes(frozenset({Rendition.SECONDARY_CAPTURE})),
    "modern": Wishes(segmentation=Rendition.LABELMAP),
    "binary": Wishes(segmentation=Rendition.BINARY),
}
DESTINATIONS = ("pacs", *WISHES)


def in_form(sop_class_uid: str, uid: str, rendition: Rendition | None = None) -> ResultObject:
    return replace(written(sop_class_uid, uid), rendition=rendition)


OBJECTS = (
    in_form(SECONDARY_CAPTURE, "9.1", Rendition.SECONDARY_CAPTURE),
    in_form(SEG, "9.2", Rendition.LABELMAP),
    in_form(SR, "9.3", Rendition.LABELMAP),
    in_form(SEG, "9.4", Rendition.AS_DECLARED),
    in_form(KOS, "9.5"),
    in_form(SR, "9.6", Rendition.AS_DECLARED),
)


@pytest.fixture
def queue(engine: Engine, clock: StandingClock) -> SqlJobQueue:
    return SqlJobQueue(engine, clock, max_attempts=1, wishes=WISHES)


def claimed(queue: SqlJobQueue, key: str = "k") -> Job:
    queue.enqueue(new_job(key, destinations=DESTINATIONS))
    job = queue.claim("w1", 6.0)
    assert job is not None
    return job


def complete(queue: SqlJobQueue, job: Job, objects: tuple[ResultObject, ...]) -> None:
    assert queue.complete(job, Completion(completion().result, objects, {}))


def sent(engine: Engine) -> dict[str, list[str]]:
    """SOP Instance UIDs by destination, in the order in which they were written."""
    statement = select(delivery.c.destination, result.c.sop_instance_uid).join(result).order_by(result.c.id)
    found: dict[str, list[str]] = {name: [] for name in DESTINATIONS}
    with engine.connect() as connection:
        for row in connection.execute(statement):
            found[row.destination].append(row.sop_instance_uid)
    return found


def test_each_destination_gets_what_it_wants(engine: Engine, queue: SqlJobQueue) -> None:
    job = claimed(queue)
    assert wanted_by(job.destinations, WISHES) == {
        Rendition.SECONDARY_CAPTURE, Rendition.LABELMAP, Rendition.BINARY
    }  # fmt: skip
    complete(queue, job, OBJECTS)
    assert sent(engine) == {
        "pacs": ["9.4", "9.5", "9.6"],
        "viewer": ["9.1", "9.4", "9.5", "9.6"],
        "modern": ["9.2", "9.3", "9.5"],
        "binary": ["9.4", "9.5", "9.6"],  # the model declares that type: there is no second set in it
    }
    with engine.connect() as connection:
        assert objects_of(connection, job.id) == OBJECTS


def test_what_has_no_form_goes_everywhere(engine: Engine, queue: SqlJobQueue) -> None:
    job = claimed(queue)
    complete(queue, job, (in_form(SEG, "9.1"), in_form(SR, "9.2")))
    assert sent(engine) == {name: ["9.1", "9.2"] for name in DESTINATIONS}


def test_a_document_on_a_failure_goes_the_same_ways(engine: Engine, clock: StandingClock, queue: SqlJobQueue) -> None:
    documents = SqlDueDocuments(engine, clock, wishes=WISHES)
    assert queue.fail(claimed(queue), InferenceTimeout(), None)
    due = documents.claim(30.0)
    assert due is not None
    objects = (OBJECTS[0], in_form(SR, "9.2"))
    assert documents.complete(due, objects, Failure(failure_reason("InferenceTimeout"), {}))
    assert sent(engine) == {name: ["9.1", "9.2"] if name == "viewer" else ["9.2"] for name in DESTINATIONS}


def test_the_history_keeps_the_sets_apart(engine: Engine, queue: SqlJobQueue) -> None:
    """A key object selection is no report; pictures are none either."""
    complete(queue, claimed(queue, "first"), OBJECTS)
    (earlier,) = SqlResultHistory(engine).earlier(claimed(queue, "second"))
    assert [report.sop_instance_uid for report in earlier.reports] == ["9.6"]
    of_set = earlier.in_rendition(Rendition.LABELMAP)
    assert [report.sop_instance_uid for report in of_set.reports] == ["9.3"]
    assert earlier.in_rendition(Rendition.BINARY) is earlier
    assert isinstance(of_set, EarlierResult)
