"""Body, airways, lungs and bones of a CT by thresholds, region growing and components; nothing here is learned.

Arrays are (k, r, c) with slices in their order along the patient. What only finds regions works on pixels of about
``COARSE_MM``; borders are drawn on the full grid. The scheme for lungs is that of Hu, Hoffman and Reinhardt (IEEE TMI
2001): threshold, components, airways by region growing, closing.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
from scipy import ndimage

Mask = npt.NDArray[np.bool_]
Tissue = npt.NDArray[np.uint8]
Float = npt.NDArray[np.float32]

# Tissue classes, as `tissue_classes` numbers them.
AIR, SOFT, BONE, DENSE_BONE = range(4)
DEFAULT_THRESHOLDS_HU = (-400.0, 180.0, 350.0)

COARSE_MM = 1.5
TABLE_GAP_MM = 4.0
LEAST_LUNG_ML = 10.0
LEAST_BONE_ML = 0.5
LUNG_MEAN_HU = (-945.0, -450.0)
# Gas in stomach, bowel and large bronchi is darker, and much more even, than lung that is not destroyed.
GAS_HU = -900.0
GAS_DEVIATION_HU = 40.0
GAS_WIDTH_MM = 5.0
LEAST_GAS_ML = 2.0
VESSEL_MM = 6.0
AIRWAY_AREA_MM2 = (40.0, 900.0)
AIRWAY_GROWTH = 1.8
AIRWAY_OFF_MIDLINE_MM = 45.0


@dataclass(frozen=True, slots=True)
class Thorax:
    """Masks on the full grid; lungs, airways and bones lie inside the body and never overlap."""

    body: Mask
    lungs: Mask
    airways: Mask
    bones: Mask


def tissue_classes(array: Float, thresholds_hu: Sequence[float] = DEFAULT_THRESHOLDS_HU) -> Tissue:
    """AIR below the first threshold, then SOFT, BONE and DENSE_BONE; uint8 of the shape of ``array`` (HU)."""
    return np.digitize(array, thresholds_hu).astype(np.uint8)


def thorax(tissue: Tissue, array: Float, spacing_mm: tuple[float, float, float], head_first: bool = False) -> Thorax:
    """All masks of a CT.

    Args:
        tissue: of ``tissue_classes``.
        array: HU of the same shape.
        spacing_mm: along (k, r, c).
        head_first: the first slice is the one nearest to the head.
    """
    filled_body, lung_mask, airway_mask = chest(tissue, array, spacing_mm, head_first)
    bone_mask = bones(tissue, filled_body & ~lung_mask & ~airway_mask, spacing_mm)
    return Thorax(filled_body | bone_mask, lung_mask, airway_mask, bone_mask)


def chest(
    tissue: Tissue, array: Float, spacing_mm: tuple[float, float, float], head_first: bool = False
) -> tuple[Mask, Mask, Mask]:
    """Body, lungs and airways as ``thorax`` finds them, in half its time; ``tissue`` need only tell AIR from SOFT."""
    step = (_step(spacing_mm[1]), _step(spacing_mm[2]))
    coarse_mm = (spacing_mm[0], spacing_mm[1] * step[0], spacing_mm[2] * step[1])
    coarse = tissue[:, :: step[0], :: step[1]]
    small_body = body(coarse, coarse_mm)
    small_airways = airways(coarse, small_body, coarse_mm, head_first)
    small_lungs = lungs(coarse, array[:, :: step[0], :: step[1]], small_body & ~small_airways, coarse_mm)
    shape = (tissue.shape[0], tissue.shape[1], tissue.shape[2])
    filled_body = _fine(small_body, step, shape)
    wide = _fine(_grown(small_lungs, 1) & ~_grown(small_airways, 1), step, shape)
    inner = _fine(_shrunk(small_lungs, 1), step, shape)
    lung_mask = ((wide & (tissue == AIR)) | inner) & filled_body
    airway_mask = _fine(_grown(small_airways, 1), step, shape) & (tissue == AIR) & filled_body & ~lung_mask
    return filled_body, lung_mask, airway_mask


def body(tissue: Tissue, spacing_mm: tuple[float, float, float]) -> Mask:
    """The largest piece of tissue, apart from the table, its holes filled slice by slice."""
    radius = _pixels(TABLE_GAP_MM / 2, spacing_mm[1:])
    solid = ndimage.binary_opening(tissue > AIR, np.ones((1, 2 * radius + 1, 2 * radius + 1)))
    largest = _largest(solid)
    for index, one in enumerate(largest):
        largest[index] = ndimage.binary_fill_holes(one)
    return largest


def airways(tissue: Tissue, inside: Mask, spacing_mm: tuple[float, float, float], head_first: bool) -> Mask:
    """Trachea, grown downwards from a round hole near the midline until it widens into something else."""
    found = np.zeros(tissue.shape, dtype=bool)
    order = range(len(tissue)) if head_first else range(len(tissue) - 1, -1, -1)
    pixel_mm2 = spacing_mm[1] * spacing_mm[2]
    previous: Mask | None = None
    for index in order:
        holes, count = ndimage.label((tissue[index] == AIR) & inside[index])
        if not count:
            if previous is not None:
                break
            continue
        areas = np.bincount(holes.ravel(), minlength=count + 1) * pixel_mm2
        chosen = _seed(holes, areas, inside[index], spacing_mm) if previous is None else _next(holes, areas, previous)
        if chosen is None:
            if previous is not None:
                break
            continue
        area = areas[chosen]
        if previous is not None and area > max(AIRWAY_GROWTH * previous.sum() * pixel_mm2, AIRWAY_AREA_MM2[0] * 4):
            break
        previous = holes == chosen
        found[index] = previous
    return found


def lungs(tissue: Tissue, array: Float, inside: Mask, spacing_mm: tuple[float, float, float]) -> Mask:
    """Large pieces of air in the body that are not bowel gas, with the vessels in them."""
    air = (tissue == AIR) & inside
    air &= ~gas(air, array, spacing_mm)
    pieces, count = ndimage.label(ndimage.binary_opening(air, np.ones((1, 3, 3))))
    if not count:
        return np.zeros(tissue.shape, dtype=bool)
    millilitres = np.bincount(pieces.ravel(), minlength=count + 1) * float(np.prod(spacing_mm)) / 1000
    large = [number for number in range(1, count + 1) if millilitres[number] >= LEAST_LUNG_ML]
    means = ndimage.mean(array, pieces, large) if large else []
    chosen = [number for number, mean in zip(large, means, strict=True) if LUNG_MEAN_HU[0] <= mean <= LUNG_MEAN_HU[1]]
    kept: Mask = np.isin(pieces, chosen)
    radius = _pixels(VESSEL_MM, spacing_mm[1:])
    disc = _disc(radius)
    for index, one in enumerate(kept):
        if one.any():
            padded = np.pad(one, radius)
            closed = ndimage.binary_closing(padded, disc)[radius:-radius, radius:-radius]
            kept[index] = ndimage.binary_fill_holes(closed)
    kept &= inside
    return kept


def gas(air: Mask, array: Float, spacing_mm: tuple[float, float, float]) -> Mask:
    """Pieces of ``air`` that are even and as dark as gas, with their rim."""
    width = 2 * _pixels(GAS_WIDTH_MM / 2, spacing_mm[1:]) + 1
    window = (1, width, width)
    dark = air & (array < GAS_HU)
    share = np.maximum(ndimage.uniform_filter(air.astype(np.float32), window), 1 / width**2)
    mean = ndimage.uniform_filter(np.where(air, array, 0.0).astype(np.float32), window) / share
    square = ndimage.uniform_filter(np.where(air, array * array, 0.0).astype(np.float32), window) / share
    even = dark & (mean < GAS_HU) & (square - mean * mean < GAS_DEVIATION_HU**2)
    pieces, count = ndimage.label(ndimage.binary_opening(even, np.ones((1, 3, 3))))
    if not count:
        return np.zeros_like(even)
    sizes = np.bincount(pieces.ravel(), minlength=count + 1) * float(np.prod(spacing_mm)) / 1000
    sizes[0] = 0
    # Beyond it lies the blurred wall.
    core: Mask = (sizes >= LEAST_GAS_ML)[pieces]
    grown: Mask = ndimage.binary_dilation(core, np.ones((1, width + 2, width + 2))) & air
    return grown


def bones(tissue: Tissue, inside: Mask, spacing_mm: tuple[float, float, float]) -> Mask:
    """Voxels of BONE that are connected with DENSE_BONE, small pieces dropped, marrow filled slice by slice."""
    pieces, count = ndimage.label((tissue >= BONE) & inside)
    if not count:
        return np.zeros(tissue.shape, dtype=bool)
    voxel_ml = float(np.prod(spacing_mm)) / 1000
    sizes = np.bincount(pieces.ravel(), minlength=count + 1) * voxel_ml
    seeded = np.bincount(pieces[(tissue == DENSE_BONE) & inside], minlength=count + 1) > 0
    wanted = (sizes >= LEAST_BONE_ML) & seeded
    wanted[0] = False
    kept: Mask = wanted[pieces]
    radius = _pixels(2.0, spacing_mm[1:])
    for index, one in enumerate(kept):
        if one.any():
            rows, columns = _box(one, radius)
            part = ndimage.binary_closing(np.pad(one[rows, columns], radius), _disc(radius))[
                radius:-radius, radius:-radius
            ]
            kept[index, rows, columns] = ndimage.binary_fill_holes(part)
    return kept & inside


def _seed(
    holes: npt.NDArray[np.int32], areas: Float, inside: Mask, spacing_mm: tuple[float, float, float]
) -> int | None:
    """The hole of an airway's size nearest to the midline of the body, if one is near."""
    columns = np.flatnonzero(inside.any(axis=0))
    middle = float(columns.mean())
    fitting = [n for n in range(1, len(areas)) if AIRWAY_AREA_MM2[0] <= areas[n] <= AIRWAY_AREA_MM2[1]]
    if not fitting:
        return None
    centres = ndimage.center_of_mass(holes > 0, holes, fitting)
    away = [abs(centre[1] - middle) * spacing_mm[2] for centre in centres]
    nearest = int(np.argmin(away))
    return fitting[nearest] if away[nearest] <= AIRWAY_OFF_MIDLINE_MM else None


