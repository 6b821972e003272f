"""Rendered images and thumbnails (PS3.18 sections 10.4.1.1.3, 10.4.1.1.5 and 8.3.5)."""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence

from fastapi import APIRouter, Request, Response

from node.domain.viewing import Spread, Window
from node.errors import NotAcceptable, NotFound, UnusableKey
from node.ports.dicom_web import DicomWeb, HeldObject
from node.show.dicom_web.accepting import picture_wanted
from node.show.dicom_web.addresses import accept_of
from node.show.visitor import Visiting

Found = Callable[..., Sequence[HeldObject]]
KEPT = {"Cache-Control": "private, max-age=300"}
LARGEST, USUAL, THUMBNAIL = 4096, 2048, 128
# How good a JPEG is that does not say it.
QUALITY = 90
# Objects of a study that are tried for a thumbnail: reports and segmentations have no picture.
TRIED = 32
_WINDOW = re.compile(r"(-?\d{1,7}(?:\.\d{1,4})?),(\d{1,7}(?:\.\d{1,4})?)(?:,(?:linear|linear-exact|sigmoid))?\Z", re.I)


def add_rendering(router: APIRouter, web: DicomWeb, find: Found) -> None:
    instance_path = "/studies/{study}/series/{series}/instances/{instance}"

    @router.get(instance_path + "/rendered")
    def of_instance(request: Request, visitor: Visiting, study: str, series: str, instance: str) -> Response:
        return _rendered(request, web, find(visitor, study, series, instance)[0], 1, USUAL)

    @router.get(instance_path + "/frames/{number}/rendered")
    def of_frame(request: Request, visitor: Visiting, study: str, series: str, instance: str, number: str) -> Response:
        return _rendered(request, web, find(visitor, study, series, instance)[0], _number(number), USUAL)

    @router.get(instance_path + "/frames/{number}/thumbnail")
    def thumbnail_of_frame(
        request: Request, visitor: Visiting, study: str, series: str, instance: str, number: str
    ) -> Response:
        return _rendered(request, web, find(visitor, study, series, instance)[0], _number(number), THUMBNAIL)

    @router.get(instance_path + "/thumbnail")
    def thumbnail_of_instance(request: Request, visitor: Visiting, study: str, series: str, instance: str) -> Response:
        return _rendered(request, web, find(visitor, study, series, instance)[0], 1, THUMBNAIL)

    @router.get("/studies/{study}/series/{series}/thumbnail")
    def thumbnail_of_series(request: Request, visitor: Visiting, study: str, series: str) -> Response:
        return _thumbnail(request, web, find(visitor, study, series))

    @router.get("/studies/{study}/thumbnail")
    def thumbnail_of_study(request: Request, visitor: Visiting, study: str) -> Response:
        return _thumbnail(request, web, find(visitor, study))


def _thumbnail(request: Request, web: DicomWeb, found: Sequence[HeldObject]) -> Response:
    """Of the image in the middle, else of one of the first that have a picture."""
    for held in [found[len(found) // 2], *found[:TRIED]]:
        try:
            return _rendered(request, web, held, 1, THUMBNAIL)
        except (NotFound, NotAcceptable):
            continue
    raise NotFound("nothing of this has a picture")


def _rendered(request: Request, web: DicomWeb, held: HeldObject, frame: int, usual: int) -> Response:
    media_type = picture_wanted(accept_of(request))
    asked = request.query_params
    window = _window(asked.get("window", ""))
    edge = _edge(asked.get("viewport", ""), usual)
    quality = _number(asked.get("quality", str(QUALITY)))
    if quality > 100:
        raise UnusableKey("quality is a number from 1 to 100")
    content = web.contents.rendered(held, frame, window, edge, media_type, quality)
    return Response(content, media_type=media_type, headers=KEPT)


def _window(text: str) -> Window | Spread:
    """``center,width[,function]``; every function is drawn as the linear one.

    Raises:
        UnusableKey: it is none.
    """
    if not text:
        return Spread.DEFAULT
    match = _WINDOW.match(text)
    if match is None or float(match[2]) < 1:
        raise UnusableKey("a window is written center,width,function")
    return Window(float(match[1]), float(match[2]))


def _edge(text: str, usual: int) -> int:
    """``width,height``: the picture fits into both, and keeps its shape.

    Raises:
        UnusableKey: it is none.
    """
    if not text:
        return usual
    sides = text.split(",")
    if len(sides) != 2:
        raise UnusableKey("a viewport is written width,height")
    return min(LARGEST, *(_number(side) for side in sides))


def _number(text: str) -> int:
    if not (text.isascii() and text.isdigit() and len(text) < 10 and int(text)):
        raise UnusableKey("a number from 1 is expected")
    return int(text)
