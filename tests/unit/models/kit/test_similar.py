"""Similar cases: an index that is bound to its weights, neighbours that are not the case itself, honest precision."""

from __future__ import annotations

import dataclasses
from math import isnan
from pathlib import Path

import numpy as np
import pytest

from models.kit.cases import Case
from models.kit.similar import Index, build_index, chance_at_k, load_index, precision_at_k, save_index, similar
from models.kit.task import Kinds
from node.errors import InvalidModelPackage, WeightsDigestMismatch
from tests.unit.models.kit import blobs
from tests.unit.models.kit.blobs import TASK, SmallMask, trained, weights_of

BROKEN = Case("notes", Path("blobs/notes"), 0, "0")


@pytest.fixture
def weights(tmp_path: Path) -> Path:
    return weights_of(trained(), tmp_path / "weights.safetensors")


@pytest.fixture
def index(weights: Path) -> Index:
    return build_index(TASK, weights, blobs.cases(range(60)))[0]


def made_up(labels: list[int], groups: list[str], vectors: list[list[float]]) -> Index:
    return Index(
        "made_up",
        ("a", "b"),
        tuple(map(str, range(len(labels)))),
        np.array(labels),
        tuple(groups),
        np.array(vectors, dtype=np.float32),
        "0" * 64,
    )


def test_build(weights: Path) -> None:
    index, problems = build_index(TASK, weights, [*blobs.cases(range(6)), BROKEN])
    assert index.ids == tuple(case.id for case in blobs.cases(range(6)))
    assert index.labels.tolist() == [0, 1, 0, 1, 0, 1]
    assert index.vectors.shape == (6, 16)
    np.testing.assert_allclose(np.linalg.norm(index.vectors, axis=1), 1.0, atol=1e-6)
    assert [(problem.path, problem.reason) for problem in problems] == [("notes", "ValueError: not a picture")]


def test_neighbours_are_of_the_class_and_never_of_the_own_group(weights: Path, index: Index) -> None:
    case = blobs.cases(range(60))[7]
    found = similar(TASK, weights, index, case, k=5)
    assert [neighbour.class_name for neighbour in found] == ["blob"] * 5
    assert case.id not in [neighbour.id for neighbour in found]
    assert all(int(neighbour.id.split("/")[1]) % 7 != 0 for neighbour in found)
    similarities = [neighbour.cosine for neighbour in found]
    assert similarities == sorted(similarities, reverse=True)


def test_an_image_without_a_group_finds_its_twin(weights: Path, index: Index) -> None:
    twin, *_ = similar(TASK, weights, index, Path("blobs/1/7"), k=3)
    assert (twin.id, twin.label) == ("1/7", 1)
    assert twin.cosine == pytest.approx(1.0, abs=1e-6)


def test_engines_agree(weights: Path, index: Index) -> None:
    case = blobs.case(0, 100)
    assert similar(TASK, weights, index, case, 10, "faiss") == similar(TASK, weights, index, case, 10, "numpy")


def test_survives_the_disk(weights: Path, index: Index, tmp_path: Path) -> None:
    save_index(index, tmp_path / "index.npz")
    again = load_index(tmp_path / "index.npz", weights)
    assert dataclasses.replace(again, labels=index.labels, vectors=index.vectors) == index
    assert np.array_equal(again.labels, index.labels)
    assert np.array_equal(again.vectors, index.vectors)
    assert not list(tmp_path.glob("*.partial"))


def test_other_weights_are_refused(weights: Path, index: Index, tmp_path: Path) -> None:
    save_index(index, tmp_path / "index.npz")
    other = weights_of(trained(1), tmp_path / "other.safetensors")
    with pytest.raises(WeightsDigestMismatch, match="other weights"):
        load_index(tmp_path / "index.npz", other)
    with pytest.raises(WeightsDigestMismatch, match="other weights"):
        similar(TASK, other, index, blobs.case(1, 1))
    with pytest.raises(WeightsDigestMismatch, match="different weights"):
        precision_at_k(index, build_index(TASK, other, blobs.cases(range(4)))[0])


def test_damaged_files_are_refused(weights: Path, index: Index, tmp_path: Path) -> None:
    file = tmp_path / "index.npz"
    file.write_bytes(b"PK\x03\x04 no index")
    with pytest.raises(ValueError, match="no index"):
        load_index(file, weights)
    file.write_bytes(b"")
    with pytest.raises(ValueError, match="no index"):
        load_index(file, weights)
    np.savez(file, ids=np.array(["a"]))
    with pytest.raises(ValueError, match="no index"):
        load_index(file, weights)
    with file.open("wb") as stream:
        np.save(stream, index.vectors)
    with pytest.raises(ValueError, match="no index"):
        load_index(file, weights)
    save_index(index, file)
    whole = file.read_bytes()
    for damaged in (whole[:-200], whole[:1000] + bytes(500) + whole[1500:]):
        file.write_bytes(damaged)
        with pytest.raises(ValueError, match="no index"):
            load_index(file, weights)
    with pytest.raises(FileNotFoundError):
        load_index(tmp_path / "absent.npz", weights)


