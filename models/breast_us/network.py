"""The networks, and what they look at: a picture in five places, each also mirrored."""

from __future__ import annotations

import torch
from torch import Tensor, nn
from torch.nn import functional

from models.kit.ensemble import Ensemble, Vote
from models.kit.networks.residual import ResidualClassifier
from models.kit.views import View

MEMBERS = 4
VIEWS: tuple[View, ...] = ("identity", "flip_columns")
# Pixels of 128 along both axes, either way; chosen on the validation part (MODEL_CARD.md, "Places"). Training shifts
# by up to 0.1 of the side and, as here, goes on with the border's pixels.
SHIFT = 12
PLACES = ((0, 0), (-SHIFT, -SHIFT), (-SHIFT, SHIFT), (SHIFT, -SHIFT), (SHIFT, SHIFT))


class SeveralPlaces(Ensemble):
    """Every member looks at each view in each of ``PLACES``: what the strides of a network leave out in one place, it
    sees in another."""

    def vote(self, x: Tensor) -> Vote:
        """The probabilities of every place, member and view."""
        seen = super().vote(torch.cat([moved(x, *place) for place in PLACES])).each
        votes, _, classes = seen.shape
        return Vote(seen.reshape(votes * len(PLACES), len(x), classes))


def member() -> ResidualClassifier:
    """One network: (N, 1, 128, 128) to logits (N, 3) of normal, benign, malignant."""
    return ResidualClassifier(channels=1, classes=3, width=24, blocks=(1, 1, 1, 1), dropout=0.4)


def network() -> SeveralPlaces:
    """All of them, with all that they look at: (N, 1, 128, 128) to log-probabilities (N, 3)."""
    return SeveralPlaces([member() for _ in range(MEMBERS)], VIEWS)


def in_place(trained: nn.Module) -> nn.Module:
    """The same members, shown the picture where it is: what maps explain, for a fifth of the time.

    Raises:
        TypeError: ``trained`` is no ensemble.
    """
    if not isinstance(trained, Ensemble):
        raise TypeError(f"{type(trained).__name__} is no ensemble")
    return Ensemble(list(trained.members), trained.views).eval()


def moved(x: Tensor, down: int, right: int) -> Tensor:
    """Pictures (N, C, H, W) shifted by so many pixels; the border's pixels follow."""
    if not down and not right:
        return x
    rows, columns = x.shape[2:]
    padded = functional.pad(x, (SHIFT, SHIFT, SHIFT, SHIFT), mode="replicate")
    return padded[:, :, SHIFT - down : SHIFT - down + rows, SHIFT - right : SHIFT - right + columns]
