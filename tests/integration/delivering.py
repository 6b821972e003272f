"""Parts of the delivery tests: a sender with an outbox in memory, and a receiver of commitment reports."""

from __future__ import annotations

import subprocess
import threading
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from pydicom.dataset import Dataset
from pynetdicom import AE, evt
from pynetdicom.sop_class import StorageCommitmentPushModel  # type: ignore[attr-defined]

from node.deliver.association import QUICK, Peer
from node.deliver.commitment import parse_report
from node.deliver.sender import Sender, SenderSettings, serve
from node.deliver.storage_scu import DimseDestination
from node.domain.delivery import CommitmentReport
from node.domain.retry import RetryPolicy
from node.ports import Destination
from tests.fakes.destination import FolderStore
from tests.fakes.outbox import MemoryOutbox
from tests.objects import part10
from tests.peers import free_port, require_program
from tests.waiting import wait_for

NODE_AE_TITLE = "AINODE"
SETTINGS = SenderSettings(policy=RetryPolicy(max_attempts=5, base_s=1.0, cap_s=4.0), idle_s=0.02)


class Desk:
    """An outbox in memory and a folder of objects, for any number of destinations."""

    def __init__(self, folder: Path) -> None:
        folder.mkdir(parents=True, exist_ok=True)
        self.store = FolderStore(folder)
        self.outbox = MemoryOutbox()
        self.clock = self.outbox.clock

    def add(self, made: Dataset, *destinations: str, job_id: int = 1) -> list[int]:
        """A delivery of the object to each destination; their ids."""
        uid = str(made.SOPInstanceUID)
        self.store.put(part10(made), uid)
        return [
            self.outbox.add(name, str(made.SOPClassUID), uid, job_id=job_id, max_attempts=5) for name in destinations
        ]

    def destination(
        self, port: int, ae_title: str = "PEER", *, name: str = "pacs", commits: bool = False, timeout_s: float = 5.0
    ) -> DimseDestination:
        peer = Peer(ae_title, "127.0.0.1", port, NODE_AE_TITLE, timeout_s)
        return DimseDestination(
            name, peer, commits=commits, commitment_wait_s=1.0, apply_report=self.outbox.apply_report
        )

    def sender(self, destination: Destination, owner: str = "s1") -> Sender:
        return Sender(destination, self.outbox, self.store, self.clock, owner, SETTINGS)

    @contextmanager
    def serving(self, *senders: Sender) -> Iterator[None]:
        stop = threading.Event()
        thread = threading.Thread(target=serve, args=(senders, stop))
        thread.start()
        try:
            yield
        finally:
            stop.set()
            thread.join(60)
            assert not thread.is_alive(), "a sender does not stop"


@contextmanager
def report_receiver(apply: Callable[[CommitmentReport], object]) -> Iterator[int]:
    """An SCP for N-EVENT-REPORT on new associations, on a free port, which is yielded."""

    def on_report(event: evt.Event) -> tuple[int, None]:
        apply(parse_report(event.event_information))
        return 0x0000, None

    entity = AE(ae_title=NODE_AE_TITLE)
    entity.add_supported_context(StorageCommitmentPushModel, scu_role=False, scp_role=True)
    handlers = [*QUICK, (evt.EVT_N_EVENT_REPORT, on_report)]
    server: Any = entity.start_server(("127.0.0.1", 0), block=False, evt_handlers=handlers)
    try:
        yield server.server_address[1]
    finally:
        server.shutdown()
        entity.shutdown()


@contextmanager
def storescp(folder: Path, *options: str, port: int = 0) -> Iterator[int]:
    """DCMTK's storescp, writing to ``folder``, on this or a free port, which is yielded; ended by its pid."""
    folder.mkdir(parents=True, exist_ok=True)
    port = port or free_port()
    command: Sequence[str] = [require_program("storescp"), "-v", *options, "-od", str(folder), str(port)]
    log = folder.with_suffix(".log")
    with log.open("wb") as output:
        process = subprocess.Popen(command, stdout=output, stderr=output)
    try:
        wait_for(lambda: _listens(port), f"storescp does not listen, see {log}")
        yield port
    finally:
        process.terminate()
        process.wait(20)


def _listens(port: int) -> bool:
    """Looked up in the kernel's table: connecting would be an association that storescp waits for."""
    rows = Path("/proc/net/tcp").read_text(encoding="ascii").splitlines()[1:]
    rows += Path("/proc/net/tcp6").read_text(encoding="ascii").splitlines()[1:]
    return any(row.split()[1].endswith(f":{port:04X}") and row.split()[3] == "0A" for row in rows)
