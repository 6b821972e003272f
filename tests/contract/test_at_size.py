"""Whatever the node does again and again costs the same, however many jobs are finished or wait for their time.

Every operation is done in a small database and in one that is ten times larger in everything, and its statements are
watched as they are really executed.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import Engine, delete, func, select, update

from node.database import tallies
from node.database.catalogue import SqlCatalogue
from node.database.closings import SqlClosings
from node.database.engine import make_engine
from node.database.history import SqlResultHistory
from node.database.migrations import upgrade
from node.database.outbox import SqlOutbox
from node.database.removals import SqlRemovals
from node.database.result_rows import SqlResults
from node.database.retention import SqlRetentionRecord
from node.database.roles import SqlRoleBoard
from node.database.tables import delivery, job, study_change
from node.domain.admission import Admission, Verdict
from node.domain.delivery import CommitmentReport, Delivery, DeliveryState
from node.domain.document import Failure, RejectionTitle, Withdrawal, failure_reason
from node.domain.job import Job, JobState, Priority
from node.domain.retention import Step, StudyFacts
from node.domain.retention import Verdict as Retained
from node.domain.study import CloseReason, Closure
from node.errors import DestinationUnreachable, InferenceTimeout
from node.jobs.documents import SqlDueDocuments
from node.jobs.queue import SqlJobQueue
from node.jobs.withdrawals import SqlWithdrawals
from node.ports.retention import Kept
from node.show.listing import Listing
from node.show.projection import Projection
from node.show.wanted import Wanted
from node.show.worklist import Worklist
from tests.contract.rows import SR, completion, new_job, stored, written
from tests.contract.watching import Watch, Watched
from tests.fakes.outbox import StandingClock
from tests.filling import fill, series_uid, study_uid
from tests.postgres import PostgresServer

SMALL, LARGE = 3_000, 30_000
# One in so many jobs and deliveries is due, and twice as many wait for their retry.
DUE = 50
LEASE_S = 6.0
# Tables whose rows are few for ever; the tally is folded, changes of studies are taken out.
FEW_ROWS = {"setting", "role", "tally", "study_change", "journal_segment", "sending_habit", "audit_head"}
# Instructions or rows that are no growth.
SLACK = 200
SAME_STUDY, SAME_SERIES = study_uid(280), series_uid(280)


class Node:
    """Every record over one database, with work that is due."""

    def __init__(self, engine: Engine, jobs: int) -> None:
        self.engine = engine
        self.clock = clock = StandingClock()
        self.catalogue = SqlCatalogue(engine, clock)
        self.queue = SqlJobQueue(engine, clock)
        self.outbox = SqlOutbox(engine, clock)
        self.history = SqlResultHistory(engine)
        self.closings = SqlClosings(engine, clock)
        self.retention = SqlRetentionRecord(engine, clock)
        self.removals = SqlRemovals(engine)
        self.roles = SqlRoleBoard(engine, clock)
        self.documents = SqlDueDocuments(engine, clock)
        self.withdrawals = SqlWithdrawals(engine)
        self.results = SqlResults(engine)
        self.worklist = Worklist(engine, clock)
        self.projection = Projection(engine, clock, self.worklist)
        # As many as matter lie between what is rare and what is common in both databases.
        self.listing = Listing(engine, few=20)
        self._make_work(jobs // DUE)

    def _make_work(self, many: int) -> None:
        now = self.clock.now()
        due, later = now - timedelta(seconds=5), now + timedelta(days=30)
        with self.engine.begin() as connection:
            for table, state in ((job, JobState.SCHEDULED), (delivery, DeliveryState.SCHEDULED)):
                first, waiting = table.c.id <= many, table.c.id.between(many + 1, 3 * many)
                values = {"state": state, "run_after": due, "priority": int(Priority.LOW)}
                connection.execute(update(table).where(first).values(**values))
                values |= {"run_after": later, "priority": int(Priority.HIGH)}
                connection.execute(update(table).where(waiting).values(**values))
            if self.engine.dialect.name == "postgresql":
                connection.exec_driver_sql("ANALYZE")
        tallies.fold(self.engine)
        with self.engine.begin() as connection:
            connection.execute(delete(study_change))

    def claimed(self) -> Job:
        found = self.queue.claim("w1", LEASE_S)
        assert found is not None
        return found

    def canceled(self) -> int:
        waiting = self.worklist.jobs(state="SCHEDULED", limit=1)[0]["id"]
        self.queue.cancel(waiting)
        return int(waiting)

    def sending(self) -> list[Delivery]:
        return list(self.outbox.claim("pacs", "s1", LEASE_S))

    def revised(self) -> bool:
        """A new revision of a series that has a result already, done."""
        of_series = {"study_instance_uid": SAME_STUDY, "series_instance_uids": (SAME_SERIES,), "model": "model-5"}
        for revision in (2, 3):
            self.queue.enqueue(new_job(f"revision-{revision}", revision=revision, priority=Priority.HIGH, **of_series))
        return self.queue.complete(self.claimed(), completion("9.3"))

    def newest(self) -> Job:
        return self.queue.get(self.worklist.jobs(study=SAME_STUDY, limit=1)[0]["id"])

    def asked(self) -> CommitmentReport:
        """A commitment that was asked for."""
        for one in self.sending():
            assert self.outbox.stored(one)
        waiting = self.outbox.uncommitted("pacs")
        assert waiting
        uid = f"2.25.{10**9 + waiting[0].id}"
        self.outbox.request_commitment(uid, waiting, self.clock.now() + timedelta(seconds=1))
        return CommitmentReport(uid, tuple(one.sop_instance_uid for one in waiting), {})

    def received(self) -> int:
        """A series that is open; its id."""
        self.catalogue.record(stored("1.9.1", self.clock.now(), study="1.9", series="1.9.0"))
        return self.catalogue.open_series()[0].series_id

    def closed(self) -> bool:
        admission = Admission("hippocampus", "1.0", Verdict.ADMITTED, (), None, "MEDIUM", ("pacs",))
        made = new_job(f"closed-{self.clock.now()}", study_instance_uid="1.9", series_instance_uids=("1.9.0",))
        return self.catalogue.close_series(self.received(), 1, Closure(CloseReason.QUIET, {}), [admission], [made])

    def told(self) -> bool:
        """A job fails for good, and its document is written."""
        assert self.queue.fail(self.claimed(), InferenceTimeout(), None)
        document = self.documents.claim(LEASE_S)
        assert document is not None
        assert self.documents.announce(document, ["key-9.7"])
        failure = Failure(failure_reason(InferenceTimeout.code), {})
        return self.documents.complete(document, [written(SR, "9.7")], failure)

    def withdrawn(self) -> bool:
        """What was told of a failure is taken back."""
        job = self.results.of("9.7")[0]["job_id"]
        word = Withdrawal(self.clock.now(), "operator@host", "not so", RejectionTitle.QUALITY)
        self.withdrawals.withdraw([job], word)
        document = self.documents.claim(LEASE_S)
        assert document is not None
        return self.documents.complete(document, [written(SR, "9.8")])

    def page(self, **wanted: Any) -> list[dict[str, Any]]:
        """The second page, so that there is a cursor, where the first is not the last."""
        first = self.listing.page(Wanted(**wanted), 3)
        return self.listing.page(Wanted(**wanted), 3, first.following).studies or first.studies

    def after(self, seconds: float) -> Node:
        self.clock.advance(seconds)
        return self


def judged(step: Step) -> Callable[[StudyFacts], Retained]:
    return lambda facts: Retained(step, StandingClock().now())


def of_states(ask: Callable[[str], object], states: type[JobState] | type[DeliveryState]) -> list[object]:
    return [ask(state.value) for state in states] + ["asked"]


# In this order; each answers with something true.
OPERATIONS: dict[str, Callable[[Node], object]] = {
    "enqueue": lambda node: node.queue.enqueue(new_job("new", study_instance_uid=SAME_STUDY)),
    "a new revision": lambda node: node.revised(),
    "claim": lambda node: node.claimed(),
    "claim what waited too long": lambda node: node.after(3600).claimed(),
    "claim of other models": lambda node: node.queue.claim("w1", LEASE_S, ["model-1"]),
    "heartbeat": lambda node: node.queue.heartbeat(node.claimed(), LEASE_S),
    "complete": lambda node: node.queue.complete(node.claimed(), completion("9.1")),
    "fail": lambda node: node.queue.fail(node.claimed(), InferenceTimeout(), 1.0),
    "a document of a failure": lambda node: node.told(),
    "no document is due": lambda node: node.documents.claim(LEASE_S) is None,
    "documents": lambda node: node.worklist.documents(),
    "hand back": lambda node: node.queue.hand_back(node.claimed()),
    "rescue jobs": lambda node: node.after(LEASE_S).queue.rescue(),
    "cancel": lambda node: node.canceled(),
    "retry": lambda node: node.queue.retry(node.canceled()) or "done",
    "prioritise": lambda node: node.queue.prioritise(1900, Priority.HIGH) or "done",
    "show a job": lambda node: node.worklist.job(2000)["objects"],
    "get a job": lambda node: node.queue.get(2000),
    "list jobs": lambda node: node.worklist.jobs(limit=20),
    "list jobs by state": lambda node: of_states(lambda state: node.worklist.jobs(state, limit=3), JobState),
    "list jobs of a study": lambda node: node.worklist.jobs(study=SAME_STUDY),
    "list jobs of a study by state": lambda node: node.worklist.jobs(state="COMPLETED", study=SAME_STUDY),
    "claim deliveries": lambda node: node.sending(),
    "renew": lambda node: node.outbox.renew(node.sending(), LEASE_S),
    "stored": lambda node: node.outbox.stored(node.sending()[0]),
    "delivery failed": lambda node: node.outbox.fail(node.sending()[0], DestinationUnreachable(), 1.0),
    "retry a delivery": lambda node: node.outbox.retry(2500) or "done",
    "commitment": lambda node: node.outbox.apply_report(node.asked()),
    "expire commitments": lambda node: node.asked() and node.after(2).outbox.expire_commitments(),
    "uncommitted of many": lambda node: node.outbox.uncommitted("archive", 10),
    "rescue deliveries": lambda node: node.sending() and node.after(LEASE_S).outbox.rescue(),
    "list deliveries": lambda node: node.worklist.deliveries(limit=20),
    "list deliveries by state": lambda node: of_states(
        lambda state: node.worklist.deliveries(state, limit=3), DeliveryState
    ),
    "list deliveries of a study": lambda node: node.worklist.deliveries(study=SAME_STUDY),
    "list deliveries of a study by state": lambda node: node.worklist.deliveries(state="STORED", study=SAME_STUDY),
    "list results": lambda node: node.results.newest(None, 20),
    "list results of a study": lambda node: node.results.newest(SAME_STUDY, 20),
    "find a result": lambda node: node.results.of(node.results.newest(SAME_STUDY, 1)[0]["sop_instance_uid"]),
    "withdraw": lambda node: node.withdrawn(),
    "counts": lambda node: node.worklist.counts(),
    "quarantined": lambda node: node.worklist.quarantined() + 1,
    "paused": lambda node: node.queue.paused() or "not",
    "roles": lambda node: node.roles.beat("work", "0", 1, "here", {}) or node.worklist.roles(),
    "list studies": lambda node: node.worklist.studies(limit=10),
    "show a study": lambda node: node.worklist.study(SAME_STUDY),
    "series of a study": lambda node: node.worklist.series_ids(SAME_STUDY),
    "wait": lambda node: node.worklist.finality(SAME_STUDY),
    "why, by UID": lambda node: node.worklist.why(SAME_STUDY)["studies"],
    "why, by accession number": lambda node: node.worklist.why("A270")["studies"],
    "receive": lambda node: node.received(),
    "sources of a job": lambda node: node.catalogue.instances("1.9", ["1.9.0"]),
    "close a series": lambda node: node.closed(),
    "earlier results": lambda node: node.history.earlier(node.newest()),
    "earlier closing": lambda node: node.closings.earlier(280, 1),
    "instances of a study": lambda node: node.closings.instances_of_study(SAME_STUDY),
    "retention looks": lambda node: node.retention.due(node.clock.now(), node.clock.now(), 10),
    "retention removes images": lambda node: node.retention.remove_images(SAME_STUDY, judged(Step.REMOVE_IMAGES), 5),
    "retention removes rows": lambda node: node.retention.remove_rows(study_uid(290), judged(Step.REMOVE_ROWS), 20),
    "retention frees": lambda node: node.removals.free(Kept.INSTANCES, lambda key, at: None, 10),
    "lines of the worklist": lambda node: node.projection.project(5),
    "a page of the worklist": lambda node: node.page(),
    "a page of one modality": lambda node: node.page(modality="CT"),
    "a page of a rare modality": lambda node: node.page(modality="US"),
    "a page of one outcome of one modality": lambda node: node.page(outcome="FAILED", modality="MR"),
    "a page of what nobody assessed": lambda node: node.page(unassessed=True, model="model-1"),
    "a page found by a common word": lambda node: node.page(text="nobody"),
    "a page found by an accession number": lambda node: node.page(text="A2999") or "there is none in the small one",
    "the newest of the worklist": lambda node: node.listing.page(Wanted(), 10, by_age=True).studies,
    "what changed in the worklist": lambda node: node.listing.newest_change(),
    "fold counts": lambda node: tallies.fold(node.engine) + 1,
}


@pytest.fixture(scope="module", params=["sqlite", "postgresql"])
def engines(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[list[Engine]]:
    """A small and a large database."""
    if request.param == "sqlite":
        folder: Path = tmp_path_factory.mktemp("size")
        made = [make_engine(f"sqlite:///{folder / name}.db") for name in ("small", "large")]
        yield [_filled(engine, jobs) for engine, jobs in zip(made, (SMALL, LARGE), strict=True)]
        for engine in made:
            engine.dispose()
        return
    server: PostgresServer = request.getfixturevalue("postgres")
    with server.database() as small, server.database() as large:
        made = [make_engine(server.url(name), server.password) for name in (small, large)]
        yield [_filled(engine, jobs) for engine, jobs in zip(made, (SMALL, LARGE), strict=True)]
        for engine in made:
            engine.dispose()


def _filled(engine: Engine, jobs: int) -> Engine:
    upgrade(engine)
    fill(engine, jobs)
    return engine


@pytest.fixture(scope="module")
def watched(engines: list[Engine]) -> dict[str, list[Watched]]:
    """What every operation did, in the small database and in the large one."""
    found: dict[str, list[Watched]] = {name: [] for name in OPERATIONS}
    for engine, jobs in zip(engines, (SMALL, LARGE), strict=True):
        watch, node = Watch(engine), Node(engine, jobs)
        for name, operation in OPERATIONS.items():
            with watch.watching() as seen:
                assert operation(node), name
            found[name].append(seen)
    return found


@pytest.mark.parametrize("name", OPERATIONS)
def test_no_table_is_read_from_end_to_end(watched: dict[str, list[Watched]], name: str) -> None:
    large = watched[name][1]
    assert large.statements
    assert [(table, statement) for table, statement in large.scans if table not in FEW_ROWS] == []


@pytest.mark.parametrize("name", OPERATIONS)
def test_the_work_does_not_grow_with_the_tables(watched: dict[str, list[Watched]], name: str) -> None:
    small, large = watched[name]
    assert large.work <= 1.2 * small.work + SLACK, large.statements


def test_the_watch_sees_what_grows(engines: list[Engine]) -> None:
    """A check that never fails is none: a count of every job is found by both tests above."""
    found = []
    for engine in engines:
        with Watch(engine).watching() as seen, engine.connect() as connection:
            connection.execute(select(func.count()).select_from(job).where(job.c.model == "model-1"))
        found.append(seen)
    assert [table for table, _ in found[1].scans] == ["job"]
    assert found[1].work > 1.2 * found[0].work + SLACK


def test_the_counts_are_exact(watched: dict[str, list[Watched]], engines: list[Engine]) -> None:
    """After everything that was done above, before and after folding."""
    for engine in engines:
        node = Worklist(engine, StandingClock())
        for _ in range(2):
            for table, told in zip((job, delivery), node.counts(), strict=True):
                with engine.connect() as connection:
                    rows = connection.execute(select(table.c.state, func.count()).group_by(table.c.state))
                    counted = {row.state: row[1] for row in rows}
                assert {state: count for state, count in told.items() if count} == counted
            with engine.begin() as connection:
                tallies.fold_rows(connection)
