"""The servers that are compared, each as a process of its own, with what they cost."""

from __future__ import annotations

import os
import socket
import subprocess
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from tests.e2e.processes import children
from tests.e2e.site import Site
from tests.orthanc import Orthanc
from tests.peers import free_port, require_program
from tests.waiting import wait_for

TICKS = os.sysconf("SC_CLK_TCK")


@dataclass
class Server:
    """``durable``: its Success survives a power cut. ``called`` is None for the C program, which speaks no DICOM.

    ``associations`` is how many it serves at once; ``settled`` tells when what it prepares in the background is done.
    """

    name: str
    port: int
    pid: int
    called: str | None
    durable: bool
    associations: int = 64
    settled: Callable[[], bool] = lambda: True

    def cpu_s(self) -> float:
        """User and system time of the process and of all it started, the ended ones too."""
        return sum(_cpu_s(pid) for pid in (self.pid, *_descendants(self.pid)))


def _descendants(pid: int) -> list[int]:
    found = children(pid)
    return found + [below for one in found for below in _descendants(one)]


def _cpu_s(pid: int) -> float:
    try:
        fields = Path(f"/proc/{pid}/stat").read_text().rsplit(")", 1)[1].split()
    except OSError:
        return 0.0
    return sum(int(one) for one in fields[11:15]) / TICKS


@contextmanager
def storescp(folder: Path, *options: str, nodelay: bool) -> Iterator[Server]:
    """DCMTK's storescp; with ``nodelay`` its own TCP_NODELAY switch is on."""
    folder.mkdir(parents=True)
    port = free_port()
    environment = os.environ | ({"TCP_NODELAY": "1"} if nodelay else {})
    command = [require_program("storescp"), *options, "-od", str(folder), str(port)]
    with _process(command, port, environment) as pid:
        name = " ".join(["storescp", *options, *(["NODELAY"] if nodelay else [])])
        yield Server(name, port, pid, "ANY-SCP", durable=False, associations=64 if "--fork" in options else 1)


@contextmanager
def orthanc(folder: Path) -> Iterator[Server]:
    """Orthanc as it comes: it flushes every file and its index."""
    with Orthanc(folder) as peer:
        assert peer._process is not None
        yield Server("Orthanc", peer.dicom_port, peer._process.pid, peer.ae_title, durable=True)


@contextmanager
def limit(folder: Path) -> Iterator[Server]:
    """The C program: socket to file, both fsyncs, no DICOM."""
    folder.mkdir(parents=True)
    program = folder.parent / "limit"
    source = Path(__file__).with_name("limit.c")
    subprocess.run([require_program("cc"), "-O2", "-o", str(program), str(source), "-lpthread"], check=True)
    port = free_port()
    with _process([str(program), str(port), str(folder)], port, dict(os.environ)) as pid:
        yield Server("C limit", port, pid, None, durable=True)


@contextmanager
def ainode(folder: Path, name: str, **settings: str) -> Iterator[Server]:
    """This node's receive role: receivers and, with the journal, the recorder that writes the rows.

    ``settings`` are configuration keys as environment variables without their prefix.
    """
    site = Site(folder)
    site.extra_environment = {f"AINODE_{key}": value for key, value in settings.items()}
    site.start(["receive"])
    try:
        assert site.process is not None
        wanted = int(settings.get("STORE__JOURNAL_SPARE_SEGMENTS", "0"))
        free = folder / "var" / "journal" / "free"
        yield Server(
            name, site.port, site.process.pid, "AINODE", True, settled=lambda: len(list(free.glob("*.seg"))) >= wanted
        )
    finally:
        site.kill()


@contextmanager
def _process(command: list[str], port: int, environment: dict[str, str]) -> Iterator[int]:
    process = subprocess.Popen(command, env=environment, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    try:
        wait_for(lambda: _listens(port), f"{command[0]} listens")
        yield process.pid
    finally:
        process.terminate()
        try:
            process.wait(20)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()


def _listens(port: int) -> bool:
    with socket.socket() as probe:
        return probe.connect_ex(("127.0.0.1", port)) == 0
