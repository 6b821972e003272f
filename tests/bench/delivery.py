"""``python -m tests.bench.delivery``: a thousand results to several destinations, one of which is dead.

A PACS, a DICOMweb server, a folder, an HL7 listener and a server that answers FHIR transactions, each a real one on
this machine, get the same results twice: by themselves, and beside a destination that accepts connections and never
says a word. A ratio is how much longer each took beside the dead one; 1 is: as if alone. The rows stand in SQLite as
the node uses it. Rounds alone and beside the dead one take turns, alone first and last; a ratio is of their medians,
and the spread of the rounds alone is what the machine does.
"""

from __future__ import annotations

import argparse
import json
import socket
import sys
import tempfile
import threading
import time
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import replace
from pathlib import Path
from statistics import median

from sqlalchemy import Engine, func, select

from node.app.clock import SystemClock
from node.database.engine import make_engine
from node.database.migrations import upgrade
from node.database.outbox import SqlOutbox
from node.database.tables import delivery
from node.deliver.association import Peer
from node.deliver.circuit import Circuit, CircuitSettings
from node.deliver.fhir_server import FhirDestination
from node.deliver.folder import FolderDestination
from node.deliver.hl7_listener import Hl7Destination, Listener
from node.deliver.http import WebAccess, WebPeer
from node.deliver.oru import Parties
from node.deliver.sender import Sender, SenderSettings, serve
from node.deliver.storage_scu import DimseDestination
from node.deliver.stow import StowDestination
from node.domain.delivery import DeliveryState
from node.domain.job import Completion
from node.domain.retry import RetryPolicy
from node.jobs.queue import SqlJobQueue
from node.log import configure
from node.ports import Destination
from tests.bench.facts import machine_facts, write_json
from tests.contract.rows import completion, new_job, written
from tests.fakes.destination import FolderStore
from tests.fakes.peer_pacs import FaultyPacs
from tests.fakes.reports import reports_of
from tests.fakes.web_peer import Reply, Request, StowServer, WebServer, as_json
from tests.integration.hl7_peer import hl7_peer
from tests.objects import SR, data_set, part10
from tests.waiting import wait_for

RESULTS = 1000
TIMEOUT_S = 2.0
DEAD = "dead"
LIVING = ("dimse", "stow", "folder", "hl7", "fhir")


@contextmanager
def silent_port() -> Iterator[int]:
    """Connections are accepted by the kernel, and nobody ever answers."""
    with socket.create_server(("127.0.0.1", 0), backlog=128) as listening:
        yield listening.getsockname()[1]


def carried_out(request: Request) -> Reply:
    """The answer to a transaction of which everything succeeded: what is measured is the sender."""
    entries = [{"response": {"status": "201 Created"}} for _ in json.loads(request.body)["entry"]]
    return as_json({"resourceType": "Bundle", "type": "transaction-response", "entry": entries})


def fill(engine: Engine, store: FolderStore, results: int, destinations: Sequence[str]) -> None:
    queue = SqlJobQueue(engine, SystemClock())
    said = completion().result
    for number in range(results):
        made = data_set(SR, number)
        uid = str(made.SOPInstanceUID)
        store.put(part10(made), uid)
        queue.enqueue(
            new_job(f"job {number}", series_instance_uids=(f"1.2.{number}",), destinations=tuple(destinations))
        )
        job = queue.claim("bench", 60.0)
        assert job is not None
        assert queue.complete(job, Completion(said, (replace(written(SR, uid), storage_key=uid),), {}))


@contextmanager
def peers(folder: Path) -> Iterator[dict[str, Destination]]:
    share = folder / "share"
    share.mkdir()
    with ExitStack() as stack:
        pacs = stack.enter_context(FaultyPacs(folder / "pacs"))
        web = stack.enter_context(StowServer())
        listener = stack.enter_context(hl7_peer(folder / "hl7"))
        fhir = stack.enter_context(WebServer(carried_out))
        port = stack.enter_context(silent_port())
        yield {
            "dimse": DimseDestination("dimse", Peer("PEER", "127.0.0.1", pacs.port, "AINODE", 30.0)),
            "stow": StowDestination("stow", WebPeer(WebAccess(web.url, 30.0))),
            "folder": FolderDestination("folder", share),
            "hl7": Hl7Destination(
                "hl7", Listener("127.0.0.1", listener.port, 30.0), Parties("AINODE"), reports_of, SystemClock()
            ),
            "fhir": FhirDestination("fhir", WebPeer(WebAccess(fhir.url, 30.0)), reports_of),
            DEAD: DimseDestination(DEAD, Peer("PEER", "127.0.0.1", port, "AINODE", TIMEOUT_S)),
        }


