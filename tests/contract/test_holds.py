"""Deliveries that are held over a changed patient, from the sender to the operator's word, over both databases."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import pytest
from sqlalchemy import Engine

from node.database.catalogue import SqlCatalogue
from node.database.holds import SqlHolds
from node.database.outbox import SqlOutbox
from node.deliver.patient_check import PatientCheck
from node.deliver.sender import Sender
from node.domain.delivery import DeliveryState
from node.domain.retrieval import RemoteStudy, StudySearch
from node.errors import InvalidTransition, NotFound, PatientMismatch
from node.jobs.queue import SqlJobQueue
from tests.contract.rows import STUDY, completion, new_job, stored
from tests.fakes.destination import FolderStore, MemoryDestination
from tests.fakes.outbox import StandingClock


def test_a_changed_patient(engine: Engine, clock: StandingClock, tmp_path: Path) -> None:
    queue, outbox, holds = SqlJobQueue(engine, clock), SqlOutbox(engine, clock), SqlHolds(engine, clock)
    SqlCatalogue(engine, clock).record(stored("1.9.1", clock.now(), attributes={"PatientID": "P1"}))
    queue.enqueue(new_job("k"))
    job = queue.claim("w", 6.0)
    assert job is not None
    assert queue.complete(job, completion())
    said = ["P2"]

    class Pacs:
        def studies(self, wanted: StudySearch) -> Sequence[RemoteStudy]:
            return [RemoteStudy(STUDY, said[0])]

    store, destination = FolderStore(tmp_path), MemoryDestination("pacs")
    for key in ("key-9.1.1", "key-9.1.2"):
        store.put(b"object", key)
    check = PatientCheck(Pacs(), holds.received, lambda uid, differs: None)
    sender = Sender(destination, outbox, store, clock, "s1", check=check)

    def states() -> list[tuple[DeliveryState, str | None]]:
        return [(one.state, one.error_code) for one in (outbox.get(1), outbox.get(2))]

    held = (DeliveryState.SCHEDULED, PatientMismatch.code)
    sender.run_once()
    assert (states(), destination.received) == ([held, held], [])
    said[0] = "P1"
    clock.advance(10 * 365 * 86400.0)
    assert not sender.run_once(), "nobody has said so"
    assert states() == [held, held]
    holds.release(1)
    sender.run_once()
    assert [one[0] for one in states()] == [DeliveryState.STORED, DeliveryState.SCHEDULED]
    said[0] = "P2"
    holds.release(2)
    sender.run_once()
    assert [one[0] for one in states()] == [DeliveryState.STORED] * 2
    for number, error in ((1, InvalidTransition), (9, NotFound)):
        with pytest.raises(error):
            holds.release(number)
