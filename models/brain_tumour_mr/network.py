"""A 2D U-Net on half the rows and columns, what it looks at, and a head that says whether a slice has a tumour."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor, nn
from torch.nn import functional

from models.kit.networks.unet import UNet2d

CLASSES = 2
FOLD = 2
WIDTH = 16
LEVELS = 5
# Mean and maximum of each channel of the coarsest level.
POOLED = 2 * 8 * WIDTH
CHUNK = 8
LEAST = 1e-6


@dataclass(frozen=True, slots=True)
class View:
    """The middle of a picture, enlarged.

    Group norm divides by the deviation over all that is seen: the network has learnt with crops, and answers better
    where as little of the picture is air as there.

    Attributes:
        part: of the picture's rows and columns.
        zoom: pixels of the view for one of the picture.
    """

    part: float
    zoom: float

    def of(self, x: Tensor) -> Tensor:
        """What is seen of pictures (N, C, H, W); its rows and columns are even."""
        rows, columns = (max(FOLD, FOLD * round(size * self.part * self.zoom / FOLD)) for size in x.shape[2:])
        return _scaled(x, self.part, (rows, columns))

    def back(self, seen: Tensor, size: tuple[int, int]) -> Tensor:
        """Values (N, C, h, w) of the view on the pictures' ``size``; 0 outside of it."""
        return _scaled(seen, 1 / self.part, size)


# Chosen on validation slices (MODEL_CARD.md, "Views" and "Operating point"), as all that follows.
VIEWS = (View(0.8, 1.04), View(0.8, 1.25))
# The log-odds that the head can add to those of a slice's surest pixel, and what the sum must exceed. In a slice of
# which the head is sure the outline decides alone: it needs a pixel of log-odds ``ENOUGH`` - ``MOST``.
MOST = 3.0
ENOUGH = 3.25


class SliceUNet(nn.Module):
    """(N, 1, H, W) to logits (N, 2, H, W); H and W even. What is trained first.

    Each 2 x 2 pixels become channels of one (Shi et al., CVPR 2016), which makes the network four times as fast at
    little cost in detail. Except in training every picture is read as it stands and mirrored, and the mean of the
    probabilities is given, as their logarithm.
    """

    def __init__(self) -> None:
        super().__init__()
        self.unet = UNet2d(FOLD**2, CLASSES * FOLD**2, WIDTH, LEVELS)

    def forward(self, x: Tensor) -> Tensor:
        """Logits of pictures."""
        return self.plain(x)[0] if self.training else self.symmetric(x).log()

    def plain(self, x: Tensor) -> tuple[Tensor, Tensor]:
        """Logits of pictures as they stand, and what the head reads: mean and maximum of the coarsest level, (N,
        ``POOLED``)."""
        logits, coarsest = self.unet.with_coarsest(functional.pixel_unshuffle(x.contiguous(), FOLD))
        pooled = torch.cat((coarsest.mean((2, 3)), coarsest.amax((2, 3))), dim=1)
        return functional.pixel_shuffle(logits, FOLD), pooled

    def features(self, x: Tensor) -> Tensor:
        """The embedding of pictures (N, 1, H, W): the mean of the coarsest level."""
        return self.unet.features(functional.pixel_unshuffle(x, FOLD))

    def symmetric(self, x: Tensor) -> Tensor:
        """Probabilities (N, 2, H, W) of pictures (N, 1, H, W): the mean over a picture and its mirror image."""
        tumour = self.seen(x)[0]
        return torch.cat((1 - tumour, tumour), dim=1).clamp_min(LEAST)

    def seen(self, x: Tensor) -> tuple[Tensor, Tensor]:
        """Of pictures (N, 1, H, W) the pixels' probability of tumour (N, 1, H, W) and what the head reads (N,
        ``POOLED``): the mean over a picture and its mirror image."""
        logits, pooled = self.plain(x)
        mirrored, pooled_mirrored = self.plain(x.flip(3))
        found = torch.softmax(logits.float(), dim=1)[:, 1:]
        found = found + torch.softmax(mirrored.float(), dim=1)[:, 1:].flip(3)
        return found / 2, (pooled + pooled_mirrored) / 2


