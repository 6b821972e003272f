"""What a page shows of a study: the slices of a series in their order, and how grey values become visible. Pure."""

from __future__ import annotations

import enum
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from node.domain.study import SopRef

# Cosines of two directions that count as the same.
SAME_DIRECTION = 0.999
# Positions along the normal closer than this (mm) are the same place: time points, echoes, phases.
SAME_PLACE_MM = 0.01


@dataclass(frozen=True, slots=True)
class Window:
    """Window Center and Window Width (PS3.3 C.11.2.1.2), of values after the modality LUT."""

    center: float
    width: float


class Spread(enum.StrEnum):
    """A window that is taken from the image itself."""

    DEFAULT = "default"  # the header's, or what suits the modality
    AUTO = "auto"  # all but the darkest and brightest half percent of the pixels
    FULL = "full"  # from the smallest to the largest value


@dataclass(frozen=True, slots=True)
class Slice:
    """One image, or one frame of it, as its header describes it.

    Attributes:
        position: centre of the first pixel, LPS mm (0020,0032); orientation: direction cosines of a row and a column
            (0020,0037); spacing: mm between rows, mm between columns (0028,0030). Each None where absent.
    """

    image: SopRef
    rows: int
    columns: int
    position: tuple[float, ...] | None = None
    orientation: tuple[float, ...] | None = None
    spacing: tuple[float, ...] | None = None
    frame_of_reference_uid: str = ""

    @property
    def affine(self) -> npt.NDArray[np.float64] | None:
        """(k, r, c, 1) to LPS mm for this plane alone, a step of k being 1 mm along its normal; None without a place.

        PS3.3 C.7.6.2.1.1.
        """
        if self.position is None or self.orientation is None or self.spacing is None:
            return None
        row, column = np.array(self.orientation[:3]), np.array(self.orientation[3:])
        found = np.eye(4)
        found[:3, 0] = np.cross(row, column)
        found[:3, 1], found[:3, 2] = column * self.spacing[0], row * self.spacing[1]
        found[:3, 3] = self.position
        return found

    @property
    def aspect(self) -> float:
        """Height of a pixel by its width; 1 where nothing sensible is said."""
        if self.spacing is None or min(self.spacing) <= 0:
            return 1.0
        ratio = self.spacing[0] / self.spacing[1]
        return ratio if 0.1 <= ratio <= 10 else 1.0


def in_order(slices: Sequence[Slice]) -> tuple[Slice, ...]:
    """By their place along the common normal; at one place, and where there is no common normal, as they came."""
    directions = [one.orientation for one in slices if one.orientation is not None and one.position is not None]
    if len(directions) < len(slices) or not slices:
        return tuple(slices)
    cosines = np.array(directions, np.float64)
    normals = np.cross(cosines[:, :3], cosines[:, 3:])
    if bool((normals @ normals[0] < SAME_DIRECTION).any()):
        return tuple(slices)
    places = np.array([one.position for one in slices], np.float64) @ normals[0]
    order = np.argsort(np.round(places / SAME_PLACE_MM), kind="stable")
    return tuple(slices[int(index)] for index in order)


def spacing_of(slices: Sequence[Slice]) -> float:
    """Median distance of neighbouring slices in mm, of those in order; 1 where there is none."""
    if len(slices) < 2 or any(one.affine is None for one in slices):
        return 1.0
    first = slices[0].affine
    assert first is not None
    steps = np.diff(np.array([one.position for one in slices], np.float64) @ first[:3, 0])
    apart = steps[np.abs(steps) > SAME_PLACE_MM]
    return float(np.median(np.abs(apart))) if apart.size else 1.0


def counterparts(slices: Sequence[Slice], others: Sequence[Slice]) -> tuple[int, ...]:
    """For each of ``slices`` the index of that of ``others`` (both in order, not empty) which shows the same place.

    In one Frame of Reference the nearest along the normal; else as far through the one series as through the other.
    """
    first, other = slices[0], others[0]
    placed = all(one.affine is not None for one in (*slices, *others))
    if placed and first.frame_of_reference_uid and first.frame_of_reference_uid == other.frame_of_reference_uid:
        assert first.affine is not None
        normal = first.affine[:3, 0]
        here, there = (np.array([one.position for one in each], np.float64) @ normal for each in (slices, others))
        return tuple(int(np.argmin(np.abs(there - place))) for place in here)
    share = np.linspace(0, len(others) - 1, len(slices)) if len(slices) > 1 else np.array([(len(others) - 1) / 2])
    return tuple(int(index) for index in np.rint(share))


# Hounsfield units; the names are what a reader knows them by.
CT_PRESETS: Mapping[str, Window] = {
    "soft tissue": Window(40, 400),
    "lung": Window(-600, 1500),
    "bone": Window(400, 1800),
    "brain": Window(40, 80),
    "liver": Window(60, 160),
}


def presets_of(modality: str) -> Mapping[str, Window]:
    """Windows with a name, for modalities whose values have a unit."""
    return CT_PRESETS if modality == "CT" else {}