def measured(folder: Path, results: int, names: Sequence[str]) -> dict[str, float]:
    """Seconds from the start until everything was stored, for each of the living."""
    folder.mkdir()
    engine = make_engine(f"sqlite:///{folder / 'node.db'}")
    upgrade(engine)
    objects = folder / "objects"
    objects.mkdir()
    store = FolderStore(objects)
    fill(engine, store, results, names)
    clock, stop, finished = SystemClock(), threading.Event(), dict[str, float]()
    with peers(folder) as destinations:
        senders = [
            Sender(
                destinations[name], SqlOutbox(engine, clock), store, clock, name,
                SenderSettings(policy=RetryPolicy(100, 2.0, 300.0)),
                circuit=Circuit(clock, CircuitSettings(probe_every_s=10.0)),
            )
            for name in names
        ]  # fmt: skip
        thread = threading.Thread(target=serve, args=(senders, stop))
        begin = time.monotonic()
        thread.start()

        def all_stored() -> bool:
            counts = stored(engine)
            for name in LIVING:
                if counts.get(name, 0) == results:
                    finished.setdefault(name, time.monotonic() - begin)
            return len(finished) == len(LIVING)

        try:
            wait_for(all_stored, "the living destinations get everything", timeout_s=1800.0, poll_s=0.02)
        finally:
            stop.set()
            thread.join()
        assert stored(engine).get(DEAD, 0) == 0
    engine.dispose()
    return finished


def stored(engine: Engine) -> dict[str, int]:
    statement = select(delivery.c.destination, func.count()).where(delivery.c.state == DeliveryState.STORED)
    with engine.connect() as connection:
        return dict(connection.execute(statement.group_by(delivery.c.destination)).tuples().all())


def figure(alone: Sequence[float], beside: Sequence[float]) -> dict[str, float]:
    """Seconds, and how many times as long it took beside the dead one."""
    return {
        "alone_s": round(median(alone), 2),
        "beside_the_dead_s": round(median(beside), 2),
        "ratio": round(median(beside) / median(alone), 3),
        "spread_of_alone": round(max(alone) / min(alone), 3),
    }


def main(arguments: Sequence[str]) -> None:
    parser = argparse.ArgumentParser(prog="tests.bench.delivery", description=__doc__)
    parser.add_argument("--results", type=int, default=RESULTS)
    parser.add_argument("--rounds", type=int, default=1, help="of each kind; one more alone")
    parser.add_argument("--json", type=Path)
    options = parser.parse_args(arguments)
    configure("ERROR")
    alone: list[dict[str, float]] = []
    beside: list[dict[str, float]] = []
    with tempfile.TemporaryDirectory(prefix="ainode-bench-") as folder:
        for number in range(2 * options.rounds + 1):
            names, rounds = ((*LIVING, DEAD), beside) if number % 2 else (LIVING, alone)
            rounds.append(measured(Path(folder) / str(number), options.results, names))
    figures = {name: figure([one[name] for one in alone], [one[name] for one in beside]) for name in LIVING}
    # When the last of them was finished.
    whole = figure([max(one.values()) for one in alone], [max(one.values()) for one in beside])
    print(f"{options.results} results to {len(LIVING)} destinations, and to one more that is dead")
    for name, found in (figures | {"all": whole}).items():
        print(f"  {name:8} " + "  ".join(f"{key} {value}" for key, value in found.items()))
    if options.json:
        said = {"machine": machine_facts(), "results": options.results, "rounds": options.rounds}
        write_json(options.json, said | {"destinations": figures, "all": whole})


if __name__ == "__main__":
    main(sys.argv[1:])
