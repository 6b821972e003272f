"""Retention over both databases: what is finished goes in the right order, and nothing else."""

from __future__ import annotations

from collections.abc import Callable
from datetime import datetime, timedelta

import pytest
from sqlalchemy import Engine, func, select, update

from node.admin.retention import Retention
from node.database import tables
from node.database.catalogue import SqlCatalogue
from node.database.outbox import SqlOutbox
from node.database.removals import SqlRelocation, SqlRemovals
from node.database.retention import SqlRetentionRecord
from node.domain import admission
from node.domain.result import heat_maps_key
from node.domain.retention import RetentionRule, Step, StudyFacts, Verdict, judge
from node.errors import DestinationUnreachable, ObjectMissing, StoreUnavailable
from node.jobs.queue import SqlJobQueue
from node.ports import Recorded
from node.ports.retention import Kept
from tests.contract.rows import SERIES, STUDY, completion, new_job, stored
from tests.contract.test_worklist import Node
from tests.fakes.outbox import StandingClock

IMAGES, ROWS = timedelta(days=7), timedelta(days=365)
RULE = RetentionRule(IMAGES, ROWS, frozenset({"pacs"}))
MINE = (
    *("study", "series", "series_association", "instance", "admission", "alert", "job", "result", "delivery"),
    *("association", "commitment", "commitment_delivery", "series_closing"),
)
# They go with the rows that they belong to.
UNCOUNTED = ("commitment", "commitment_delivery", "series_closing")


class Bytes:
    """Two stores that say what was deleted; ``broken`` keys cannot be."""

    def __init__(self) -> None:
        self.deleted: dict[Kept, list[str]] = {kept: [] for kept in Kept}
        self.broken: set[str] = set()

    def delete(self, kept: Kept) -> Callable[[str, datetime], None]:
        def delete(key: str, removed_at: datetime) -> None:
            if key in self.broken:
                raise StoreUnavailable("the object cannot be removed")
            self.deleted[kept].append(key)

        return delete


class Site:
    def __init__(self, engine: Engine, clock: StandingClock) -> None:
        self.engine = engine
        self.clock = clock
        self.node = Node(engine, clock)
        self.catalogue = SqlCatalogue(engine, clock)
        self.record = SqlRetentionRecord(engine, clock)
        self.removals = SqlRemovals(engine)
        self.bytes = Bytes()
        deletes = {kept: self.bytes.delete(kept) for kept in Kept}
        self.retention = Retention(self.record, self.removals, deletes, clock, RULE, pause=lambda: None)

    def rows(self, table: str) -> int:
        with self.engine.connect() as connection:
            return connection.execute(select(func.count()).select_from(tables.metadata.tables[table])).scalar_one()

    def finished_study(self) -> None:
        """One image, one job, two results, committed."""
        self.catalogue.open_association("a1", "CT1", "AINODE", "10.0.0.1", "r")
        self.node.receive(("hippocampus", admission.Verdict.ADMITTED), uid="1.9.1")
        self.catalogue.record(stored("1.9.1", self.clock.now(), content="other pixels", association_id="a1"))
        self.catalogue.end_association("a1", "released")
        self.node.run()
        self.node.deliver("2.25.1")

    def run_after(self, passed: timedelta) -> dict[str, int]:
        self.clock.advance(passed.total_seconds())
        return dict(self.retention.run_once())


@pytest.fixture
def site(engine: Engine, clock: StandingClock) -> Site:
    return Site(engine, clock)


def test_images_go_after_their_time_and_their_rows_say_so(site: Site) -> None:
    site.finished_study()
    assert site.run_after(IMAGES - timedelta(seconds=1)) == {}
    assert site.node.worklist.study(STUDY)["images_removed_at"] is None
    assert site.run_after(timedelta(seconds=1)) == {"images": 2}
    assert site.node.worklist.study(STUDY)["images_removed_at"] == site.clock.now()
    assert site.bytes.deleted[Kept.INSTANCES] == [], "a row says it before a byte goes"
    assert site.retention.free_once() == {"instances": 2}
    assert sorted(site.bytes.deleted[Kept.INSTANCES]) == [
        f"{STUDY}/{SERIES}/1.9.1-other pixels",
        f"{STUDY}/{SERIES}/1.9.1-pixels",
    ]
    assert site.retention.free_once() == {}
    assert site.run_after(timedelta(days=1)) == {}
    assert site.rows("instance") == 2


