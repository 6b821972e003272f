"""Damaged streams by the thousand, in one thread: no hang, no error without a name, nothing left, nothing grows.

``AINODE_FUZZ_CASES=1000000`` makes it a million. A stream that breaks something is added to the corpus.
"""

from __future__ import annotations

import logging
import os
import random
from collections.abc import Iterator
from pathlib import Path

import pytest
import structlog

from node.config import ReceiveSection
from node.receive import inflow
from node.receive.intake import Intake
from node.receive.library import LibrarySettings
from node.receive.recording import RecordNow
from node.receive.storage_scp import StorageScp
from node.store.files import FileStore
from node.store.incoming import IncomingFolder
from tests.fakes.catalogue import FakeCatalogue
from tests.fuzz import stand_in
from tests.fuzz.life import live
from tests.fuzz.mutation import Mutator, corpus, split, write_down
from tests.fuzz.test_streams import assert_alike
from tests.fuzz.watching import Growth, Writes
from tests.fuzz.wire import one_fragment_each, run
from tests.integration.raw_scu import MR_STORAGE, P_DATA, pdv, store_request
from tests.integration.raw_scu import pdu as pdu_of
from tests.integration.receiving import AE_TITLE, ROOM, FixedClock, WatchedDrafts, data_set_of
from tests.objects import data_set, part10

# As long as the number of cases asks for.
pytestmark = pytest.mark.timeout(0)

# Of a hundred cases ninety-six are the fast path's alone, every 300th of them compared with pynetdicom; one each is an
# association request and a whole connection, by either path.
CASES = int(os.environ.get("AINODE_FUZZ_CASES", "4000"))
COMPARED_EACH = 300
MAX_GROWTH_KIB = 32 * 1024
RELEASE, ABORT = pdu_of(5, bytes(4)), 7


@pytest.fixture(autouse=True)
def quiet() -> Iterator[None]:
    structlog.configure(wrapper_class=structlog.make_filtering_bound_logger(logging.CRITICAL))
    yield
    structlog.reset_defaults()


@pytest.fixture
def incoming(tmp_path: Path) -> Iterator[Path]:
    folder = tmp_path / "incoming"
    folder.mkdir()
    before = LibrarySettings.replace(str(folder))
    yield folder
    before.restore()


def check_alone(stream: bytes, pieces: list[int]) -> stand_in.Outcome:
    outcome = stand_in.run(stream, pieces)
    assert outcome.wrong == []
    assert all(draft.ended for draft in outcome.drafts)
    return outcome


def check_compared(stream: bytes, pieces: list[int], outcome: stand_in.Outcome, incoming: Path) -> None:
    """Both paths do the same; where the fast path took all messages, pynetdicom stores them too.

    A message that the fast path leaves may be one at which pynetdicom ends the association, and the stand-in does not.
    """
    assert_alike(stream, pieces, incoming)
    if not outcome.left:
        assert outcome.taken == run(one_fragment_each(stream), pieces, fast=False).stored


