"""The log of uses over both databases: written with what it tells, whole beside any writers, and plain when changed."""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from datetime import timedelta
from typing import Any

import pytest
from sqlalchemy import Connection, Engine, delete, insert, select, text, update
from sqlalchemy.exc import DBAPIError

from node.database.audit import SqlAudit, append
from node.database.catalogue import SqlCatalogue
from node.database.outbox import SqlOutbox
from node.database.tables import audit_entry, audit_head
from node.database.unit_of_work import UnitOfWork
from node.domain.audit import NOTHING, Action, Entry, Head, Use, inputs_digest
from node.domain.delivery import DeliveryState
from node.domain.document import Failure, RejectionTitle, Withdrawal, failure_reason
from node.domain.job import Job, Priority
from node.domain.study import CloseReason, Closure
from node.errors import InferenceTimeout, InvalidTransition, NotFound, StoreUnavailable, WorkerLost
from node.jobs.documents import SqlDueDocuments
from node.jobs.queue import SqlJobQueue
from node.jobs.withdrawals import SqlWithdrawals
from tests.contract.rows import SEG, SR, STUDY, completion, new_job, stored, written
from tests.contract.test_retention import IMAGES, ROWS, Site
from tests.fakes.outbox import StandingClock
from tests.peers import REPOSITORY

ACTOR = "cli:ada@ward"
INPUTS = [{"sop_instance_uid": "1.9.1", "sha256": "cd" * 32}]
USE = Use(Action.RESULT_VERIFIED, "job 7", STUDY, {"ok": True})
# A process that writes so many entries.
WRITER = """
import sys
from node.app.clock import SystemClock
from node.database.audit import SqlAudit
from node.database.engine import make_engine
from node.domain.audit import Action, Use
engine = make_engine(sys.argv[1], sys.stdin.readline().strip() or None)
audit = SqlAudit(engine, SystemClock(), sys.argv[2])
for number in range(int(sys.argv[3])):
    audit.record(Use(Action.RESULT_VERIFIED, f"job {number}"))
engine.dispose()
"""


class Node:
    def __init__(self, engine: Engine, clock: StandingClock) -> None:
        self.engine = engine
        self.clock = clock
        self.queue = SqlJobQueue(engine, clock, max_attempts=1, actor=ACTOR)
        self.outbox = SqlOutbox(engine, clock, actor=ACTOR)
        self.documents = SqlDueDocuments(engine, clock, actor=ACTOR)
        self.withdrawals = SqlWithdrawals(engine, ACTOR)
        self.catalogue = SqlCatalogue(engine, clock, actor=ACTOR)
        self.audit = SqlAudit(engine, clock, ACTOR)

    def claimed(self, key: str, **changes: object) -> Job:
        self.queue.enqueue(new_job(key, **changes))
        job = self.queue.claim("w1", 6.0)
        assert job is not None
        return job

    def completed(self, key: str = "k") -> Job:
        job = self.claimed(key)
        told: dict[str, object] = {"inputs": INPUTS, "weights_sha256": "ef" * 32, "device": "cpu"}
        assert self.queue.complete(job, replace(completion(), provenance=told))
        return job

    def entries(self) -> list[Entry]:
        """The oldest first."""
        return self.audit.newest(10_000)[::-1]

    def last(self) -> tuple[str, str, str | None, dict[str, Any]]:
        one = self.entries()[-1]
        assert one.actor == ACTOR
        assert one.at == self.clock.now().isoformat(timespec="microseconds").replace("+00:00", "Z")
        return one.action, one.subject, one.study_instance_uid, json.loads(one.detail)

    def unprotect(self) -> None:
        """Take away the triggers, as who owns the database can."""
        on = " ON audit_entry" if self.engine.dialect.name == "postgresql" else ""
        with self.engine.begin() as connection:
            for what in ("update", "delete"):
                connection.execute(text(f"DROP TRIGGER audit_entry_{what}{on}"))


@pytest.fixture
def node(engine: Engine, clock: StandingClock) -> Node:
    return Node(engine, clock)


