"""A process dies between two steps that random kills rarely part: each pair of durable acts, one crash in the middle.

The node's processes run with ``crash/sitecustomize.py``, which ends them at a point whose token lies ready. Nothing in
the node knows of it.
"""

from __future__ import annotations

import os
import random
import signal
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import pytest

from node import config as configuration
from node.app.records import Records, open_records
from tests.e2e.kills import KilledSite
from tests.e2e.ledger import Ledger, Modality
from tests.e2e.reckoning import reckon, unfinished
from tests.e2e.test_random_kills import configured
from tests.orthanc import Orthanc
from tests.peers import REPOSITORY, free_port
from tests.waiting import wait_for

CRASHING = Path(__file__).parent / "crash"


@dataclass(frozen=True, slots=True)
class Point:
    """``when``: before or after the function, or after it gave ``some``thing. ``fresh``: only receivers that have just
    started come there.
    """

    name: str
    module: str
    function: str
    when: str
    fresh: bool = False


BOTH = [
    Point("series-complete-not-closed", "node.database.catalogue", "SqlCatalogue.close_series", "before"),
    Point("series-closed", "node.database.catalogue", "SqlCatalogue.close_series", "some"),
    Point("job-claimed", "node.jobs.queue", "SqlJobQueue.claim", "some"),
    Point("results-announced-none-put", "node.jobs.queue", "SqlJobQueue.announce", "some"),
    Point("one-result-put", "node.store.files", "FileStore.put", "after"),
    Point("results-put-job-not-completed", "node.jobs.queue", "SqlJobQueue.complete", "before"),
    Point("job-completed", "node.jobs.queue", "SqlJobQueue.complete", "some"),
    Point("deliveries-claimed", "node.database.outbox", "SqlOutbox.claim", "some"),
    Point("pacs-answered-row-not-stored", "node.database.outbox", "SqlOutbox.stored", "before"),
    Point("commitment-kept-not-asked", "node.database.outbox", "SqlOutbox.request_commitment", "after"),
    Point("commitment-asked-not-answered", "node.deliver.commitment", "Listener.wait", "before"),
    Point("report-come-not-applied", "node.database.outbox", "SqlOutbox.apply_report", "before"),
    Point("report-applied-not-answered", "node.database.outbox", "SqlOutbox.apply_report", "after"),
]
FILES = [
    Point("bytes-durable-no-row", "node.store.file_draft", "FileDraft.commit", "after"),
    Point("row-written-no-answer", "node.database.catalogue", "SqlCatalogue.record", "after"),
    Point("object-flushed-not-renamed", "node.store.files", "FileStore._make_durable_folder", "before"),
]
JOURNAL = [
    Point("draft-written-no-entry", "node.store.journal.segment", "Segment.append", "before"),
    Point("entry-not-flushed", "node.store.journal.disk", "Disk.flush", "before"),
    Point("entry-durable-no-answer", "node.store.journal.flush", "GroupFlush.submit", "after"),
    Point("segment-numbered-not-renamed", "node.store.journal.pool", "Pool._adopt", "before", fresh=True),
    Point("segment-renamed-not-written", "node.store.journal.pool", "Pool._adopt", "after", fresh=True),
    Point("about-to-recover", "node.store.journal.store", "recover", "before", fresh=True),
    Point("recovered-not-noted", "node.store.journal.store", "recover", "after", fresh=True),
    Point("batch-read-not-recorded", "node.database.arrivals", "SqlArrivalRecord.record_batch", "before"),
    Point("rows-written-not-committed", "node.database.arrivals", "record_instances", "after"),
    Point("batch-committed", "node.database.arrivals", "SqlArrivalRecord.record_batch", "after"),
    # What a dead receiver leaves is a segment that is hardly used: it is emptied into another and used again.
    Point("copied-not-named", "node.database.removals", "SqlRelocation.move", "before", fresh=True),
    Point("copy-named-old-not-freed", "node.database.removals", "SqlRelocation.move", "some", fresh=True),
    Point("segment-free-not-forgotten", "node.store.journal.pool", "Pool.recycle", "after", fresh=True),
]


@dataclass(slots=True)
class Crashing:
    """A running node whose points can be armed."""

    site: KilledSite
    orthanc: Orthanc
    records: Records
    tokens: Path
    ledger: Ledger
    modality: Modality


@pytest.fixture(scope="module")
def with_journal(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Crashing]:
    yield from crashing("journal", [*BOTH, *JOURNAL], tmp_path_factory.mktemp("crashing-journal"))


@pytest.fixture(scope="module")
def with_files(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Crashing]:
    yield from crashing("files", FILES, tmp_path_factory.mktemp("crashing-files"))


def crashing(store: str, points: Sequence[Point], folder: Path) -> Iterator[Crashing]:
    port = free_port()
    with Orthanc(folder / "orthanc", node=("AINODE", "127.0.0.1", port)) as orthanc:
        site = KilledSite(folder / "site", extra=configured(store, orthanc.dicom_port), port=port)
        tokens = folder / "tokens"
        tokens.mkdir()
        lines = [f"{one.name} {one.module} {one.function} {one.when}" for one in points]
        site.extra_environment |= {
            "PYTHONPATH": f"{CRASHING}:{REPOSITORY}",
            "CRASH_POINTS": "\n".join(lines),
            "CRASH_TOKENS": str(tokens),
        }
        records = open_records(configuration.load(site.config, site.environment))
        ledger = Ledger()
        modality = Modality("MR", site.port, ledger, random.Random(store), 0.1, brisk=True)
        try:
            site.begin()
            site.settle()
            yield Crashing(site, orthanc, records, tokens, ledger, modality)
        finally:
            site.end_for_good()
            records.close()


@pytest.mark.parametrize("point", [*BOTH, *JOURNAL], ids=lambda point: point.name)
def test_a_crash_between_two_steps_with_the_journal(with_journal: Crashing, point: Point) -> None:
    costs_nothing(with_journal, point)


@pytest.mark.parametrize("point", FILES, ids=lambda point: point.name)
def test_a_crash_between_two_steps_with_a_file_each(with_files: Crashing, point: Point) -> None:
    costs_nothing(with_files, point)


def costs_nothing(crashing: Crashing, point: Point) -> None:
    """One study during which a process dies at ``point``."""
    token = crashing.tokens / point.name
    if point.fresh:
        # So that a dead receiver leaves something.
        crashing.modality.send_one()
    token.touch()
    if point.fresh:
        for pid in [pid for pid, part in crashing.site.processes().items() if part == "receiver"]:
            os.kill(pid, signal.SIGKILL)
    crashing.modality.send_one()
    wait_for(lambda: not token.exists(), f"a process reaches {point.name}", timeout_s=120)
    wait_for(lambda: not unfinished(crashing.records, crashing.ledger), "everything is final", timeout_s=120)
    found = reckon(crashing.records, crashing.site, crashing.orthanc, crashing.ledger)
    # What a dead process left in its incoming folder is swept by the next that needs one.
    found.leftovers.clear()
    assert found.problems() == {}