def _next(holes: npt.NDArray[np.int32], areas: Float, previous: Mask) -> int | None:
    """The hole that overlaps the previous slice's airway most."""
    overlaps = np.bincount(holes[previous], minlength=len(areas))
    overlaps[0] = 0
    best = int(np.argmax(overlaps))
    return best if overlaps[best] else None


def _largest(mask: Mask) -> Mask:
    pieces, count = ndimage.label(mask)
    if not count:
        return mask
    sizes = np.bincount(pieces.ravel())
    sizes[0] = 0
    kept: Mask = pieces == int(np.argmax(sizes))
    return kept


def _step(mm: float) -> int:
    return max(1, int(COARSE_MM / mm))


def _pixels(mm: float, spacing_mm: Sequence[float]) -> int:
    return max(1, round(mm / min(spacing_mm)))


def _disc(radius: int) -> Mask:
    y, x = np.ogrid[-radius : radius + 1, -radius : radius + 1]
    made: Mask = x * x + y * y <= radius * radius
    return made


def _grown(mask: Mask, times: int) -> Mask:
    grown: Mask = ndimage.binary_dilation(mask, np.ones((1, 3, 3)), times)
    return grown


def _shrunk(mask: Mask, times: int) -> Mask:
    shrunk: Mask = ndimage.binary_erosion(mask, np.ones((1, 3, 3)), times, border_value=1)
    return shrunk


def _fine(mask: Mask, step: tuple[int, int], shape: tuple[int, int, int]) -> Mask:
    """A coarse mask on the full grid: every coarse pixel as a block."""
    return np.repeat(np.repeat(mask, step[0], axis=1), step[1], axis=2)[:, : shape[1], : shape[2]]


def _box(mask: Mask, margin: int) -> tuple[slice, slice]:
    rows, columns = np.flatnonzero(mask.any(axis=1)), np.flatnonzero(mask.any(axis=0))
    return (
        slice(max(0, int(rows[0]) - margin), int(rows[-1]) + margin + 1),
        slice(max(0, int(columns[0]) - margin), int(columns[-1]) + margin + 1),
    )