def withdrawal(node: Node) -> Withdrawal:
    return Withdrawal(node.clock.now(), "ada", "Mrs Doe's other knee", RejectionTitle.SAFETY)


# ---------------------------------------------------------------- what is written


def test_a_new_log_is_empty_and_whole(node: Node) -> None:
    found = node.audit.verify()
    assert (found.entries, found.head, found.broken) == (0, Head(0, NOTHING), None)
    assert node.entries() == []


def test_what_a_run_wrote_and_from_what(node: Node) -> None:
    job = node.completed()
    about, run = {"model": "hippocampus", "model_version": "1.0", "attempt": 1}, {"weights_sha256": "ef" * 32}
    objects = [{"sop_instance_uid": uid, "sha256": "ab" * 32} for uid in ("9.1.1", "9.1.2")]
    inputs = {"inputs": 1, "inputs_sha256": inputs_digest(INPUTS)}
    assert node.last() == (
        "JOB_COMPLETED",
        f"job {job.id}",
        STUDY,
        {**about, **run, **inputs, "objects": objects},
    )
    node.withdrawals.withdraw([job.id], withdrawal(node))
    assert node.last()[0] == "RESULT_WITHDRAWN"
    assert node.last()[3] == {"title": "safety", "objects": ["9.1.1", "9.1.2"]}
    due = node.documents.claim(30.0)
    assert due is not None
    assert node.documents.complete(due, [written(SR, "9.9")])
    assert node.last()[:2] == ("DOCUMENT_WRITTEN", f"job {job.id}")
    assert node.last()[3]["kind"] == "REJECTION"
    assert node.audit.verify().broken is None
    kept = " ".join(f"{one.detail} {one.subject} {one.actor}" for one in node.entries())
    assert "Doe" not in kept, "an operator's words may name a patient"
    assert "A1" not in kept, "nor is the accession number told"


def test_whichever_way_a_job_fails(node: Node) -> None:
    job = node.claimed("by its error")
    assert node.queue.fail(job, InferenceTimeout(), None)
    assert node.last() == (
        "JOB_FAILED",
        f"job {job.id}",
        STUDY,
        {"model": "hippocampus", "model_version": "1.0", "attempt": 1, "error_code": "InferenceTimeout"},
    )
    due = node.documents.claim(30.0)
    assert due is not None
    told: dict[str, object] = {"inputs": INPUTS, "weights_sha256": "ef" * 32}
    failure = Failure(failure_reason("InferenceTimeout"), told)
    assert node.documents.complete(due, [written(SR, "9.9")], failure)
    action, _, _, detail = node.last()
    assert (action, detail["kind"], detail["inputs_sha256"]) == ("DOCUMENT_WRITTEN", "FAILED", inputs_digest(INPUTS))
    lost = [node.claimed(f"lost {number}", series_instance_uids=(f"1.2.{number}",)) for number in range(2)]
    node.clock.advance(7)
    node.queue.rescue()
    assert [(one.action, one.subject) for one in node.entries()[-2:]] == [
        ("JOB_FAILED", f"job {one.id}") for one in lost
    ]
    assert node.last()[3]["error_code"] == WorkerLost.code


def test_what_operators_do(node: Node) -> None:
    job = node.queue.enqueue(new_job("k"))
    assert node.last()[:3] == ("JOB_REQUESTED", f"job {job}", STUDY)
    assert node.queue.enqueue(new_job("k")) == job
    acts: Sequence[Callable[[], object]] = (
        lambda: node.queue.prioritise(job, Priority.HIGH),
        lambda: node.queue.cancel(job),
        lambda: node.queue.retry(job),
        node.queue.pause,
        node.queue.pause,
        node.queue.resume,
        node.queue.resume,
        lambda: node.audit.record(USE),
    )
    for act in acts:
        act()
    # What changes nothing is no use: neither the second pause nor the job that was there.
    assert [one.action for one in node.entries()] == [
        "JOB_REQUESTED", "JOB_PRIORITISED", "JOB_CANCELED", "JOB_RETRIED", "QUEUE_PAUSED", "QUEUE_RESUMED",
        "RESULT_VERIFIED",
    ]  # fmt: skip
    assert {one.actor for one in node.entries()} == {ACTOR}


