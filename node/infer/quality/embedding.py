"""What a network makes of an input on its way to the answer, and how far that lies from the training data.

A picture is described by the mean and the spread of every channel of a few layers, early ones among them: what a
network that was trained on chest X-rays makes of a photograph differs at its first edges already, while the vector
before the last layer has learned to forget everything but the classes. The layers are watched while the network
answers: there is no second run.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from functools import partial
from typing import Any

import numpy as np
import numpy.typing as npt
import torch

from node.domain.quality import OutOfDistributionLimit
from node.errors import InvalidModelPackage, OutOfDistribution
from node.infer.quality.checks import Judged, judged, measured
from node.infer.quality.cloud import Cloud

Float = npt.NDArray[np.float32]

NAME = "out of distribution"


class Watched:
    """What the watched layers have given so far, in the order of their calls."""

    def __init__(self, layers: Sequence[str]) -> None:
        self._layers = tuple(layers)
        self._seen: dict[str, list[torch.Tensor]] = defaultdict(list)

    def note(self, layer: str, output: Any) -> None:
        """Mean and spread of each channel of (N, channels, ...)."""
        if not isinstance(output, torch.Tensor) or output.ndim < 3:
            raise InvalidModelPackage(f"the layer {layer} has no channels to describe an image by")
        values = output.detach().float().flatten(2)
        self._seen[layer].append(torch.cat((values.mean(dim=2), values.std(dim=2, correction=0)), dim=1).cpu())

    def vectors(self) -> Float:
        """(N, size): a row for every image, slice, patch or view that went through the network.

        Raises:
            InvalidModelPackage: the layers did not see the same, or something that is not finite.
        """
        columns = [torch.cat(self._seen[layer]) for layer in self._layers if self._seen[layer]]
        if len(columns) < len(self._layers) or len({len(column) for column in columns}) != 1:
            raise InvalidModelPackage("the watched layers are not called equally often")
        rows: Float = torch.cat(columns, dim=1).numpy()
        if not np.isfinite(rows).all():
            raise InvalidModelPackage("a watched layer gives values that are not finite")
        return rows


@contextmanager
def watched(network: torch.nn.Module, layers: Sequence[str]) -> Iterator[Watched]:
    """Watch ``layers``, submodules of ``network`` by their names, until the block ends.

    Raises:
        InvalidModelPackage: there is no such layer.
    """
    seen, hooks = Watched(layers), []
    try:
        for layer in layers:
            try:
                module = network.get_submodule(layer)
            except AttributeError as error:
                raise InvalidModelPackage(f"{type(network).__name__} has no layer {layer}") from error
            hooks.append(module.register_forward_hook(partial(_note, seen, layer)))
        yield seen
    finally:
        for hook in hooks:
            hook.remove()


def _note(seen: Watched, layer: str, module: torch.nn.Module, inputs: Any, output: Any) -> None:
    seen.note(layer, output)


def score_of(cloud: Cloud, vectors: Float) -> float:
    """Of an input: the median of its rows.

    Raises:
        InvalidModelPackage: the rows have another size than those of the training data.
    """
    if vectors.shape[1] != len(cloud.mean):
        raise InvalidModelPackage(f"{vectors.shape[1]} numbers describe an input, the training data {len(cloud.mean)}")
    return float(np.median(cloud.scores(vectors)))


def familiarity(cloud: Cloud, seen: Watched, limit: OutOfDistributionLimit) -> Judged:
    """The check of what the network has made of an input.

    Raises:
        InvalidModelPackage: as ``Watched.vectors`` and ``score_of``.
    """
    score = score_of(cloud, seen.vectors())
    return judged(
        NAME,
        OutOfDistribution,
        score <= limit.threshold,
        f"score {score:.3g}",
        f"at most {limit.threshold:g}",
        f"the images differ too much from those that the model was trained on (score {score:.3g}, at most "
        f"{limit.threshold:g} is judged)",
        score,
        limit.threshold,
    )


def undeclared() -> Judged:
    """The check of a package that declares no file for it."""
    return measured(NAME, OutOfDistribution, "not looked at", "not declared")