def test_the_fast_path_alone(incoming: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(inflow, "CAPACITY", 4096)  # what is read ahead has to move again and again
    mutator = Mutator(random.Random(20301121), corpus())
    cases = CASES * 96 // 100
    growth = Growth(cases)
    taken = left = 0
    for number in range(cases):
        growth.see(number)
        stream, pieces = mutator.stream(), mutator.pieces()
        try:
            outcome = check_alone(stream, pieces)
            if number % COMPARED_EACH == 0:
                check_compared(stream, pieces, outcome, incoming)
        except Exception as error:
            raise AssertionError(f"in pieces of {pieces}: {write_down(stream)}") from error
        taken += len(outcome.taken)
        left += outcome.left
    assert growth.end() < MAX_GROWTH_KIB
    print(f"{growth}; {taken} objects taken, {left} messages left to pynetdicom")  # noqa: T201
    assert min(taken, left) > cases // 20, "much is read to an end, by either side"


class Scene:
    """A receiver with its files; nothing runs in it but what a test lets happen."""

    def __init__(self, root: Path, fast: bool) -> None:
        self.incoming = IncomingFolder(root / "incoming")
        self.store = WatchedDrafts(FileStore(root / "store", lambda descriptor: None))
        self.catalogue = FakeCatalogue()
        intake = Intake(self.store, RecordNow(self.catalogue), FixedClock(), lambda: ROOM)  # type: ignore[arg-type]
        config = ReceiveSection(host="127.0.0.1", port=0, fast=fast)
        self.scp = StorageScp(config, AE_TITLE, intake, self.incoming.path, lambda information: True)

    def assert_nothing_under_way(self) -> None:
        assert not self.store.under_way()
        assert [path for path in self.incoming.path().iterdir() if path.name != "lock"] == []
        assert self.scp._associations.all() == []
        assert self.scp._leftovers == {}


@pytest.fixture(params=[True, False], ids=["fast", "stock"])
def scene(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Scene]:
    made = Scene(tmp_path, request.param)
    made.scp.start()
    yield made
    made.scp.stop(drain_s=0.0)
    made.incoming.close()


def said_and_done(scene: Scene, request: bytes, stream: bytes, pieces: list[int]) -> bytes:
    answers = live(scene.scp, request, stream, pieces)
    scene.assert_nothing_under_way()
    return answers


def a_real_object() -> bytes:
    made = data_set()
    command = pdu_of(P_DATA, pdv(store_request(MR_STORAGE, made.SOPInstanceUID), command=True, last=True))
    return command + pdu_of(P_DATA, pdv(data_set_of(part10(made)), command=False, last=True)) + RELEASE


def test_association_requests(scene: Scene, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """From bytes through the negotiation to its answer, by pynetdicom and ours together."""
    writes = Writes(monkeypatch)
    mutator = Mutator(random.Random(20301122), corpus("associations"))
    cases = CASES // 100
    growth = Growth(cases)
    kinds: set[int] = set()
    for number in range(cases):
        growth.see(number)
        request, pieces = mutator.stream(), mutator.pieces()
        try:
            kinds.add((said_and_done(scene, request, RELEASE, pieces) or b"\0")[0])
        except Exception as error:
            raise AssertionError(f"in pieces of {pieces}: {write_down(request, 'associations')}") from error
    assert growth.end() < MAX_GROWTH_KIB
    print(growth)  # noqa: T201
    assert kinds >= {2, 3, ABORT}, "accepted, rejected and aborted"
    assert writes.outside(tmp_path) == set()


def test_whole_connections(scene: Scene, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    writes = Writes(monkeypatch)
    request = corpus("associations")[0]
    mutator = Mutator(random.Random(20301123), [*corpus(), a_real_object()])
    cases = CASES // 100
    growth = Growth(cases)
    said_and_done(scene, request, a_real_object(), [])
    for number in range(cases):
        growth.see(number)
        stream, pieces = mutator.stream(), mutator.pieces()
        try:
            said_and_done(scene, request, stream, pieces)
        except Exception as error:
            raise AssertionError(f"in pieces of {pieces}: {write_down(stream)}") from error
    assert growth.end() < MAX_GROWTH_KIB
    print(f"{growth}; {len(scene.catalogue.stored())} objects stored")  # noqa: T201
    assert scene.catalogue.stored()
    assert writes.outside(tmp_path) == set()


def test_the_corpus_of_requests(scene: Scene) -> None:
    for request in corpus("associations"):
        answers = said_and_done(scene, request, RELEASE, [])
        assert answers[0] in (2, 3, ABORT), request
        if answers[0] == 2:
            assert answers.endswith(pdu_of(6, bytes(4))), "an association that is accepted can be released"


def test_the_same_chance_makes_the_same_streams() -> None:
    first, second = (Mutator(random.Random(1), corpus()) for _ in range(2))
    assert [first.stream() for _ in range(50)] == [second.stream() for _ in range(50)]


def test_streams_are_split_into_their_pdus() -> None:
    parts = [RELEASE, *split(a_real_object()), b"\x04\0\0"]
    assert len(parts) == 5
    assert split(b"".join(parts)) == parts
