"""Whether what a viewer draws over a picture lies on what is bright in it."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
from scipy import ndimage

Pixels = npt.NDArray[np.uint8]
Mask = npt.NDArray[np.bool_]

# Grey values on the screen, window 500 +- 500: the ellipsoid has 217, the ball 255, the background 80 at most.
BODY, BALL = 160, 245
# A pixel is covered if a channel of it differs by more than this between the pictures with and without the overlay.
COVERED = 10


@dataclass(frozen=True, slots=True)
class Overlap:
    """Pixels of a bright body, of the overlay in that body's colour, and of both."""

    body: int
    overlay: int
    both: int

    @property
    def of_union(self) -> float:
        """Intersection over union; 1 where there is neither."""
        union = self.body + self.overlay - self.both
        return self.both / union if union else 1.0


def overlaps(plain: Pixels, covered: Pixels) -> tuple[Overlap, Overlap]:
    """Of the ellipsoid and of the ball, from two RGB pictures (rows, columns, 3) of the same slice.

    The first segment is drawn in a colour with more red than blue, the second in one with more blue than red.
    """
    ellipsoid, ball = _bodies(plain)
    overlay = np.abs(covered.astype(int) - plain).max(-1) > COVERED
    red = covered[..., 0].astype(int) - covered[..., 2]
    return _overlap(ellipsoid, overlay & (red > 0)), _overlap(ball, overlay & (red < 0))


def _bodies(plain: Pixels) -> tuple[Mask, Mask]:
    """Each connected bright part is the ball if it is as bright as the ball anywhere."""
    bright = plain.max(-1) > BODY
    parts, count = ndimage.label(bright)
    brightest = ndimage.maximum(plain.max(-1), parts, range(1, count + 1)) if count else []
    balls = np.flatnonzero(np.asarray(brightest) >= BALL) + 1
    ball = np.isin(parts, balls)
    return bright & ~ball, ball


def _overlap(body: Mask, overlay: Mask) -> Overlap:
    return Overlap(int(body.sum()), int(overlay.sum()), int((body & overlay).sum()))
