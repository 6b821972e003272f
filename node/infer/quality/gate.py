"""Which checks an input has to pass before the model sees it, in their order. Pure."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np

from node.domain.interval import ANY
from node.domain.model import InputLimits
from node.domain.orientation import plane_of
from node.domain.quality import QualityLimits
from node.domain.study import Picture, Volume
from node.errors import BurnedInAnnotation, ColourNotSupported, OrientationNotSupported, PictureSizeOutsideLimits
from node.infer.quality.checks import Judged, judged, measured, percent
from node.infer.quality.field_of_view import truncation, whole_organ
from node.infer.quality.values import empty_slice_checks, hounsfield_checks, picture_values, value_checks, volume_values

REFUSE, ACCEPT = "refuse", "accept"
NOT_STATED = "not stated"
# What is grey in the world and stored as colour differs by rounding and by compression (of 255) ...
GREY_TOLERANCE = 24.0
# ... but for a mark or two.
LARGEST_COLOURED = 0.01


def volume_checks(volume: Volume, burned_in: str, limits: InputLimits) -> Iterator[Judged]:
    """``burned_in``: Burned In Annotation (0028,0301) of the images, YES where one of them says so."""
    quality = limits.quality
    yield _burned_in(burned_in, quality.burned_in_annotation or ACCEPT)
    yield _orientation(volume, limits)
    values = volume_values(volume.array)
    yield from value_checks(values, quality, "the series")
    if not values.is_image:
        return
    yield from empty_slice_checks(values, quality)
    if volume.modality == "CT":
        yield from hounsfield_checks(values.sample, quality)
        yield truncation(volume.array, quality)
        yield whole_organ(volume.array, quality)


def picture_checks(picture: Picture, burned_in: str, quality: QualityLimits) -> Iterator[Judged]:
    """As ``volume_checks``, for one picture."""
    yield _burned_in(burned_in, quality.burned_in_annotation or REFUSE)
    yield _size(picture, quality)
    yield from value_checks(picture_values(picture.array), quality, "the picture")
    yield _colour(picture, quality)


def _burned_in(stated: str, wanted: str) -> Judged:
    name, kind = "burned-in annotation", BurnedInAnnotation
    if wanted == ACCEPT:
        return measured(name, kind, stated or NOT_STATED, "any (the model accepts it)")
    return judged(
        name,
        kind,
        stated != "YES",
        stated or NOT_STATED,
        "not YES",
        "the image is declared to have text burned into its pixels (Burned In Annotation is YES); this model needs "
        "images without",
    )


def _orientation(volume: Volume, limits: InputLimits) -> Judged:
    name, kind = "orientation", OrientationNotSupported
    normal = np.cross(volume.affine[:3, 1], volume.affine[:3, 2])
    found = plane_of((normal / np.linalg.norm(normal)).tolist())
    if not limits.orientations:
        return measured(name, kind, found, "any")
    wanted = " or ".join(limits.orientations)
    # The words of admission, which asks the same of the headers.
    return judged(
        name, kind, found in limits.orientations, found, wanted, f"Images are {found}; this model needs {wanted}"
    )


def _size(picture: Picture, quality: QualityLimits) -> Judged:
    name, kind = "picture size", PictureSizeOutsideLimits
    rows, columns = picture.shape
    found = f"{rows} x {columns} pixels"
    if quality.side_px == ANY:
        return measured(name, kind, found, "any")
    return judged(
        name,
        kind,
        quality.side_px.holds(rows) and quality.side_px.holds(columns),
        found,
        f"{quality.side_px} pixels on each side",
        f"the picture has {found}; this model needs {quality.side_px} on each side",
        min(rows, columns),
    )


def _colour(picture: Picture, quality: QualityLimits) -> Judged:
    name, kind = "colour", ColourNotSupported
    share = float(np.mean(np.ptp(picture.array, axis=2) > GREY_TOLERANCE)) if picture.is_colour else 0.0
    is_coloured = share > LARGEST_COLOURED
    found = f"{'coloured' if is_coloured else 'grey'} ({percent(share)} of the pixels have a colour)"
    if not quality.colour:
        return measured(name, kind, found, "any", share)
    return judged(
        name,
        kind,
        is_coloured == (quality.colour == "colour"),
        found,
        "colour" if quality.colour == "colour" else "grey",
        "the picture is coloured; this model reads grey pictures"
        if is_coloured
        else "the picture is grey; this model reads colour photographs",
        share,
        LARGEST_COLOURED,
    )