def test_rows_go_later_and_nothing_about_the_study_is_left(site: Site) -> None:
    site.finished_study()
    before = {table: site.rows(table) for table in MINE}
    assert all(before.values()), before
    site.run_after(IMAGES)
    site.retention.free_once()
    assert site.run_after(ROWS - timedelta(seconds=1)) == {}
    gone = site.run_after(timedelta(seconds=1))["rows"]
    assert gone == sum(count for table, count in before.items() if table not in UNCOUNTED)
    assert {table: site.rows(table) for table in MINE} == dict.fromkeys(MINE, 0)
    assert site.retention.free_once() == {"results": 2}
    assert sorted(site.bytes.deleted[Kept.RESULTS]) == ["key-9.1.1", "key-9.1.2"]
    assert site.rows("removal") == 0
    jobs, deliveries = site.node.worklist.counts()
    assert sum(jobs.values()) + sum(deliveries.values()) == 0


def test_other_studies_keep_every_row(site: Site) -> None:
    site.finished_study()
    site.run_after(timedelta(days=3))
    site.catalogue.record(stored("2.9.1", site.clock.now(), study="2.2", series="2.2.1"))
    (other,) = site.catalogue.open_series()
    site.run_after(IMAGES)
    site.run_after(ROWS)
    assert (site.rows("study"), site.rows("series"), site.rows("instance")) == (1, 1, 1)
    assert site.catalogue.series(other.series_id).study_instance_uid == "2.2"


def test_a_failed_delivery_keeps_everything_until_it_was_retried(site: Site) -> None:
    site.node.receive(("hippocampus", admission.Verdict.ADMITTED))
    site.node.run()
    outbox = SqlOutbox(site.engine, site.clock)
    claimed = outbox.claim("pacs", "s1", 30.0)
    for one in claimed:
        outbox.fail(one, DestinationUnreachable("no answer"), None)
    assert site.run_after(IMAGES) == {}
    assert site.run_after(ROWS) == {}
    for one in claimed:
        outbox.retry(one.id)
    site.node.deliver("2.25.7")
    assert site.run_after(IMAGES) == {"images": 1}


def test_a_late_image_moves_the_time_on(site: Site) -> None:
    site.finished_study()
    site.clock.advance(IMAGES.total_seconds() - 10)
    site.catalogue.record(stored("1.9.2", site.clock.now()))
    assert site.run_after(timedelta(seconds=10)) == {}
    assert site.run_after(timedelta(days=30)) == {}, "it is receiving, however long"


def test_judged_again_inside_the_transaction(site: Site, engine: Engine) -> None:
    """What was due a moment ago and has moved on since is left alone."""
    site.finished_study()
    site.clock.advance(IMAGES.total_seconds())

    def now_judge(facts: StudyFacts) -> Verdict:
        return judge(facts, site.clock.now(), RULE)

    (facts,) = site.record.due(site.clock.now(), site.clock.now(), 10)
    assert now_judge(facts).step is Step.REMOVE_IMAGES
    site.catalogue.record(stored("1.9.2", site.clock.now()))
    assert site.record.remove_images(STUDY, now_judge, 10) == 0
    assert site.record.remove_rows(STUDY, now_judge, 10) == 0
    assert site.record.remove_images("9.9", now_judge, 10) == 0


@pytest.mark.parametrize("limit", [1, 2, 5])
def test_rows_go_in_batches_and_what_is_left_never_looks_unfinished(site: Site, limit: int) -> None:
    """As if the process died after every transaction."""
    site.finished_study()
    site.run_after(IMAGES)
    site.clock.advance(ROWS.total_seconds())
    steps = 0
    while site.record.remove_rows(STUDY, lambda facts: judge(facts, site.clock.now(), RULE), limit):
        steps += 1
        assert steps < 100
    assert site.rows("study") == 0
    assert steps > 2


def test_images_again_after_their_removal_are_kept_again_and_judged_by_nobody(site: Site) -> None:
    site.finished_study()
    site.run_after(IMAGES)
    site.retention.free_once()
    with pytest.raises(ObjectMissing, match="retention"):
        site.catalogue.instances(STUDY, [SERIES])
    again = stored("1.9.1", site.clock.now())
    assert site.catalogue.record(again) is Recorded.DUPLICATE
    assert site.rows("removal") == 0, "the bytes that came are the instance's own now"
    assert [one.storage_key for one in site.catalogue.instances(STUDY, [SERIES])] == [again.storage_key]
    assert site.catalogue.open_series() == []
    assert site.run_after(IMAGES - timedelta(seconds=1)) == {}
    assert site.run_after(timedelta(seconds=1)) == {"images": 1}


