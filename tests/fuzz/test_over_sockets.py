"""Damaged streams over real connections, with good traffic between: nothing hangs, leaks, or is written elsewhere."""

from __future__ import annotations

import contextlib
import logging
import os
import random
import socket
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest
import structlog

from node.config import ReceiveSection
from node.receive.status import Status
from tests.fuzz.test_command_sets import mutated
from tests.fuzz.watching import anonymous_kib
from tests.integration.raw_scu import ASSOCIATE_AC, IMPLICIT_VR, MR_STORAGE, RawScu, associate_request
from tests.integration.receiving import Site, data_set_of, serving
from tests.objects import data_set, part10
from tests.waiting import wait_for

# A case costs some milliseconds here: by default a hundredth of what command sets get.
# As long as the number of cases asks for.
pytestmark = pytest.mark.timeout(0)

CASES = int(os.environ.get("AINODE_FUZZ_CASES", "6000")) // 100
CORPUS = [path.read_bytes() for path in sorted((Path(__file__).parent / "corpus").glob("*.bin"))]
VERIFICATION = "1.2.840.10008.1.1"
MAX_GROWTH_KIB = 64 * 1024


@pytest.fixture(autouse=True)
def quiet() -> Iterator[None]:
    structlog.configure(wrapper_class=structlog.make_filtering_bound_logger(logging.CRITICAL))
    yield
    structlog.reset_defaults()


def damaged(chance: random.Random) -> tuple[bytes, bytes]:
    """An association request and what follows it; one of the two is not as it should be."""
    request = associate_request("FUZZ", "AINODE", MR_STORAGE, ["1.2.840.10008.1.2.1"], [(VERIFICATION, IMPLICIT_VR)])
    if chance.random() < 0.1:
        return mutated(chance, request), b""
    return request, mutated(chance, chance.choice(CORPUS))


def talk(site: Site, request: bytes, stream: bytes) -> None:
    """Say all of it, end the sending side, and listen until the other side closes."""
    with RawScu(site.address) as scu, contextlib.suppress(ConnectionError):
        scu.connection.sendall(request)
        if stream and scu.answer() is None:
            return
        scu.connection.sendall(stream)
        scu.connection.shutdown(socket.SHUT_WR)
        while scu.connection.recv(65536):
            pass


def good(site: Site, number: int) -> None:
    made = data_set(number=number, study="good")
    with RawScu(site.address) as scu:
        assert scu.associate()[0] == ASSOCIATE_AC
        scu.store(MR_STORAGE, made.SOPInstanceUID, data_set_of(part10(made)))
        assert scu.status() == Status.SUCCESS
        scu.release()


@pytest.mark.parametrize("kind", ["files", "journal"])
def test_damaged_streams(tmp_path: Path, kind: str) -> None:
    chance = random.Random(kind)
    config = ReceiveSection(host="127.0.0.1", port=0, timeout_s=2.0)
    threads = threading.active_count()
    with serving(tmp_path / "site", config, kind=kind) as site:
        before = 0
        for number in range(CASES):
            talk(site, *damaged(chance))
            if number % 10 == 0:
                good(site, number)
            if number == CASES // 5:
                before = anonymous_kib()
        wait_for(lambda: not site.is_under_way(), "no draft is left")
        site.assert_tidy()
        assert anonymous_kib() - before < MAX_GROWTH_KIB
        assert site.data_sets()
    wait_for(lambda: threading.active_count() <= threads, "every thread has ended")
    assert [path.name for path in tmp_path.iterdir()] == ["site"]
