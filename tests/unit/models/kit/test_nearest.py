"""Exact search: NumPy and FAISS give the same answer, bit by bit, ties included."""

from __future__ import annotations

import importlib.util

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from models.kit.nearest import Engine, cosines, nearest, normalised

ENGINES: tuple[Engine, ...] = ("numpy", "faiss")


def require_faiss() -> None:
    if importlib.util.find_spec("faiss") is None:
        pytest.skip("FAISS is not installed")


def vectors(count: int, size: int = 16, seed: int = 0) -> np.ndarray:
    return normalised(np.random.default_rng(seed).normal(size=(count, size)).astype(np.float32))


@given(st.integers(1, 200), st.integers(1, 12), st.integers(0, 2**32 - 1), st.sampled_from([0, 1, 5]))
def test_both_engines_answer_the_same(count: int, k: int, seed: int, twins: int) -> None:
    require_faiss()
    known = vectors(count, seed=seed)
    # Exact twins far apart, and near ties that float32 sums tell apart differently.
    known = np.concatenate([known, known[:twins], normalised(known[:twins] + np.float32(1e-6))])
    query = vectors(1, seed=seed + 1)[0]
    allowed = np.random.default_rng(seed).random(len(known)) < 0.8
    for mask in (None, allowed):
        rows, values = nearest(known, query, k, mask, "numpy")
        others, other_values = nearest(known, query, k, mask, "faiss")
        assert rows.tolist() == others.tolist()
        assert values.tolist() == other_values.tolist()


@pytest.mark.parametrize("engine", ENGINES)
def test_finds_what_a_full_comparison_finds(engine: Engine) -> None:
    if engine == "faiss":
        require_faiss()
    known, query = vectors(500), vectors(1, seed=9)[0]
    rows, values = nearest(known, query, 7, engine=engine)
    exact = known.astype(np.float64) @ query.astype(np.float64)
    assert rows.tolist() == np.argsort(-exact)[:7].tolist()
    np.testing.assert_allclose(values, exact[rows], atol=1e-7)


@pytest.mark.parametrize("engine", ENGINES)
def test_twins_come_in_their_order(engine: Engine) -> None:
    if engine == "faiss":
        require_faiss()
    known = np.repeat(vectors(1), 50, axis=0)
    rows, values = nearest(known, known[0], 3, engine=engine)
    assert rows.tolist() == [0, 1, 2]
    np.testing.assert_allclose(values, 1.0, atol=1e-6)


def test_only_allowed_rows_and_no_more_than_there_are() -> None:
    known = vectors(6)
    allowed = np.array([False, True, False, True, False, False])
    rows, _ = nearest(known, known[0], 5, allowed)
    assert sorted(rows.tolist()) == [1, 3]
    rows, values = nearest(known, known[0], 5, np.zeros(6, dtype=np.bool_))
    assert (len(rows), len(values)) == (0, 0)


def test_a_row_s_cosine_does_not_depend_on_the_other_rows() -> None:
    known, query = vectors(101, 37), vectors(1, 37, seed=5)[0]
    whole = cosines(known, query)
    assert all(cosines(known[row : row + 1], query)[0] == whole[row] for row in range(101))


def test_normalised() -> None:
    found = normalised(np.array([[3.0, 4.0], [0.0, 0.0]], dtype=np.float32))
    np.testing.assert_allclose(found, [[0.6, 0.8], [0.0, 0.0]])
    assert found.dtype == np.float32


def test_refusals(monkeypatch: pytest.MonkeyPatch) -> None:
    known = vectors(4)
    with pytest.raises(ValueError, match="0 nearest"):
        nearest(known, known[0], 0)
    with pytest.raises(ValueError, match="shape"):
        nearest(known, known[0, :3], 1)
    monkeypatch.setattr(importlib.util, "find_spec", lambda name: None)
    assert nearest(known, known[1], 1)[0].tolist() == [1]
    with pytest.raises(ValueError, match="not installed"):
        nearest(known, known[0], 1, engine="faiss")
