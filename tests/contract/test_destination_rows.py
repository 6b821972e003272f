"""What both databases know of destinations: what waits, whether they answer, what they take; and who goes first."""

from __future__ import annotations

from sqlalchemy import Engine

from node.app.delivering import told
from node.app.wishes import FittedWishes, fitted
from node.config import Config, DimseDestination, FolderDestination
from node.database.destination_rows import SqlDestinations
from node.database.outbox import SqlOutbox
from node.database.roles import SqlRoleBoard
from node.deliver.circuit import Circuit, CircuitSettings
from node.domain.delivery import AWAY
from node.domain.job import Completion, Priority
from node.domain.rendition import Rendition, Wishes, wanted_by
from node.errors import DestinationUnreachable, StoreRefused
from node.jobs.queue import SqlJobQueue
from tests.contract.rows import SEG, SR, completion, new_job
from tests.contract.test_renditions import in_form
from tests.fakes.outbox import StandingClock

LABEL_MAP = "1.2.840.10008.5.1.4.1.1.66.7"
PACS = DimseDestination(name="pacs", ae_title="A", host="h", port=1)
SHARE = FolderDestination(name="share", path="/share")


def finished(queue: SqlJobQueue, key: str, priority: Priority) -> int:
    job_id = queue.enqueue(new_job(key, series_instance_uids=(f"1.2.3.{key}",), priority=priority))
    job = queue.claim("w", 6.0)
    assert job is not None
    assert queue.complete(job, completion(f"9.{key}"))
    return job_id


def test_after_an_outage_the_oldest_of_the_most_urgent_go_first(engine: Engine, clock: StandingClock) -> None:
    queue, outbox = SqlJobQueue(engine, clock), SqlOutbox(engine, clock)
    made = []
    for number, priority in enumerate((Priority.MEDIUM, Priority.HIGH, Priority.HIGH, Priority.LOW)):
        made.append(finished(queue, str(number), priority))
        clock.advance(60.0)
        # Each was tried when it came, and waits the longer the older it is.
        claimed = outbox.claim("pacs", "s", 30.0)
        for delivery in claimed:
            assert outbox.fail(delivery, DestinationUnreachable("no connection"), 3000.0 - 700.0 * number)
    assert outbox.claim("pacs", "s", 30.0) == []
    assert outbox.due_again("elsewhere") == 0
    assert outbox.due_again("pacs") == 8
    order = []
    while claimed := outbox.claim("pacs", "s", 30.0):
        order.append(claimed[0].job_id)
    assert order == [made[1], made[2], made[0], made[3]]


def test_what_was_refused_for_itself_keeps_waiting(engine: Engine, clock: StandingClock) -> None:
    queue, outbox = SqlJobQueue(engine, clock), SqlOutbox(engine, clock)
    finished(queue, "1", Priority.HIGH)
    for delivery in outbox.claim("pacs", "s", 30.0):
        outbox.fail(delivery, StoreRefused("A700"), 100.0)
    assert outbox.due_again("pacs") == 0
    assert StoreRefused.code not in AWAY


def test_what_waits_and_what_senders_say(engine: Engine, clock: StandingClock) -> None:
    known, board = SqlDestinations(engine, clock), SqlRoleBoard(engine, clock)
    finished(SqlJobQueue(engine, clock), "1", Priority.HIGH)
    assert known.waiting(["pacs", "other"]) == {"pacs": 2, "other": 0}
    assert known.circuits() == {}
    circuit = Circuit(clock, CircuitSettings(open_after=1))
    circuit.failed(DestinationUnreachable("no connection"))
    board.beat("deliver", "deliver", 1, "h1", told({"pacs": circuit, "other": Circuit(clock)}))
    board.beat("deliver", "deliver", 2, "h2", told({"pacs": Circuit(clock)}))
    found = known.circuits()
    assert (found["pacs"]["open"], found["pacs"]["error_code"]) == (True, "DestinationUnreachable")
    assert found["pacs"]["since"] == clock.now().isoformat()
    assert found["other"]["open"] is False
    clock.advance(60.0)
    assert known.circuits() == {}, "nobody serves any more"


def test_a_destination_without_label_maps_gets_binary(engine: Engine, clock: StandingClock) -> None:
    known = SqlDestinations(engine, clock)
    wishes = FittedWishes(Config(destinations=(PACS, PACS.model_copy(update={"name": "modern"}), SHARE)), known, clock)
    assert wishes["pacs"] == Wishes()
    known.keep_takes("pacs", {"label_maps": True})
    known.keep_takes("pacs", {"label_maps": False})
    known.keep_takes("share", {"label_maps": False})  # by a PACS that had this name
    assert wishes["pacs"] == Wishes(), "for a moment it goes by what it heard"
    clock.advance(6.0)
    assert dict(wishes) == {"pacs": Wishes(no_label_maps=True), "modern": Wishes(), "share": Wishes()}
    assert wanted_by(("pacs", "modern"), wishes, label_maps=True) == {Rendition.BINARY}
    assert wanted_by(("pacs", "modern"), wishes) == frozenset(), "other types are written as declared"
    objects = (
        in_form(SEG, "9.1", Rendition.BINARY), in_form(SR, "9.2", Rendition.BINARY),
        in_form(LABEL_MAP, "9.3", Rendition.AS_DECLARED), in_form(SR, "9.4", Rendition.AS_DECLARED),
    )  # fmt: skip
    queue = SqlJobQueue(engine, clock, wishes=wishes)
    queue.enqueue(new_job("k", destinations=("pacs", "modern")))
    job = queue.claim("w", 6.0)
    assert job is not None
    assert queue.complete(job, Completion(completion().result, objects, {}))
    outbox = SqlOutbox(engine, clock)
    sent = {name: [one.sop_instance_uid for one in outbox.claim(name, "s", 30.0)] for name in ("pacs", "modern")}
    assert sent == {"pacs": ["9.1", "9.2"], "modern": ["9.3", "9.4"]}


def test_who_wants_label_maps_and_takes_none() -> None:
    configured = {"pacs": Wishes(segmentation=Rendition.LABELMAP), "other": Wishes(segmentation=Rendition.BINARY)}
    refused = fitted(configured, {"pacs": {"label_maps": False}, "other": {"label_maps": True}, "gone": {}})
    assert wanted_by(("pacs",), refused) == {Rendition.BINARY}
    assert refused["other"] == configured["other"]
    fractional = [Rendition.BINARY, Rendition.AS_DECLARED]
    assert Wishes(no_label_maps=True).places(fractional) == (1,), "what the model declares is no label map"
    assert Wishes(no_label_maps=True).places(fractional, label_maps=True) == (0,)
