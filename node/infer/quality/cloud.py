"""How far a vector lies from those of the training data: a Mahalanobis distance. NumPy only, pure but for reading.

The covariance is that of probabilistic principal components (Tipping and Bishop, J. R. Stat. Soc. B 61, 1999): the
spread along the first components as it is, the mean of the rest in every other direction. So a few hundred cases
suffice for a few hundred dimensions. On several layers of a network: Lee et al., "A Simple Unified Framework for
Detecting Out-of-Distribution Samples and Adversarial Attacks", NeurIPS 2018.
"""

from __future__ import annotations

import json
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt
import safetensors.numpy
from safetensors import SafetensorError

from node.domain.model import ModelDescription
from node.domain.quality import OutOfDistributionLimit
from node.errors import InvalidModelPackage, WeightsDigestMismatch
from node.infer.digest import bytes_of

Float = npt.NDArray[np.float32]
Scores = npt.NDArray[np.float64]

# Of the median scale of all numbers.
SMALLEST_SCALE = 0.05

# One key of the file's metadata: several would stand in another order each time that the file is written.
TOLD = "ood"
WEIGHTS, MODEL, CASES, LAYERS = "weights_sha256", "model", "cases", "layers"
TENSORS = ("mean", "scale", "components", "variances", "rest")


@dataclass(frozen=True, slots=True)
class Cloud:
    """The training data as vectors.

    Attributes:
        layers: of the network that give the vector.
        mean, scale: (size,); a vector counts as (vector - mean) / scale.
        components: (count, size), orthonormal rows.
        variances: (count,) along them.
        rest: the variance in every other direction.
    """

    layers: tuple[str, ...]
    mean: Float
    scale: Float
    components: Float
    variances: Float
    rest: float

    def scores(self, vectors: Float) -> Scores:
        """Of (N, size): the distance in standard deviations, divided by the root of the size; (N,)."""
        offset = (vectors.astype(np.float64) - self.mean) / self.scale
        along = offset @ self.components.T.astype(np.float64)
        beside = np.maximum((offset**2).sum(axis=1) - (along**2).sum(axis=1), 0.0)
        squared = (along**2 / self.variances).sum(axis=1) + beside / self.rest
        distances: Scores = np.sqrt(squared / len(self.mean))
        return distances


def fitted(layers: tuple[str, ...], vectors: Float, components: int) -> Cloud:
    """The cloud of (N, size); at most ``components`` of its directions are told apart.

    Raises:
        ValueError: fewer than two vectors, or all are the same.
    """
    if len(vectors) < 2:
        raise ValueError(f"{len(vectors)} vectors have no spread")
    mean, scale = vectors.mean(axis=0, dtype=np.float64), vectors.std(axis=0, dtype=np.float64)
    if not scale.max() > 0:
        raise ValueError("vectors without spread")
    # A channel that hardly ever moves would make any movement an enormous one.
    scale = np.maximum(scale, SMALLEST_SCALE * np.median(scale[scale > 0]))
    offset = (vectors.astype(np.float64) - mean) / scale
    _, singular, directions = np.linalg.svd(offset, full_matrices=False)
    variances = singular**2 / (len(vectors) - 1)
    # Directions in which few cases vary are not known well: half of what there are cases for.
    count = min(components, len(vectors) // 2, len(mean) - 1)
    rest = float(variances[count:].sum() / (len(mean) - count))
    if variances[:count].min(initial=1.0) <= 0 or rest <= 0:
        raise ValueError("vectors that vary in too few directions")
    parts = (mean, scale, directions[:count], variances[:count])
    stored_mean, stored_scale, stored_directions, stored_variances = (part.astype(np.float32) for part in parts)
    return Cloud(layers, stored_mean, stored_scale, stored_directions, stored_variances, rest)


def to_bytes(cloud: Cloud, model: str, weights_sha256: str, cases: int) -> bytes:
    """A safetensors file that names the weights that it belongs to."""
    tensors = {
        "mean": cloud.mean,
        "scale": cloud.scale,
        "components": np.ascontiguousarray(cloud.components),
        "variances": cloud.variances,
        "rest": np.array([cloud.rest], dtype=np.float32),
    }
    told = {MODEL: model, WEIGHTS: weights_sha256, CASES: cases, LAYERS: list(cloud.layers)}
    return safetensors.numpy.save(tensors, {TOLD: json.dumps(told)})


def from_bytes(content: bytes) -> tuple[Cloud, dict[str, Any]]:
    """A cloud and what its file says of itself.

    Raises:
        ValueError: it is no such file.
    """
    try:
        tensors = safetensors.numpy.load(content)
        header = json.loads(content[8 : 8 + int.from_bytes(content[:8], "little")])
        told = json.loads(header["__metadata__"][TOLD])
        layers = tuple(map(str, told[LAYERS]))
        mean, scale, components, variances, rest = (tensors[name].astype(np.float32) for name in TENSORS)
    except (SafetensorError, KeyError, ValueError, TypeError) as error:
        raise ValueError(f"no mean and spread of training data: {error}") from error
    shapes = components.shape == (len(variances), len(mean)) and rest.shape == (1,) and scale.shape == mean.shape
    if not shapes or not (variances > 0).all() or not (scale > 0).all() or not rest[0] > 0:
        raise ValueError("mean and spread of training data that do not belong together")
    return Cloud(layers, mean, scale, components, variances, float(rest[0])), told


def load_cloud(model: ModelDescription, limit: OutOfDistributionLimit) -> Cloud:
    """The cloud that the package declares.

    Raises:
        InvalidModelPackage: the file cannot be read, or is no cloud.
        WeightsDigestMismatch: it is not the declared one, or was made with other weights.
    """
    content = bytes_of(model, limit.file, limit.sha256)
    try:
        cloud, told = from_bytes(content)
    except ValueError as error:
        raise InvalidModelPackage(f"{model.id}: {limit.file}: {error}", package=model.id) from error
    if told.get(WEIGHTS) != model.algorithm.weights_sha256:
        raise WeightsDigestMismatch(
            f"{model.id}: {limit.file} was made with other weights; calibrate again",
            package=model.id,
            found=told.get(WEIGHTS),
            wanted=model.algorithm.weights_sha256,
        )
    return cloud