def test_what_is_sent_again(node: Node) -> None:
    node.completed()
    sent = node.outbox.claim("pacs", "s1", 6.0)[0]
    assert node.outbox.stored(sent)
    node.outbox.retry(sent.id)
    assert node.outbox.get(sent.id).state is DeliveryState.SCHEDULED
    assert node.last() == (
        "DELIVERY_RETRIED",
        f"delivery {sent.id}",
        STUDY,
        {"destination": "pacs", "sop_instance_uid": "9.1.2"},
    )
    assert sent.sop_class_uid == SEG


def test_a_series_that_an_operator_closes(node: Node) -> None:
    node.catalogue.record(stored("1.9.1", node.clock.now()))
    (series,) = node.catalogue.open_series()
    assert node.catalogue.close_series(series.series_id, 1, Closure(CloseReason.OPERATOR, {}), [], [])
    assert node.last() == ("SERIES_COMPLETED", "series 1.2.3.4", STUDY, {"revision": 1})
    node.catalogue.record(stored("1.9.2", node.clock.now(), series="1.2.3.5"))
    (series,) = node.catalogue.open_series()
    assert node.catalogue.close_series(series.series_id, 1, Closure(CloseReason.QUIET, {}), [], [])
    assert len(node.entries()) == 1, "the clock is nobody"


def test_what_was_not_done_is_not_told(node: Node) -> None:
    job = node.completed()
    before = node.entries()
    assert not node.queue.complete(job, completion())
    assert not node.queue.fail(job, InferenceTimeout(), None)
    for act in (node.queue.retry, node.queue.cancel):
        with pytest.raises(InvalidTransition):
            act(job.id)
    with pytest.raises(NotFound):
        node.withdrawals.withdraw([999], withdrawal(node))
    with pytest.raises(NotFound):
        node.outbox.retry(999)
    assert node.entries() == before


def test_an_entry_is_undone_with_its_transaction(node: Node) -> None:
    def step(connection: Connection) -> None:
        append(connection, ACTOR, node.clock.now(), [USE, USE])
        raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        UnitOfWork(node.engine).write(step)
    assert node.entries() == []
    node.audit.record(USE)
    assert node.audit.verify().entries == 1


def test_without_its_head_nothing_is_done_that_cannot_be_told(node: Node) -> None:
    job = node.claimed("k")
    with node.engine.begin() as connection:
        connection.execute(delete(audit_head))
    with pytest.raises(StoreUnavailable, match="head of the audit log"):
        node.queue.complete(job, completion())
    assert node.queue.get(job.id).owner == "w1"
    assert node.audit.head() is None
    broken = node.audit.verify().broken
    assert broken is not None
    assert broken.problem == "the head is gone"


# ---------------------------------------------------------------- whoever changes it


def test_entries_cannot_be_changed_by_mistake(node: Node) -> None:
    node.audit.record(USE)
    for statement in (update(audit_entry).values(actor="nobody"), delete(audit_entry)):
        with pytest.raises(DBAPIError, match="stay as they are"), node.engine.begin() as connection:
            connection.execute(statement)
    assert node.audit.verify().broken is None


