"""An hour without the PACS: results are late, none is lost, and the urgent ones go first when it is back.

The sender, its circuit and the tables as the node has them, and a clock that is moved.
"""

from __future__ import annotations

from pathlib import Path

from sqlalchemy import Engine

from node.app.delivering import patience
from node.app.destinations import delivery_policy
from node.config import parse
from node.database.outbox import SqlOutbox
from node.deliver.circuit import Circuit
from node.deliver.sender import Sender, SenderSettings
from node.domain.job import Priority
from node.errors import DestinationUnreachable
from node.jobs.queue import SqlJobQueue
from node.show.worklist import Worklist
from tests.contract.rows import completion, new_job
from tests.fakes.destination import FolderStore, MemoryDestination
from tests.fakes.outbox import StandingClock

HOUR_S = 3600.0
PACS = {"name": "pacs", "ae_title": "PACS", "host": "127.0.0.1", "port": 104}
# In the order in which they come, two minutes apart.
COMING = (
    ("low", Priority.LOW), ("high", Priority.HIGH), ("medium", Priority.MEDIUM), ("higher", Priority.HIGH),
    ("later", Priority.MEDIUM), ("highest", Priority.HIGH),
)  # fmt: skip


def test_an_hour_without_the_pacs(engine: Engine, clock: StandingClock, tmp_path: Path) -> None:
    (settings,) = parse({"destinations": [PACS]}, tmp_path, {}).destinations
    queue = SqlJobQueue(engine, clock, delivery_attempts={"pacs": settings.max_attempts})
    outbox, store = SqlOutbox(engine, clock), FolderStore(tmp_path)
    pacs = MemoryDestination(unreachable=DestinationUnreachable("no connection"))
    circuit = Circuit(clock, patience(settings))
    sender = Sender(
        pacs, outbox, store, clock, "s", SenderSettings(delivery_policy(settings), lease_s=600.0), circuit=circuit,
        chance=lambda: 1.0,
    )  # fmt: skip
    begin = clock.now()
    waiting = list(COMING)
    while (clock.now() - begin).total_seconds() < HOUR_S:
        if waiting and (clock.now() - begin).total_seconds() >= 120.0 * (len(COMING) - len(waiting)):
            finish(queue, store, *waiting.pop(0))
        sender.run_once()
        clock.advance(5.0)
    rows = Worklist(engine, clock).deliveries()
    assert {one["state"] for one in rows} == {"SCHEDULED"}, "none is given up"
    assert max(one["attempt"] for one in rows) < settings.max_attempts / 2
    assert circuit.state.open
    pacs.unreachable = None
    clock.advance(settings.probe_every_s)
    for _ in range(3):
        sender.run_once()
    urgent_first = ["high", "higher", "highest", "medium", "later", "low"]
    assert pacs.received == [f"{name}.{part}" for name in urgent_first for part in (2, 1)], "segmentations first"
    assert {one["state"] for one in Worklist(engine, clock).deliveries()} == {"STORED"}


def finish(queue: SqlJobQueue, store: FolderStore, name: str, priority: Priority) -> None:
    queue.enqueue(new_job(name, series_instance_uids=(f"1.2.{name}",), priority=priority))
    job = queue.claim("w", 60.0)
    assert job is not None
    said = completion(name)
    for one in said.objects:
        store.put(b"bytes", one.storage_key)
    assert queue.complete(job, said)
