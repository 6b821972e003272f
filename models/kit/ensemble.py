"""Several networks, each looking at several views of its input, as one network with one weights file.

Lakshminarayanan et al., "Simple and Scalable Predictive Uncertainty Estimation using Deep Ensembles", NeurIPS 2017.
Runs on the node (torch only). ``network()`` of a package returns ``Ensemble([member() for _ in range(5)], views)``; its
weights are the members' under ``members.0.``, ``members.1.``, ...
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import cast

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor, nn
from torch.nn import functional

from models.kit.explain.heat_map import heat_map
from models.kit.trained import embedding, with_weights
from models.kit.views import View, turned, turned_back

SMALLEST_PROBABILITY = 1e-7


@dataclass(frozen=True, slots=True)
class Vote:
    """What every member said of every view, in the input's own orientation.

    ``each``: probabilities, (votes, N, classes) or (votes, N, classes, rows, columns).
    """

    each: Tensor

    @property
    def probability(self) -> Tensor:
        """The mean over the votes, (N, classes, ...)."""
        return self.each.mean(dim=0)

    @property
    def mutual_information(self) -> Tensor:
        """(N, ...) in nats: entropy of the mean minus mean of the entropies, 0 (all agree) to log(classes).

        Houlsby et al., "Bayesian Active Learning for Classification and Preference Learning", 2011: the part of the
        uncertainty that comes from the members' disagreement, not from each one's own doubt.
        """
        own_doubt: Tensor = torch.special.entr(self.each).sum(dim=2).mean(dim=0)
        whole: Tensor = torch.special.entr(self.probability).sum(dim=1)
        return (whole - own_doubt).clamp_min(0.0)

    @property
    def variance(self) -> Tensor:
        """(N, ...): variance of the probabilities over the votes, mean over the classes."""
        return self.each.var(dim=0, correction=0).mean(dim=1)


class Ensemble(nn.Module):
    """(N, channels, rows, columns) to the logarithm of the mean probability, usable wherever logits are.

    Args:
        members: networks that give logits (N, classes) or (N, classes, rows, columns).
        views: that every member looks at; only such as leave the task's truth as it is.
        reports_disagreement: the mutual information of the votes comes as one more channel, after the classes; the
            package's ``postprocess`` takes it off by ``split_report``.
    """

    def __init__(
        self, members: Sequence[nn.Module], views: Sequence[View] = ("identity",), reports_disagreement: bool = False
    ) -> None:
        super().__init__()
        if not members or not views:
            raise ValueError("an ensemble has at least one member and one view")
        self.members = nn.ModuleList(members)
        self.views = tuple(views)
        self.reports_disagreement = reports_disagreement

    def vote(self, x: Tensor) -> Vote:
        """The probabilities of every member and view."""
        return Vote(torch.stack([self._said(member, x, view) for member in self.members for view in self.views]))

    def forward(self, x: Tensor) -> Tensor:
        """Log-probabilities (N, classes, ...), and the disagreement after them where that is asked for."""
        vote = self.vote(x)
        logarithm = vote.probability.clamp_min(SMALLEST_PROBABILITY).log()
        if not self.reports_disagreement:
            return logarithm
        return torch.cat((logarithm, vote.mutual_information.unsqueeze(1)), dim=1)

    def features(self, x: Tensor) -> Tensor:
        """The members' embeddings side by side, each of length 1, so that cosines are means of the members'."""
        return torch.cat([functional.normalize(embedding(member, x), dim=1) for member in self.members], dim=1)

    def heat_map(self, inputs: Tensor, class_index: int, layer: str | None = None) -> npt.NDArray[np.float32]:
        """Mean of the members' maps (``explain.heat_map.heat_map``) of the picture as it is, highest value 1.

        Raises:
            ValueError: as ``heat_map``.
        """
        mean: npt.NDArray[np.float32] = np.mean(
            [heat_map(member, inputs, class_index, layer) for member in self.members], axis=0
        )
        highest = float(mean.max())
        return mean / np.float32(highest) if highest > 0 else mean

    def _said(self, member: nn.Module, x: Tensor, view: View) -> Tensor:
        probability = torch.softmax(cast(Tensor, member(turned(x, view))).float(), dim=1)
        return probability if probability.ndim == 2 else turned_back(probability, view)


def split_report(outputs: Tensor) -> tuple[Tensor, Tensor]:
    """Log-probabilities (N, classes, ...) and mutual information (N, ...) of an ``Ensemble`` that reports it."""
    return outputs[:, :-1], outputs[:, -1]


def ensemble_of(
    member: Callable[[], nn.Module],
    weights: Sequence[Path],
    views: Sequence[View] = ("identity",),
    reports_disagreement: bool = False,
) -> Ensemble:
    """An ensemble of one architecture trained several times (folds, seeds), in evaluation mode.

    ``safetensors.torch.save_file(ensemble.state_dict(), ...)`` or ``training.weights.save_weights`` makes one file of
    it, which the same ``Ensemble`` without weights loads.

    Raises:
        InvalidModelPackage: a file is absent, no safetensors, or of another network.
    """
    return Ensemble([with_weights(member(), file) for file in weights], views, reports_disagreement).eval()
