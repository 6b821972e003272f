"""A 2D U-Net on half the rows and columns with a small head on all of them, which looks twice where it suspects."""

from __future__ import annotations

from typing import get_args

import torch
from torch import Tensor, nn
from torch.nn import functional

from models.kit.networks.unet import UNet2d
from models.kit.views import View, turned, turned_back

CLASSES = 2
FOLD = 2
WIDTH = 16
LEVELS = 5
DETAIL = 8
CHUNK = 16
# A picture in which no pixel is more probable than this to be of a nodule is not looked at again.
SUSPICION = 0.05
# Outlines are drawn where the mean of the views is at least this, chosen on the validation patients (MODEL_CARD.md).
OUTLINE = 0.35
VIEWS: tuple[View, ...] = get_args(View)
SMALLEST_PROBABILITY = 1e-6


class NoduleUNet(nn.Module):
    """(N, 1, H, W) to logits (N, 2, H, W), H and W even.

    Each 2 x 2 pixels become channels of one (Shi et al., CVPR 2016), which makes the network four times as fast; the
    head sees the picture itself again, as many nodules are but a few pixels wide.
    """

    def __init__(self) -> None:
        super().__init__()
        self.unet = UNet2d(FOLD**2, DETAIL * FOLD**2, WIDTH, LEVELS)
        self.detail = nn.Conv2d(DETAIL + 1, DETAIL, 3, 1, 1)
        self.activation = nn.LeakyReLU(0.01, inplace=True)
        self.head = nn.Conv2d(DETAIL, CLASSES, 3, 1, 1)

    def features(self, x: Tensor) -> Tensor:
        """The embedding of pictures (N, 1, H, W): the mean of the coarsest level."""
        return self.unet.features(functional.pixel_unshuffle(x, FOLD))

    def forward(self, x: Tensor) -> Tensor:
        """Logits of pictures."""
        coarse = functional.pixel_shuffle(self.unet(functional.pixel_unshuffle(x, FOLD)), FOLD)
        logits: Tensor = self.head(self.activation(self.detail(torch.cat((coarse, x), dim=1))))
        return logits


class SecondLook(NoduleUNet):
    """The same weights; a picture with anything suspicious is looked at in all ``VIEWS``, and their mean counts.

    Pictures of even, equal sides (N, 1, S, S) to logits (N, 2, S, S); patches (1, 1, n, S, S) to (1, 2, n, S, S). Both
    logits are equal, and softmax gives 0.5, where the mean is ``OUTLINE``. Most patches of a chest show nothing, so
    that six views cost little more than one.
    """

    def forward(self, x: Tensor) -> Tensor:
        """Logits of pictures, or of a stack of patches."""
        if x.ndim == 5:
            parts = [self(part.contiguous()) for part in torch.split(x[0].movedim(1, 0), CHUNK)]
            return torch.cat(parts).movedim(0, 1)[None]
        probability = torch.softmax(super().forward(x).float(), dim=1)
        (again,) = torch.nonzero(probability[:, 1].amax(dim=(1, 2)) >= SUSPICION, as_tuple=True)
        if len(again):
            probability = probability.index_put((again,), self._mean_of_views(x[again]))
        logits = probability.clamp_min(SMALLEST_PROBABILITY).log()
        return logits - torch.tensor([1 - OUTLINE, OUTLINE], device=x.device).log().view(1, CLASSES, 1, 1)

    def _mean_of_views(self, x: Tensor) -> Tensor:
        seen = [
            turned_back(torch.softmax(super(SecondLook, self).forward(turned(x, view)).float(), 1), view)
            for view in VIEWS
        ]
        return torch.stack(seen).mean(dim=0)


def network() -> SecondLook:
    """The network whose weights the package ships."""
    return SecondLook()