def test_what_is_changed_on_purpose_is_named(node: Node) -> None:
    """Each of these in turn, and then everything as it was; ``unit/domain`` has every way there is."""
    for _ in range(5):
        node.audit.record(USE)
    kept, noted = node.entries(), node.audit.head()
    assert noted is not None
    node.unprotect()
    third, last = audit_entry.c.number == 3, audit_entry.c.number == 5
    cases: Sequence[tuple[Any, int]] = (
        (update(audit_entry).where(third).values(detail='{"ok":false}'), 3),
        (update(audit_entry).where(third).values(at="yesterday"), 3),
        (delete(audit_entry).where(third), 3),
        (update(audit_entry).where(third).values(number=9), 3),
        (delete(audit_entry).where(last), 5),
        (delete(audit_entry), 1),
        (update(audit_head).values(number=4, digest=kept[3].digest), 5),
        (update(audit_head).values(digest="0" * 64), 5),
    )
    for statement, number in cases:
        with node.engine.begin() as connection:
            connection.execute(statement)
        broken = node.audit.verify().broken
        assert broken is not None
        assert broken.number == number, broken
        with node.engine.begin() as connection:
            connection.execute(delete(audit_entry))
            connection.execute(insert(audit_entry), [_values(one) for one in kept])
            connection.execute(update(audit_head).values(number=noted.number, digest=noted.digest))
        assert node.audit.verify().broken is None
    with node.engine.begin() as connection:
        connection.execute(delete(audit_entry).where(audit_entry.c.number >= 4))
        connection.execute(update(audit_head).values(number=3, digest=kept[2].digest))
    assert node.audit.verify().broken is None, "cut together with its head, it looks whole"
    assert node.audit.verify(kept[2].digest).noted_at == 3
    assert node.audit.verify(noted.digest).broken is not None, "but not to who noted a later head"


def _values(entry: Entry) -> dict[str, object]:
    return {column.name: getattr(entry, column.name) for column in audit_entry.columns}


def test_retention_takes_nothing_of_it(engine: Engine, clock: StandingClock) -> None:
    site = Site(engine, clock)
    site.finished_study()
    audit = SqlAudit(engine, clock, ACTOR)
    before = audit.newest(100)
    assert "JOB_COMPLETED" in [one.action for one in before]
    site.run_after(IMAGES)
    site.run_after(ROWS)
    assert site.rows("job") == 0
    assert audit.newest(100) == before
    assert audit.verify().broken is None


# ---------------------------------------------------------------- many at once


def test_processes_and_threads_write_one_chain(node: Node) -> None:
    """No entry is lost or told twice; a reader meanwhile sees a whole chain each time."""
    each, url = 12, str(node.engine.url.set(password=None))
    processes = [
        subprocess.Popen(
            [sys.executable, "-c", WRITER, url, f"process {number}", str(each)],
            stdin=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
            cwd=REPOSITORY,
        )
        for number in range(2)
    ]
    jobs = [node.claimed(f"k{number}", series_instance_uids=(f"1.2.{number}",)) for number in range(each)]

    def complete(job: Job) -> bool:
        return node.queue.complete(job, completion(f"9.{job.id}"))

    def look(_: int) -> object:
        return node.audit.verify().broken

    with ThreadPoolExecutor(4) as pool:
        ended = pool.map(lambda one: one.communicate(f"{node.engine.url.password or ''}\n", timeout=120), processes)
        looks, done = pool.map(look, range(6)), pool.map(complete, jobs)
        assert list(done) == [True] * each
        assert list(looks) == [None] * 6
        errors = [error for _, error in ended]
    assert [one.returncode for one in processes] == [0, 0], errors
    found = node.audit.verify()
    assert found.broken is None
    assert found.entries == 4 * each, "of two processes, and of jobs that were requested and completed"
    completed = {one.subject for one in node.entries() if one.action == "JOB_COMPLETED"}
    assert completed == {f"job {one.id}" for one in jobs}


def test_a_head_is_waited_for(node: Node) -> None:
    """Who comes second follows the first, also where it asked before the first was done."""
    with ThreadPoolExecutor(1) as pool, UnitOfWork(node.engine).read() as reader:
        reader.execute(select(audit_head)).all()

        def first(connection: Connection) -> object:
            append(connection, "first", node.clock.now() + timedelta(seconds=1), [USE])
            return pool.submit(node.audit.record, USE)

        second = UnitOfWork(node.engine).write(first)
        second.result(60)  # type: ignore[attr-defined]
    assert [one.actor for one in node.entries()] == ["first", ACTOR]
    assert node.audit.verify().broken is None
