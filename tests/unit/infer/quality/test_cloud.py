"""Mahalanobis distances against the textbook's, the file, and what watching a network gives."""

from __future__ import annotations

import hashlib
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import safetensors.numpy
import torch
from torch import nn

from node.domain.quality import OutOfDistributionLimit
from node.errors import InvalidModelPackage, OutOfDistribution, WeightsDigestMismatch
from node.infer.quality.cloud import Cloud, fitted, from_bytes, load_cloud, to_bytes
from node.infer.quality.embedding import familiarity, score_of, watched
from node.infer.registry import check_package
from tests.peers import REPOSITORY

RANDOM = np.random.default_rng(0)
SPREAD = np.array([5.0, 3.0, 1.0, 1.0, 1.0])
VECTORS = (RANDOM.normal(size=(4000, 5)) * SPREAD + 10).astype(np.float32)
CLOUD = fitted(("a",), VECTORS, 2)
MODEL = check_package(REPOSITORY / "tests" / "fakes" / "models" / "bright_picture")


def test_scores_are_mahalanobis_distances_of_the_covariance() -> None:
    tested = VECTORS[:50] + RANDOM.normal(size=(50, 5)).astype(np.float32)
    offset = (tested.astype(np.float64) - CLOUD.mean) / CLOUD.scale
    along = CLOUD.components.astype(np.float64)
    covariance = along.T @ np.diag(CLOUD.variances - CLOUD.rest) @ along + CLOUD.rest * np.eye(5)
    wanted = np.sqrt(np.einsum("ni,ij,nj->n", offset, np.linalg.inv(covariance), offset) / 5)
    np.testing.assert_allclose(CLOUD.scores(tested), wanted, rtol=1e-4)


def test_the_training_data_lies_about_one_and_what_is_far_lies_far() -> None:
    assert np.sqrt(np.mean(CLOUD.scores(VECTORS) ** 2)) == pytest.approx(1, abs=0.05)
    assert CLOUD.scores(VECTORS[:1] + 40)[0] > 5


def test_a_constant_number_does_not_make_every_change_enormous() -> None:
    vectors = VECTORS.copy()
    vectors[:, 4] = 1
    cloud = fitted(("a",), vectors, 2)
    moved = vectors[:1] + np.array([0, 0, 0, 0, 0.01], np.float32)
    assert cloud.scores(moved)[0] < 3


@pytest.mark.parametrize("vectors", [VECTORS[:1], np.ones((10, 5), np.float32)])
def test_no_spread_is_no_cloud(vectors: np.ndarray) -> None:
    with pytest.raises(ValueError, match=r"spread|directions"):
        fitted(("a",), vectors, 2)


def test_the_file_gives_the_same_cloud() -> None:
    read, told = from_bytes(to_bytes(CLOUD, "bright_picture", "0" * 64, 4000))
    np.testing.assert_array_equal(read.scores(VECTORS[:9]), replace(CLOUD, rest=read.rest).scores(VECTORS[:9]))
    assert (read.layers, told["weights_sha256"]) == (("a",), "0" * 64)
    assert to_bytes(CLOUD, "x", "0" * 64, 1) == to_bytes(fitted(("a",), VECTORS, 2), "x", "0" * 64, 1)


@pytest.mark.parametrize(
    "content",
    [
        b"",
        b"nonsense",
        safetensors.numpy.save({"mean": np.ones(3, np.float32)}),
        to_bytes(replace(CLOUD, mean=CLOUD.mean[:3]), "x", "0", 1),
        to_bytes(replace(CLOUD, variances=-CLOUD.variances), "x", "0", 1),
    ],
)
def test_a_damaged_file(content: bytes) -> None:
    with pytest.raises(ValueError, match="mean and spread"):
        from_bytes(content)


def declared(
    folder: Path, cloud: Cloud = CLOUD, weights: str = MODEL.algorithm.weights_sha256
) -> OutOfDistributionLimit:
    content = to_bytes(cloud, "bright_picture", weights, 1)
    (folder / "ood.safetensors").write_bytes(content)
    return OutOfDistributionLimit("ood.safetensors", hashlib.sha256(content).hexdigest(), 2.0)


def test_a_file_of_other_weights_is_refused(tmp_path: Path) -> None:
    model = replace(MODEL, folder=str(tmp_path))
    assert load_cloud(model, declared(tmp_path)).layers == ("a",)
    with pytest.raises(WeightsDigestMismatch, match="other weights; calibrate again"):
        load_cloud(model, declared(tmp_path, weights="0" * 64))
    with pytest.raises(WeightsDigestMismatch, match="changed since"):
        load_cloud(model, replace(declared(tmp_path), sha256="0" * 64))


class Net(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.first = nn.Conv2d(1, 2, 3)
        self.twice = nn.Conv2d(2, 2, 1)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        y = self.first(x)
        return self.twice(self.twice(y)) if x.shape[2] > 8 else self.twice(y)


def test_a_row_for_every_picture_by_mean_and_spread_of_each_channel() -> None:
    network, pictures = Net().eval(), torch.rand(3, 1, 8, 8)
    with torch.inference_mode(), watched(network, ("first", "twice")) as seen:
        network(pictures[:2])
        network(pictures[2:])
    first = network.first(pictures).detach().flatten(2)
    rows = seen.vectors()
    assert rows.shape == (3, 8)
    np.testing.assert_allclose(rows[:, :2], first.mean(2), rtol=1e-5)
    np.testing.assert_allclose(rows[:, 2:4], first.std(2, correction=0), rtol=1e-5)
    assert not network.first._forward_hooks, "nobody watches any longer"


def test_layers_that_are_not_there_or_not_alike() -> None:
    network = Net().eval()
    with pytest.raises(InvalidModelPackage, match="no layer third"), watched(network, ("third",)):
        pass
    with torch.inference_mode(), watched(network, ("first", "twice")) as seen:
        network(torch.rand(1, 1, 9, 9))
    with pytest.raises(InvalidModelPackage, match="not called equally often"):
        seen.vectors()
    with pytest.raises(InvalidModelPackage, match="describe an input"):
        score_of(CLOUD, np.ones((1, 3), np.float32))


def test_of_several_rows_the_median_counts_and_the_threshold_holds() -> None:
    rows = np.concatenate([CLOUD.mean[None], CLOUD.mean[None], CLOUD.mean[None] + 100]).astype(np.float32)

    class Given:
        def vectors(self) -> np.ndarray:
            return rows

    limit = OutOfDistributionLimit("ood.safetensors", "", 0.0)
    assert familiarity(CLOUD, Given(), limit).error is None  # type: ignore[arg-type]  exactly at the limit
    rows[1] += 100
    found = familiarity(CLOUD, Given(), limit)  # type: ignore[arg-type]
    assert isinstance(found.error, OutOfDistribution)
    assert found.check.limit == 0
