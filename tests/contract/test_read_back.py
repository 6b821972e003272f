"""What a destination acknowledged is looked for there: over both databases, with a clock that stands still."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field

import pytest
from sqlalchemy import Engine

from node.database.catalogue import SqlCatalogue
from node.database.outbox import SqlOutbox
from node.database.read_backs import SqlReadBacks
from node.deliver.read_back import ReadBackSettings, Reader
from node.domain.delivery import Acknowledged, CommitmentReport
from node.domain.result import Outcome
from node.domain.retry import RetryPolicy
from node.domain.study import CloseReason, Closure
from node.errors import DeliveryError, DestinationUnreachable, QueryRefused
from node.jobs.queue import SqlJobQueue
from node.show.listing import Listing
from node.show.outcome import Finality
from node.show.projection import Projection
from node.show.reading import dots
from node.show.worklist import Worklist
from tests.contract.rows import STUDY, completion, new_job, stored
from tests.fakes.outbox import StandingClock

POLICY = RetryPolicy(max_attempts=3, base_s=2.0, cap_s=60.0)
PATIENCE_S = 100.0
SEG_UID, SR_UID = "9.1.2", "9.1.1"


@dataclass
class Archive:
    """Finds what is in ``shown``; ``away`` is raised while it is set."""

    name: str = "pacs"
    shown: set[str] = field(default_factory=set)
    away: DeliveryError | None = None
    asked: list[tuple[str, ...]] = field(default_factory=list)

    def held(self, objects: Sequence[Acknowledged]) -> frozenset[str]:
        if self.away is not None:
            raise self.away
        self.asked.append(tuple(one.sop_instance_uid for one in objects))
        return frozenset(self.shown)


class Node:
    def __init__(self, engine: Engine, clock: StandingClock, committing: bool = False) -> None:
        self.engine = engine
        self.clock = clock
        self.queue = SqlJobQueue(engine, clock, delivery_attempts={"pacs": 3})
        self.outbox = SqlOutbox(engine, clock, RetryPolicy(base_s=4.0), reading_back=["pacs"])
        self.archive = Archive()
        self.record = SqlReadBacks(engine, clock, RetryPolicy(base_s=4.0))
        self.reader = self.new_reader()
        self.worklist = Worklist(engine, clock, ["pacs"] if committing else [], ["pacs"])
        self.projection = Projection(engine, clock, self.worklist)
        self.listing = Listing(engine)

    def new_reader(self) -> Reader:
        settings = ReadBackSettings(POLICY, PATIENCE_S, lease_s=30.0)
        return Reader(self.archive, self.record, self.clock, settings, chance=lambda: 1.0)

    def finish(self) -> None:
        self.queue.enqueue(new_job("k"))
        job = self.queue.claim("w", 60.0)
        assert job is not None
        assert self.queue.complete(job, completion(outcome=Outcome.POSITIVE))

    def send(self) -> list[int]:
        claimed = self.outbox.claim("pacs", "s", 30.0)
        assert [self.outbox.stored(one) for one in claimed] == [True] * len(claimed)
        return [one.id for one in claimed]

    def commit(self, ids: Sequence[int]) -> None:
        rows = [self.outbox.get(one) for one in ids]
        self.outbox.request_commitment("2.25.1", rows, self.clock.now())
        assert self.outbox.apply_report(CommitmentReport("2.25.1", tuple(one.sop_instance_uid for one in rows), {}))

    def rows(self) -> dict[str, dict[str, object]]:
        return {one["sop_instance_uid"]: one for one in self.worklist.deliveries()}

    def said(self) -> dict[str, tuple[object, bool, object]]:
        """State, whether it was seen, and what is wrong, of each object."""
        return {
            uid: (one["state"], one["read_back_at"] is not None, one["error_code"]) for uid, one in self.rows().items()
        }

    def alerts(self) -> list[tuple[str, str, object]]:
        return [(one["kind"], one["subject"], one["detail"]) for one in reversed(self.worklist.alerts())]

    def receive(self) -> None:
        catalogue = SqlCatalogue(self.engine, self.clock)
        catalogue.record(stored("1.2.3.4.1", self.clock.now()))
        (series,) = catalogue.open_series()
        assert catalogue.close_series(series.series_id, 1, Closure(CloseReason.QUIET, {}), [], [])


@pytest.fixture
def node(engine: Engine, clock: StandingClock) -> Node:
    return Node(engine, clock)


def test_stored_committed_and_read_back_are_moments_of_their_own(node: Node) -> None:
    node.finish()
    ids = node.send()
    assert node.said() == dict.fromkeys((SEG_UID, SR_UID), ("STORED", False, None))
    node.clock.advance(1)
    node.commit(ids)
    node.clock.advance(1)
    node.archive.shown = {SEG_UID, SR_UID}
    assert node.reader.run_once()
    assert node.said() == dict.fromkeys((SEG_UID, SR_UID), ("COMMITTED", True, None))
    row = node.rows()[SEG_UID]
    moments = [row["stored_at"], row["committed_at"], row["read_back_at"]]
    assert moments == sorted(set(moments), key=str)
    assert not node.reader.run_once()
    assert node.archive.asked == [(SR_UID, SEG_UID)]


def test_what_is_shown_later_is_waited_for(node: Node) -> None:
    node.finish()
    node.send()
    node.archive.shown = {SEG_UID}
    node.reader.run_once()
    assert node.said() == {SEG_UID: ("STORED", True, None), SR_UID: ("STORED", False, None)}
    assert not node.reader.run_once(), "not before its time"
    node.clock.advance(2.0)
    node.archive.shown.add(SR_UID)
    assert node.reader.run_once()
    assert node.said()[SR_UID] == ("STORED", True, None)
    assert node.archive.asked == [(SR_UID, SEG_UID), (SR_UID,)]
    assert not node.alerts()


@pytest.mark.parametrize("committed", [False, True])
def test_what_is_not_there_is_sent_once_more_with_an_alert(node: Node, committed: bool) -> None:
    node.finish()
    ids = node.send()
    if committed:
        node.commit(ids)
    node.archive.shown = {SR_UID}
    node.reader.run_once()
    node.clock.advance(PATIENCE_S)
    node.reader.run_once()
    assert node.said() == {
        SR_UID: ("COMMITTED" if committed else "STORED", True, None), SEG_UID: ("SCHEDULED", False, "ReadBackFailed")
    }  # fmt: skip
    detail = {"study_instance_uid": STUDY, "destination": "pacs", "delivery": ids[0], "sent_again": True}
    assert node.alerts() == [("read_back_missing", SEG_UID, detail)]
    assert node.send() == [], "not before its time"
    node.clock.advance(4.0)
    assert node.send() == ids[:1]
    node.archive.shown.add(SEG_UID)
    node.reader.run_once()
    assert node.said()[SEG_UID] == ("STORED", True, None)


def test_what_is_lost_again_is_given_up_and_an_operator_may_send_it(node: Node) -> None:
    node.finish()
    (first, _) = node.send()
    node.archive.shown = {SR_UID}
    for _ in range(2):
        node.clock.advance(PATIENCE_S)
        node.reader.run_once()
        node.clock.advance(4.0)
        node.send()
    assert node.said()[SEG_UID] == ("FAILED", False, "ReadBackFailed")
    assert [detail["sent_again"] for _, _, detail in node.alerts()] == [True, False]  # type: ignore[index]
    node.outbox.retry(first)
    assert node.send() == [first]
    node.archive.shown.add(SEG_UID)
    node.reader.run_once()
    assert node.said()[SEG_UID] == ("STORED", True, None)


@pytest.mark.parametrize("error", [DestinationUnreachable("no connection"), QueryRefused("C-FIND answered A900H")])
def test_who_cannot_be_asked_is_asked_again_and_then_no_more(node: Node, error: DeliveryError) -> None:
    node.finish()
    node.send()
    node.archive.away = error
    for after_s in (0.0, 2.0, 4.0):
        node.clock.advance(after_s)
        assert node.reader.run_once()
    assert node.said() == dict.fromkeys((SEG_UID, SR_UID), ("STORED", False, error.code))
    assert {kind for kind, _, _ in node.alerts()} == {"read_back_unanswered"}
    assert len(node.alerts()) == 2
    node.clock.advance(86400.0)
    assert not node.reader.run_once()


def test_who_answers_again_clears_what_was_said(node: Node) -> None:
    node.finish()
    node.send()
    node.archive.away = DestinationUnreachable("no connection")
    node.reader.run_once()
    assert node.said()[SEG_UID] == ("STORED", False, "DestinationUnreachable")
    node.archive.away, node.archive.shown = None, {SEG_UID, SR_UID}
    node.clock.advance(2.0)
    node.reader.run_once()
    assert node.said() == dict.fromkeys((SEG_UID, SR_UID), ("STORED", True, None))


def test_two_readers_do_not_ask_for_the_same_and_a_dead_one_is_followed(node: Node) -> None:
    node.finish()
    node.send()
    (first, _) = node.record.claim("pacs", 30.0)
    assert list(node.record.claim("pacs", 30.0)) == []
    assert list(node.record.claim("elsewhere", 30.0)) == []
    node.clock.advance(30.0)
    (again, _) = node.record.claim("pacs", 30.0)
    assert (first.tries, again.tries) == (1, 2)


def test_an_answer_about_what_was_sent_again_meanwhile_is_none(node: Node) -> None:
    node.finish()
    ids = node.send()
    about = next(one for one in node.record.claim("pacs", 30.0) if one.delivery_id == ids[0])
    node.outbox.retry(ids[0])
    node.record.found([about])
    assert not node.record.missing(about)
    assert node.said()[SEG_UID] == ("SCHEDULED", False, None)
    assert node.send() == ids[:1]
    node.record.found([about])
    assert node.said()[SEG_UID] == ("STORED", False, None), "that was the attempt before"
    assert not node.alerts()


def test_where_nothing_is_looked_for_nothing_is_due(engine: Engine, clock: StandingClock) -> None:
    node = Node(engine, clock)
    node.outbox = SqlOutbox(engine, clock)
    node.finish()
    node.send()
    assert not node.reader.run_once()


def test_the_study_waits_for_it_and_its_line_tells(node: Node) -> None:
    """A line of the worklist is written anew when something was seen, though no state changes."""

    def read_back() -> tuple[int, int, str]:
        assert node.projection.project_all() > 0, "something changed"
        line = node.listing.study(STUDY)
        assert line is not None
        told = line["delivery"]
        return told["to_read_back"], told["read_back"], dict(dots(told))["read_back"]

    node.receive()
    node.finish()
    assert read_back() == (2, 0, "none")
    node.send()
    assert not node.worklist.finality(STUDY).final, "what is not found is sent again"
    node.archive.shown = {SEG_UID}
    node.reader.run_once()
    assert read_back() == (2, 1, "some")
    node.archive.shown = {SEG_UID, SR_UID}
    node.clock.advance(2.0)
    node.reader.run_once()
    assert read_back() == (2, 2, "all")
    assert node.worklist.finality(STUDY) == Finality(known=True, final=True, failed=False)
