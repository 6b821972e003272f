"""Any stream of bytes: the fast path stores, answers and ends an association exactly as pynetdicom's own reception."""

from __future__ import annotations

import logging
import os
from collections.abc import Iterator, Sequence
from pathlib import Path

import pytest
import structlog
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st

from node.receive.library import LibrarySettings
from tests.fuzz.streams import streams
from tests.fuzz.wire import one_fragment_each, run

# As long as the number of cases asks for.
pytestmark = pytest.mark.timeout(0)

# An example costs many milliseconds: hypothesis makes it, and pynetdicom reads it.
CASES = int(os.environ.get("AINODE_FUZZ_CASES", "20000")) // 100
CORPUS = sorted((Path(__file__).parent / "corpus").glob("*.bin"))


@pytest.fixture(scope="module", autouse=True)
def incoming(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    folder = tmp_path_factory.mktemp("incoming")
    before = LibrarySettings.replace(str(folder))
    structlog.configure(wrapper_class=structlog.make_filtering_bound_logger(logging.CRITICAL))
    yield folder
    before.restore()
    structlog.reset_defaults()


def assert_alike(stream: bytes, pieces: Sequence[int], incoming: Path) -> None:
    fast, stock = run(stream, pieces, fast=True), run(one_fragment_each(stream), pieces, fast=False)
    assert fast.stored == stock.stored
    assert fast.died or (fast.answers, fast.state) == (stock.answers, stock.state)
    assert all(draft.ended for draft in fast.drafts)
    assert list(incoming.iterdir()) == []


@settings(max_examples=CASES, suppress_health_check=list(HealthCheck))
@given(stream=streams(), pieces=st.lists(st.integers(1, 5000), max_size=4))
def test_both_paths_do_the_same(incoming: Path, stream: bytes, pieces: list[int]) -> None:
    assert_alike(stream, pieces, incoming)


@settings(max_examples=CASES, suppress_health_check=list(HealthCheck))
@given(stream=st.binary(max_size=200))
@example(stream=b"")
def test_noise(incoming: Path, stream: bytes) -> None:
    assert_alike(stream, [], incoming)


@pytest.mark.parametrize("path", CORPUS, ids=[path.stem for path in CORPUS])
@pytest.mark.parametrize("pieces", [[], [1], [7, 4096], [65536]], ids=str)
def test_the_corpus(incoming: Path, path: Path, pieces: list[int]) -> None:
    assert_alike(path.read_bytes(), pieces, incoming)
