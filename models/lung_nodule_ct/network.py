"""Two 2D U-Nets on half the rows and columns with small heads on all of them, which look again where one suspects."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import cast

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
# Pictures are looked at so many times as large: many nodules are but a few pixels wide (MODEL_CARD.md, "Training").
ENLARGED = 1.2
# A picture in which no pixel is more probable than this to be of a nodule is not looked at again.
SUSPICION = 0.1
# Outlines are drawn where the mean of the views is at least this, chosen on the validation patients (MODEL_CARD.md).
OUTLINE = 0.45
# What each member looks at, the first look before all others.
LOOKS: tuple[tuple[int, View], ...] = (
    (0, "identity"),
    (0, "flip_columns"),
    (0, "rotate_180"),
    (1, "flip_rows"),
    (1, "rotate_90"),
    (1, "rotate_270"),
)
MEMBERS = 2
# The member that was trained on enlarged pictures.
TRAINED_ENLARGED = 1
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


class SingleLook(NoduleUNet):
    """A picture is enlarged and looked at once: what the second member is trained as, and what maps explain."""

    def forward(self, x: Tensor) -> Tensor:
        """Logits (N, 2, S, S) of pictures (N, 1, S, S)."""
        return reduced(super().forward(enlarged(x)), x)


class SecondLook(nn.Module):
    """Pictures are enlarged; one in which the first of ``LOOKS`` finds anything suspicious is looked at in all of them.

    Pictures of equal sides (N, 1, S, S) to logits (N, 2, S, S); patches (1, 1, n, S, S) to (1, 2, n, S, S). What counts
    is the mean of the looks: both logits are equal, and softmax gives 0.5, where it is ``OUTLINE``.
    """

    def __init__(self, members: Sequence[NoduleUNet]) -> None:
        super().__init__()
        self.members = nn.ModuleList(members)

    def forward(self, x: Tensor) -> Tensor:
        """Logits of pictures, or of a stack of patches."""
        if x.ndim == 5:
            parts = [self(part.contiguous()) for part in torch.split(x[0].movedim(1, 0), CHUNK)]
            return torch.cat(parts).movedim(0, 1)[None]
        large = enlarged(x)
        seen = self._probability(large, *LOOKS[0])
        (again,) = torch.nonzero(seen.amax(dim=(1, 2, 3)) >= SUSPICION, as_tuple=True)
        if len(again):
            others = [self._probability(large[again], *look) for look in LOOKS[1:]]
            seen = seen.index_put((again,), torch.stack((seen[again], *others)).mean(dim=0))
        odds = torch.logit(reduced(seen, x), SMALLEST_PROBABILITY) - math.log(OUTLINE / (1 - OUTLINE))
        return torch.cat((-odds / 2, odds / 2), dim=1)

    def features(self, x: Tensor) -> Tensor:
        """The members' embeddings side by side, each of length 1."""
        each = [functional.normalize(cast(NoduleUNet, member).features(x), dim=1) for member in self.members]
        return torch.cat(each, dim=1)

    def _probability(self, x: Tensor, member: int, view: View) -> Tensor:
        """(N, 1, S, S) that a pixel is of a nodule, by one look."""
        logits = cast(Tensor, self.members[member](turned(x, view)))
        return turned_back(torch.softmax(logits.float(), dim=1)[:, 1:], view)


def network() -> SecondLook:
    """The network whose weights the package ships; in the memory format that is the fastest on a CPU."""
    members = [NoduleUNet() for _ in range(MEMBERS)]
    return SecondLook(members).to(memory_format=torch.channels_last)  # type: ignore[call-overload,no-any-return]


def enlarged(x: Tensor) -> Tensor:
    """Pictures of equal sides, ``ENLARGED`` times as large, with even sides."""
    size = FOLD * round(ENLARGED * x.shape[-1] / FOLD)
    return functional.interpolate(x, (size, size), mode="bicubic", align_corners=False)


def reduced(seen: Tensor, x: Tensor) -> Tensor:
    """Values of enlarged pictures on the grid of the pictures ``x``."""
    return functional.interpolate(seen, x.shape[2:], mode="bilinear", align_corners=False, antialias=True)


def single_look(trained: nn.Module) -> SingleLook:
    """A ``SingleLook`` with the weights of the member of ``trained`` that learnt so."""
    single = SingleLook()
    single.load_state_dict(trained.get_submodule(f"members.{TRAINED_ENLARGED}").state_dict())
    return single.to(next(trained.parameters()).device)
