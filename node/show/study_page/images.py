"""The images of a study and what was found on them, for browsers: ``/api/v1/studies/<uid>/...``."""

from __future__ import annotations

import re
from typing import Annotated, Any

from fastapi import APIRouter, HTTPException, Path, Query, Request, Response
from pydantic import BaseModel

from node.domain.identity import require_uid
from node.domain.viewing import Spread, Window
from node.errors import NotFound
from node.ports.viewing import Rendered
from node.show.site import Site

SMALLEST, LARGEST, USUAL = 32, 2048, 1536
# In the browser alone, and not for long: another person may sit down.
KEPT = "private, max-age=300"
_WINDOW = re.compile(r"(-?\d{1,7}(?:\.\d{1,4})?),(\d{1,7}(?:\.\d{1,4})?)\Z")

Study = Annotated[str, Path(description="Study Instance UID", max_length=64)]
Series = Annotated[str, Path(description="Series Instance UID", max_length=64)]
Index = Annotated[int, Path(description="Slice, from 0, in the order of the series.", ge=0, le=100000)]
Job = Annotated[int, Path(description="Id of a job of this study.", ge=0, le=2**53)]
WINDOW_WORDS = "default, auto, full, or CENTER,WIDTH in the values of the image."


class SeriesView(BaseModel):
    """A series as it is scrolled through; ``heat`` lists the slices that have a heat map of the job asked for."""

    series_instance_uid: str
    modality: str
    slices: int
    presets: dict[str, tuple[float, float]]
    heat: list[int]


class MarkView(BaseModel):
    """Where a finding is seen best; slices count from 0."""

    finding: int
    number: int | None
    colour: str | None
    dashed: bool
    series_instance_uid: str | None
    slice: int | None


def images_router(site: Site) -> APIRouter:
    router = APIRouter(prefix="/api/v1/studies/{study}", tags=["studies"])
    views = site.views

    @router.get("/series/{series}/view", response_model=SeriesView)
    def view(study: Study, series: Series, job: Annotated[int | None, Query(ge=0, le=2**53)] = None) -> dict[str, Any]:
        """How many slices a series has, and which windows suit it."""
        found = views.series(_uid(study), _uid(series))
        heat = () if job is None else views.heat_maps(_job(site, study, job), series)
        return {
            "series_instance_uid": found.series_instance_uid,
            "modality": found.modality,
            "slices": len(found.slices),
            "presets": {name: (window.center, window.width) for name, window in found.presets.items()},
            "heat": list(heat),
        }

    @router.get("/series/{series}/slices/{index}.png", response_class=Response, responses=_pictures("image/png"))
    def image(
        request: Request,
        study: Study,
        series: Series,
        index: Index,
        window: Annotated[str, Query(max_length=40, description=WINDOW_WORDS)] = Spread.DEFAULT.value,
        edge: Annotated[int, Query(ge=SMALLEST, le=LARGEST, description="Longest side in pixels.")] = USUAL,
    ) -> Response:
        """One slice through a window, ready to be shown."""
        asked = (_uid(study), _uid(series), index, window_of(window), edge)
        etag = views.image_etag(*asked)
        if _has(request, etag):
            return _unchanged(etag)
        return _answer(request, views.image(*asked))

    @router.get(
        "/jobs/{job}/series/{series}/slices/{index}.svg",
        response_class=Response,
        responses=_pictures("image/svg+xml"),
    )
    def overlay(request: Request, study: Study, job: Job, series: Series, index: Index) -> Response:
        """What a job found on a slice, to be laid over its image."""
        return _answer(request, views.overlay(_job(site, study, job), _uid(series), index))

    @router.get(
        "/jobs/{job}/series/{series}/slices/{index}/heat.png",
        response_class=Response,
        responses=_pictures("image/png"),
    )
    def heat(request: Request, study: Study, job: Job, series: Series, index: Index) -> Response:
        """Where the network looked, or what it measured, to be laid over the image."""
        return _answer(request, views.heat_map(_job(site, study, job), _uid(series), index))

    @router.get("/jobs/{job}/marks", response_model=list[MarkView])
    def marks(study: Study, job: Job) -> list[dict[str, Any]]:
        """On which slice each finding is seen best, and how it is drawn."""
        return [
            {
                "finding": one.finding,
                "number": one.number,
                "colour": one.colour,
                "dashed": one.dashed,
                "series_instance_uid": one.series_instance_uid,
                "slice": one.index,
            }
            for one in views.marks(_job(site, study, job))
        ]

    return router


def window_of(text: str) -> Window | Spread:
    """
    Raises:
        HTTPException: it is no window.
    """
    if text in {one.value for one in Spread}:
        return Spread(text)
    match = _WINDOW.match(text)
    if match is None or float(match[2]) < 1:
        raise HTTPException(422, f"window: {WINDOW_WORDS}")
    return Window(float(match[1]), float(match[2]))


def _uid(text: str) -> str:
    return require_uid(text, "UID")


def _job(site: Site, study: str, job: int) -> int:
    """
    Raises:
        NotFound: there is no such job of this study.
    """
    if site.worklist.job(job)["study_instance_uid"] != study:
        raise NotFound(f"no job {job} of this study")
    return job


def _has(request: Request, etag: str) -> bool:
    return f'"{etag}"' in [one.strip() for one in request.headers.get("if-none-match", "").split(",")]


def _unchanged(etag: str) -> Response:
    return Response(status_code=304, headers={"ETag": f'"{etag}"', "Cache-Control": KEPT})


def _answer(request: Request, rendered: Rendered) -> Response:
    if _has(request, rendered.etag):
        return _unchanged(rendered.etag)
    headers = {"ETag": f'"{rendered.etag}"', "Cache-Control": KEPT}
    return Response(rendered.content, media_type=rendered.media_type, headers=headers)


def _pictures(media_type: str) -> dict[int | str, dict[str, Any]]:
    return {200: {"content": {media_type: {}}}, 304: {"description": "The browser has it."}}
