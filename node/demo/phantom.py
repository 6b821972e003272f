"""Drawn images, made of formulas and noise: a crop of a T1-weighted MR around a hippocampus, and a chest in CT.

Pure. Nothing in here was taken from a patient. Arrays are indexed [k, r, c]: slices towards superior, rows towards
posterior, columns towards the patient's left; voxels of the MR measure 1 mm.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
from scipy import ndimage

Field = npt.NDArray[np.float64]

MR_SHAPE = (36, 50, 35)
# Brightness of tissues in a T1-weighted image, in the units of the stored values.
FLUID, GREY, AMYGDALA, DEEP_GREY, WHITE = 110.0, 450.0, 500.0, 690.0, 800.0
BLUR_VOXELS = 0.55
GRAIN = 22.0

CT_SHAPE = (8, 96, 96)
AIR_HU, LUNG_HU, SOFT_TISSUE_HU, BONE_HU = -1000.0, -820.0, 40.0, 500.0


@dataclass(frozen=True, slots=True)
class _Crop:
    """Coordinates in mm around one hippocampus, per voxel.

    Attributes:
        along: from the tip of the tail (0) to the front of the head (1) on the hippocampus's long axis.
        above: distance from that axis in the sagittal plane, positive towards superior and anterior.
        medial: distance from that axis towards the midline.
        forward, up: position in the crop, towards anterior and superior.
    """

    along: Field
    above: Field
    medial: Field
    forward: Field
    up: Field


# The long axis in mm from the crop's posterior, inferior corner: (forward, up) of the tail and of the head.
TAIL, HEAD = (8.0, 28.0), (39.0, 9.0)


def hippocampus_mr(seed: int) -> npt.NDArray[np.int16]:
    """The crop of shape ``MR_SHAPE``; the same seed draws the same grain."""
    tissue = ndimage.gaussian_filter(_tissue(_coordinates()), BLUR_VOXELS)
    # RandomState's stream is frozen for ever: the bytes sent today are the bytes sent after an upgrade.
    chance = np.random.RandomState(seed)
    shading = 1.0 + 0.04 * _waves(chance)
    grain = ndimage.gaussian_filter(chance.normal(size=MR_SHAPE), 0.4) * GRAIN / 0.55
    return _stored(tissue * shading + grain, 0, 4095)


def chest_ct(seed: int) -> npt.NDArray[np.int16]:
    """A body of soft tissue with two lungs and a spine, in HU, of shape ``CT_SHAPE``."""
    r, c = np.meshgrid(np.linspace(-1, 1, CT_SHAPE[1]), np.linspace(-1, 1, CT_SHAPE[2]), indexing="ij")
    image = np.full(CT_SHAPE[1:], AIR_HU)
    image[(r / 0.65) ** 2 + (c / 0.9) ** 2 < 1] = SOFT_TISSUE_HU
    for side in (-0.4, 0.4):
        image[(r / 0.42) ** 2 + ((c - side) / 0.28) ** 2 < 1] = LUNG_HU
    image[(r - 0.48) ** 2 + c**2 < 0.1**2] = BONE_HU
    grain = np.random.RandomState(seed).normal(scale=12.0, size=CT_SHAPE)
    return _stored(ndimage.gaussian_filter(image, 0.7) + grain, -1024, 3071)


def _coordinates() -> _Crop:
    k, r, c = np.meshgrid(*(np.arange(size, dtype=np.float64) for size in MR_SHAPE), indexing="ij")
    forward, up = MR_SHAPE[1] - 1 - r, k
    direction = np.array(HEAD) - np.array(TAIL)
    length = float(np.linalg.norm(direction))
    ahead, rise = direction / length
    along = ((forward - TAIL[0]) * ahead + (up - TAIL[1]) * rise) / length
    # The axis is bowed: the body lies lower than the line from tail to head, and more lateral than both its ends.
    bow = 1.0 - (2.0 * along - 1.0) ** 2
    above = (forward - TAIL[0]) * -rise + (up - TAIL[1]) * ahead + 1.2 * bow
    medial = (MR_SHAPE[2] - 1 - c) - 16.0 + 1.5 * bow - 2.5 * np.clip(0.35 - along, 0.0, 1.0)
    return _Crop(along, above, medial, forward, up)


def _tissue(crop: _Crop) -> Field:
    """Brightness before blur and noise, painted from the back to the front."""
    image = np.full(MR_SHAPE, WHITE)
    thick = 3.3 + 1.9 * _bump(crop.along, 0.82, 0.22)
    wide = 6.3 + 2.6 * _bump(crop.along, 0.84, 0.2)
    _paint_below(image, crop, thick)
    _paint_medial(image, crop, thick)
    _paint_above(image, crop, thick)
    ends = np.clip(crop.along / 0.12, 0.0, 1.0) * np.clip((1.06 - crop.along) / 0.14, 0.0, 1.0)
    taper = np.sqrt(np.clip(ends, 0.02, 1.0))
    within = (crop.along > 0.0) & (crop.along < 1.06)
    radius = np.hypot(crop.above / (thick * taper), crop.medial / (wide * taper))
    # The horn of the lateral ventricle lies along the outer, upper side; the bright alveus between them is thin.
    image[within & (radius < 1.42) & (crop.medial < 0.5) & (crop.above > 0.8)] = FLUID + 90.0
    image[within & (radius < 1.16)] = WHITE - 60.0
    image[within & (radius < 1.0)] = GREY
    # The white lamina inside, seen in coronal slices as the swirl of the Ammon's horn.
    core = np.hypot((crop.above + 0.6) / (thick * 0.3), (crop.medial - 0.8) / (wide * 0.5))
    image[within & (core < 1.0) & (crop.along > 0.15) & (crop.along < 0.85)] = GREY + 60.0
    return image


def _paint_below(image: Field, crop: _Crop, thick: Field) -> None:
    """Parahippocampal gyrus: white matter, its cortex, and what lies under it: fluid, then folds of cerebellum."""
    depth = -crop.above - thick
    fold = 0.9 * np.sin(crop.medial / 4.5) + 0.7 * np.sin(crop.along * 9.0)
    image[(depth > 2.6 + fold * 0.4) & (depth < 6.0 + fold)] = GREY + 20.0
    image[(depth > 8.4 + fold) & (depth < 10.6 + fold)] = GREY
    image[(depth > 10.6 + fold)] = FLUID + 60.0
    folia = 560.0 + 130.0 * np.sin((crop.above - 0.6 * crop.medial) * 1.7)
    cerebellum = depth > 12.2 + fold
    image[cerebellum] = folia[cerebellum]
    lateral = (crop.medial < -11.0 - fold) & (depth > -3.0) & (depth < 4.0)
    image[lateral] = GREY + 10.0


def _paint_medial(image: Field, crop: _Crop, thick: Field) -> None:
    """Brain stem beyond the ambient cistern."""
    cistern = crop.medial - (8.6 + 1.3 * np.cos(crop.along * 7.0))
    level = (crop.above > -thick - 4.0) & (crop.along > 0.12)
    image[level & (cistern > 0.0) & (cistern <= 2.4)] = FLUID + 40.0
    image[level & (cistern > 2.4)] = DEEP_GREY + 40.0


def _paint_above(image: Field, crop: _Crop, thick: Field) -> None:
    """Choroid fissure, deep grey matter over it, and the amygdala over and before the head."""
    height = crop.above - thick
    image[(height > 4.5) & (crop.medial > -6.0)] = DEEP_GREY
    image[(height > 0.4) & (height < 2.0) & (crop.medial > 1.5) & (crop.along > 0.1) & (crop.along < 0.72)] = (
        FLUID + 80.0
    )
    amygdala = np.hypot(np.hypot((crop.forward - 41.5) / 7.5, (crop.up - 18.0) / 6.0), (crop.medial - 1.0) / 8.5)
    image[amygdala < 1.0] = AMYGDALA
    insula = np.hypot((crop.medial + 15.0) / 3.4, (crop.up - 27.0) / 6.5)
    image[insula < 1.0] = GREY + 30.0


def _bump(value: Field, centre: float, width: float) -> Field:
    bump: Field = np.exp(-(((value - centre) / width) ** 2))
    return bump


def _waves(chance: np.random.RandomState) -> Field:
    """The slow shading of a receive coil, between about -1 and 1."""
    coarse = ndimage.gaussian_filter(chance.normal(size=MR_SHAPE), 9.0)
    slow: Field = coarse / float(np.abs(coarse).max())
    return slow


def _stored(values: Field, low: int, high: int) -> npt.NDArray[np.int16]:
    rounded: npt.NDArray[np.int16] = np.clip(np.rint(values), low, high).astype(np.int16)
    return rounded