def test_a_resent_image_wins_against_the_bytes_that_were_still_to_be_freed(site: Site) -> None:
    """A store that names objects by their content writes the new bytes over the old ones."""
    site.finished_study()
    site.run_after(IMAGES)
    site.catalogue.record(stored("1.9.1", site.clock.now()))
    assert site.retention.free_once() == {"instances": 1}
    assert site.bytes.deleted[Kept.INSTANCES] == [f"{STUDY}/{SERIES}/1.9.1-other pixels"]


def test_what_a_row_names_is_never_freed(site: Site, engine: Engine) -> None:
    site.finished_study()
    with engine.begin() as connection:
        values = {"removed_at": site.clock.now()}
        connection.execute(
            tables.removal.insert(),
            [
                {"kept": Kept.INSTANCES, "storage_key": f"{STUDY}/{SERIES}/1.9.1-pixels", **values},
                {"kept": Kept.RESULTS, "storage_key": "key-9.1.1", **values},
            ],
        )
    site.retention.free_once()
    assert site.bytes.deleted == {kept: [] for kept in Kept}
    assert site.rows("removal") == 0


def test_what_cannot_be_freed_is_tried_again_and_holds_nothing_up(site: Site) -> None:
    site.finished_study()
    site.run_after(IMAGES)
    bad = f"{STUDY}/{SERIES}/1.9.1-pixels"
    site.bytes.broken.add(bad)
    assert site.retention.free_once() == {"instances": 1}
    assert site.rows("removal") == 1
    site.bytes.broken.clear()
    assert site.retention.free_once() == {"instances": 1}
    assert site.bytes.deleted[Kept.INSTANCES][-1] == bad


def test_bytes_that_moved_are_named_by_their_new_key(site: Site, engine: Engine) -> None:
    site.node.receive(("hippocampus", admission.Verdict.ADMITTED))
    relocation = SqlRelocation(engine, site.clock)
    old = f"{STUDY}/{SERIES}/1.9.1-pixels"
    assert relocation.move(old, "00000002/000001")
    assert not relocation.move(old, "00000003/000001")
    assert [one.storage_key for one in site.catalogue.instances(STUDY, [SERIES])] == ["00000002/000001"]
    assert site.retention.free_once() == {"instances": 1}
    assert site.bytes.deleted[Kept.INSTANCES] == [old]


def test_removed_bytes_do_not_move(site: Site, engine: Engine) -> None:
    site.finished_study()
    site.run_after(IMAGES)
    assert not SqlRelocation(engine, site.clock).move(f"{STUDY}/{SERIES}/1.9.1-pixels", "00000002/000001")


def test_a_second_run_of_the_same_object_keeps_its_bytes(site: Site, engine: Engine) -> None:
    """Two jobs wrote the same deterministic object: it is freed once, with the last row."""
    site.finished_study()
    queue = SqlJobQueue(engine, site.clock)
    first = queue.get(1)
    queue.enqueue(new_job("again", model=first.model, revision=1))
    again = queue.claim("w1", 6.0)
    assert again is not None
    assert queue.complete(again, completion("9.1"))
    site.node.deliver("2.25.2")
    site.run_after(IMAGES)
    site.retention.free_once()
    site.clock.advance(ROWS.total_seconds())
    while site.record.remove_rows(STUDY, lambda facts: judge(facts, site.clock.now(), RULE), 1):
        assert site.rows("removal") <= 2
    assert site.rows("result") == 0
    assert site.retention.free_once() == {"results": 2}


def test_heat_maps_go_with_the_last_row_of_their_report(site: Site, engine: Engine) -> None:
    """They have no row of their own: the provenance of two jobs names them, and both wrote the same report."""
    site.finished_study()
    queue = SqlJobQueue(engine, site.clock)
    queue.enqueue(new_job("again", model=queue.get(1).model, revision=1))
    again = queue.claim("w1", 6.0)
    assert again is not None
    assert queue.complete(again, completion("9.1"))
    site.node.deliver("2.25.2")
    beside = heat_maps_key("key-9.1.1")
    with engine.begin() as connection:
        connection.execute(update(tables.job).values(provenance={"heat_maps": {"storage_key": beside}}))
    site.run_after(IMAGES)
    site.retention.free_once()
    site.clock.advance(ROWS.total_seconds())
    while site.record.remove_rows(STUDY, lambda facts: judge(facts, site.clock.now(), RULE), 1):
        named = select(tables.result.c.id).where(tables.result.c.storage_key == "key-9.1.1")
        freed = select(tables.removal.c.id).where(tables.removal.c.storage_key == beside)
        with engine.connect() as connection:
            assert (connection.execute(named).first() is None) == (connection.execute(freed).first() is not None)
    site.retention.free_once()
    assert sorted(site.bytes.deleted[Kept.RESULTS]) == ["key-9.1.1", beside, "key-9.1.2"]
