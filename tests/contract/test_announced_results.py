"""Results that are announced before they are put, over both databases: none is left for nobody, none that a row names
is ever freed.
"""

from __future__ import annotations

import threading
from datetime import datetime, timedelta

import pytest
from sqlalchemy import Engine, func, select

from node.database.removals import SqlRemovals
from node.database.tables import removal
from node.domain.job import Job
from node.domain.result import heat_maps_key
from node.errors import InferenceTimeout, StoreUnavailable
from node.jobs.queue import SqlJobQueue
from node.ports.retention import Kept
from tests.contract.rows import completion, new_job
from tests.fakes.outbox import StandingClock

LEASE_S = 30.0
KEYS = ("key-9.1.1", "key-9.1.2")


class Site:
    def __init__(self, engine: Engine, clock: StandingClock) -> None:
        self.engine = engine
        self.clock = clock
        self.queue = SqlJobQueue(engine, clock)
        self.removals = SqlRemovals(engine)
        self.deleted: list[str] = []

    def claimed(self, key: str = "k") -> Job:
        self.queue.enqueue(new_job(key))
        return self.claim()

    def claim(self) -> Job:
        job = self.queue.claim("w", LEASE_S)
        assert job is not None
        return job

    def delete(self, key: str, than: datetime) -> None:
        # What was put after the announcement is what must go.
        assert than > self.clock.now() + timedelta(days=365)
        self.deleted.append(key)

    def free(self) -> list[str]:
        """What a turn of the timer deletes."""
        self.deleted.clear()
        self.removals.free(Kept.RESULTS, self.delete, 10)
        return sorted(self.deleted)

    def announced(self) -> int:
        with self.engine.connect() as connection:
            return connection.execute(select(func.count()).select_from(removal)).scalar_one()


@pytest.fixture
def site(engine: Engine, clock: StandingClock) -> Site:
    return Site(engine, clock)


def test_nothing_is_freed_while_the_job_is_in_progress_however_long(site: Site) -> None:
    job = site.claimed()
    assert site.queue.announce(job, KEYS)
    site.clock.advance(10 * 24 * 3600)
    assert (site.free(), site.announced()) == ([], 2)


def test_what_the_completed_job_names_stays(site: Site) -> None:
    job = site.claimed()
    beside = heat_maps_key(KEYS[0])
    assert site.queue.announce(job, [*KEYS, beside])
    assert site.queue.complete(job, completion("9.1"))
    assert (site.free(), site.announced()) == ([], 0)


def test_what_the_completed_job_does_not_name_goes(site: Site) -> None:
    job = site.claimed()
    assert site.queue.announce(job, [*KEYS, "of an attempt with another outcome"])
    assert site.queue.complete(job, completion("9.1"))
    assert (site.free(), site.announced()) == (["of an attempt with another outcome"], 0)


@pytest.mark.parametrize("ending", ["fail", "fail for good", "cancel", "hand back", "lost"])
def test_what_an_attempt_left_goes_however_it_ended(site: Site, ending: str) -> None:
    job = site.claimed()
    assert site.queue.announce(job, KEYS)
    if ending == "lost":
        site.clock.advance(LEASE_S + 1)
        assert site.queue.rescue() == [job.id]
    else:
        saves = {
            "fail": lambda: site.queue.fail(job, InferenceTimeout(), 5.0),
            "fail for good": lambda: site.queue.fail(job, InferenceTimeout(), None),
            "cancel": lambda: site.queue.cancel_claimed(job),
            "hand back": lambda: site.queue.hand_back(job),
        }
        assert saves[ending]()
    assert (site.free(), site.announced()) == (sorted(KEYS), 0)


def test_the_next_attempt_announces_the_same_keys(site: Site) -> None:
    first = site.claimed()
    assert site.queue.announce(first, KEYS)
    assert site.queue.hand_back(first)
    second = site.claim()
    assert site.queue.announce(second, KEYS)
    assert (site.free(), site.announced()) == ([], 2)
    assert site.queue.complete(second, completion("9.1"))
    assert site.free() == []


def test_who_lost_the_job_announces_nothing(site: Site) -> None:
    job = site.claimed()
    assert site.queue.hand_back(job)
    site.claim()
    assert not site.queue.announce(job, KEYS)
    assert site.announced() == 0


def test_what_cannot_be_deleted_is_tried_again(site: Site) -> None:
    job = site.claimed()
    assert site.queue.announce(job, KEYS)
    assert site.queue.cancel_claimed(job)

    def refuse(key: str, than: datetime) -> None:
        raise StoreUnavailable("the object cannot be removed")

    assert site.removals.free(Kept.RESULTS, refuse, 10).failed == 2
    assert site.free() == sorted(KEYS)


def test_who_announces_waits_for_the_one_who_frees(site: Site) -> None:
    """Else the old attempt's object would be deleted after the new one's was put in its place."""
    first = site.claimed()
    assert site.queue.announce(first, KEYS[:1])
    assert site.queue.hand_back(first)
    second = site.claim()
    assert site.queue.hand_back(second)
    happened: list[str] = []

    def next_attempt() -> None:
        third = site.claim()
        assert site.queue.announce(third, KEYS[:1])
        happened.append("announced")

    other = threading.Thread(target=next_attempt)

    def slowly(key: str, than: datetime) -> None:
        other.start()
        other.join(0.5)
        happened.append("deleted")

    site.removals.free(Kept.RESULTS, slowly, 10)
    other.join(30)
    assert happened == ["deleted", "announced"]
    assert (site.free(), site.announced()) == ([], 1)