class TumourNetwork(nn.Module):
    """(N, 1, H, W) to log-probabilities (N, 2, H, W); H and W even. A volume (1, 1, k, H, W) to (1, 2, k, H, W).

    Pixels: the mean of the probabilities over all views and their mirror images. Beside it the head reads the coarsest
    level in the first view and says how surely the slice has a tumour; ``together`` decides by both. In a volume the
    head's surest slice speaks for all.
    """

    def __init__(self) -> None:
        super().__init__()
        self.slices = SliceUNet()
        self.head = nn.Linear(POOLED, 1)

    def forward(self, x: Tensor) -> Tensor:
        """Log-probabilities of pictures, or of the slices of a volume."""
        if x.ndim == 5:
            said = [self.said(part) for part in torch.split(x[0].movedim(1, 0), CHUNK)]
            pixels, slices = torch.cat([one for one, _ in said]), torch.cat([one for _, one in said])
            # A series is of one source: the head's doubt counts where it doubts every slice.
            return _log_probabilities(together(pixels, slices.max().expand_as(slices))).movedim(0, 1)[None]
        return _log_probabilities(together(*self.said(x)))

    def features(self, x: Tensor) -> Tensor:
        """The embedding of pictures (N, 1, H, W): the mean of the coarsest level."""
        return self.slices.features(x)

    def said(self, x: Tensor) -> tuple[Tensor, Tensor]:
        """Of pictures (N, 1, H, W): log-odds of the pixels (N, 1, H, W) by outline, and of the slices (N,) by head."""
        size = (x.shape[2], x.shape[3])
        found, pooled = self.slices.seen(VIEWS[0].of(x))
        back = [VIEWS[0].back(found, size)]
        back += [view.back(self.slices.seen(view.of(x))[0], size) for view in VIEWS[1:]]
        probability = torch.stack(back).mean(dim=0).clamp(LEAST, 1 - LEAST)
        return torch.logit(probability), self.head(pooled)[:, 0]


def together(pixels: Tensor, slices: Tensor) -> Tensor:
    """Log-odds (N, 1, H, W) of pixels by outline and head.

    A slice is believed as its surest pixel and the head together: the sum of their log-odds, of the head's at most
    ``MOST``, less ``ENOUGH``. Where that is above 0 the outline stays as it is, and what is inside of it is believed as
    the slice; else all pixels are lowered until none is inside.
    """
    surest = pixels.amax((1, 2, 3), keepdim=True)
    belief = surest + slices.clamp_max(MOST).view(-1, 1, 1, 1) - ENOUGH
    lowered = pixels + (belief - surest).clamp_max(0.0)
    kept = torch.where(pixels > 0, pixels * belief / surest.clamp_min(LEAST), pixels)
    return torch.where(belief > 0, kept, lowered)


def network() -> TumourNetwork:
    """The network whose weights the package ships."""
    return TumourNetwork()


def _scaled(x: Tensor, part: float, size: tuple[int, int]) -> Tensor:
    """The middle ``part`` of pictures on ``size`` pixels; 0 outside of them where ``part`` is above 1."""
    if part == 1.0 and tuple(x.shape[2:]) == size:
        return x
    middle = torch.tensor([[part, 0.0, 0.0], [0.0, part, 0.0]], device=x.device).expand(len(x), 2, 3)
    grid = functional.affine_grid(middle, [len(x), x.shape[1], *size], align_corners=False)
    return functional.grid_sample(x, grid, "bilinear", "zeros", align_corners=False)


def _log_probabilities(odds: Tensor) -> Tensor:
    """Log-odds (N, 1, H, W) of the second class as log-probabilities (N, 2, H, W)."""
    return functional.logsigmoid(torch.cat((-odds, odds), dim=1))