@pytest.mark.parametrize(
    "change",
    [
        {"ids": ("a",)},
        {"labels": np.full(60, 2)},
        {"labels": np.full(60, -1)},
        {"vectors": np.ones((60, 16), dtype=np.float32)},
        {"vectors": np.full((60, 16), np.nan, dtype=np.float32)},
        {"vectors": np.zeros((60, 16))},
        {"vectors": np.zeros(60, dtype=np.float32)},
    ],
)
def test_parts_that_do_not_fit_are_refused(
    change: dict[str, object], weights: Path, index: Index, tmp_path: Path
) -> None:
    save_index(dataclasses.replace(index, **change), tmp_path / "index.npz")  # type: ignore[arg-type]
    with pytest.raises(ValueError, match="damaged"):
        load_index(tmp_path / "index.npz", weights)


def test_a_network_without_an_embedding_is_refused(tmp_path: Path) -> None:
    task = dataclasses.replace(TASK, network=SmallMask)
    with pytest.raises(InvalidModelPackage, match="no features"):
        build_index(task, weights_of(SmallMask(), tmp_path / "w.safetensors"), blobs.cases(range(2)))


def test_a_set_of_which_nothing_can_be_read_is_refused(weights: Path) -> None:
    with pytest.raises(ValueError, match="not one case"):
        build_index(TASK, weights, [BROKEN])


def test_precision_by_hand() -> None:
    east, north = [1.0, 0.0], [0.0, 1.0]
    gallery = made_up([0, 0, 1, 1], ["p", "q", "r", "s"], [east, east, north, east])
    queries = made_up([0, 1], ["t", "u"], [east, north])
    found = precision_at_k(gallery, queries, k=1, samples=50)
    assert (found["a"].value, found["b"].value, found["all"].value) == (1.0, 1.0, 1.0)
    found = precision_at_k(gallery, queries, k=3, samples=50)
    # For a: rows 0, 1 and 3; for b: row 2, then of equals the first two.
    assert found["a"].value == pytest.approx(2 / 3)
    assert found["b"].value == pytest.approx(1 / 3)
    assert found["all"].value == pytest.approx(1 / 2)
    assert found["all"].low <= found["all"].value <= found["all"].high


def test_the_own_group_helps_nobody() -> None:
    # Two slices of each patient are twins; other patients of the class lie elsewhere.
    east, north = [1.0, 0.0], [0.0, 1.0]
    index = made_up([0, 0, 1, 1], ["p", "p", "q", "q"], [east, east, north, north])
    found = precision_at_k(index, index, k=1, samples=50)
    assert found["all"].value == 0.0
    alone = precision_at_k(made_up([0], ["p"], [east]), made_up([0], ["p"], [east]), k=1)
    assert isnan(alone["a"].value)


def test_precision_of_a_trained_network_is_above_chance(weights: Path, index: Index) -> None:
    queries, _ = build_index(TASK, weights, blobs.cases(range(200, 230)))
    found, chance = precision_at_k(index, queries, samples=200), chance_at_k(index, queries)
    assert chance == {"none": 0.5, "blob": 0.5, "all": 0.5}
    assert found["none"].value > 0.9
    assert found["blob"].value > 0.9
    assert found["all"].low > chance["all"]
    blind = np.random.default_rng(0).normal(size=index.vectors.shape).astype(np.float32)
    blind /= np.linalg.norm(blind, axis=1, keepdims=True)
    noise = dataclasses.replace(index, vectors=blind)
    assert abs(precision_at_k(noise, noise, samples=200)["all"].value - 0.5) < 0.15


def test_kinds_stand_for_classes_and_what_has_none_is_told(weights: Path) -> None:
    def parity(case: Case) -> int | None:
        number = int(case.id.split("/")[1])
        return None if number == 5 else number % 2

    task = dataclasses.replace(TASK, kinds=Kinds(("even", "odd"), parity))
    index, problems = build_index(task, weights, blobs.cases(range(8)))
    assert index.classes == ("even", "odd")
    assert index.labels.tolist() == [int(one.split("/")[1]) % 2 for one in index.ids]
    assert [(problem.path.split("/")[1], problem.reason) for problem in problems] == [("5", "it is none of even, odd")]
    assert {neighbour.class_name for neighbour in similar(task, weights, index, blobs.case(1, 9), k=7)} == {
        "even",
        "odd",
    }
