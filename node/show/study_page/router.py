"""``/studies/<uid>``: the page of a study, complete without JavaScript."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Annotated, Any
from urllib.parse import quote, urlencode

from fastapi import APIRouter, Path, Query, Request
from fastapi.responses import HTMLResponse

from node.domain.document import RejectionTitle
from node.domain.identity import require_uid
from node.domain.job import JobState
from node.domain.viewing import Spread
from node.errors import AinodeError, NotFound, ObjectMissing
from node.ports.viewing import Mark, ViewedSeries
from node.show import reading
from node.show.line import acquired
from node.show.outcome import IMPORTANCE
from node.show.pages import Pages
from node.show.site import Site
from node.show.study_page import document
from node.show.study_page.assessing import assessing_router
from node.show.study_page.document import Result
from node.show.study_page.images import images_router, window_of
from node.show.viewer.router import LINK, installed
from node.show.visitor import Visiting, Visitor

# Key slices in the strip below the image.
MOST_KEYS = 8
KEY_EDGE = 256
Row = Mapping[str, Any]


@dataclass(frozen=True, slots=True)
class Asked:
    """What of the study the address asks to see; ``slice`` counts from 1."""

    job: int | None
    series: str | None
    slice: int | None
    window: str
    overlay: bool
    heat: bool
    compare: bool


def study_router(site: Site, pages: Pages) -> APIRouter:
    router = APIRouter()

    @router.get("/studies/{study}", include_in_schema=False)
    def page(
        request: Request,
        visitor: Visiting,
        study: Annotated[str, Path(max_length=64)],
        job: Annotated[int | None, Query(ge=0, le=2**53)] = None,
        series: Annotated[str | None, Query(max_length=64)] = None,
        slice: Annotated[int | None, Query(ge=1, le=100000)] = None,
        window: Annotated[str, Query(max_length=40)] = Spread.DEFAULT.value,
        overlay: Annotated[int, Query(ge=0, le=1)] = 1,
        heat: Annotated[int, Query(ge=0, le=1)] = 0,
        compare: Annotated[int, Query(ge=0, le=1)] = 0,
    ) -> HTMLResponse:
        window_of(window)
        asked = Asked(job, series, slice, window, bool(overlay), bool(heat), bool(compare))
        return pages.page(request, visitor, "study.html", **_context(site, visitor, require_uid(study, "UID"), asked))

    router.include_router(images_router(site))
    router.include_router(assessing_router(site, pages))
    return router


def _context(site: Site, visitor: Visitor, uid: str, asked: Asked) -> dict[str, Any]:
    study = site.worklist.study(uid)
    (why,) = (one for one in site.worklist.why(uid)["studies"] if one["study_instance_uid"] == uid)
    said = site.assessments.of_study(uid)
    marks: dict[int, Sequence[Mark]] = {}

    def result(row: Row) -> Result:
        job = site.worklist.job(row["id"])
        marks[row["id"]] = _marks(site, job)
        return document.result_of(
            job, visitor.language, why, marks[row["id"]], said, job["model"] in site.demonstrations
        )

    results = sorted((result(row) for row in document.current_jobs(study)), key=_urgency)
    return {
        "study": study,
        "results": results,
        "not_wanted": document.not_wanted(study, why),
        "earlier": [(row, document.outcome_of(row)) for row in document.earlier_jobs(study)],
        "events": document.timeline(study, study["deliveries"]),
        "destinations": _destinations(study["deliveries"]),
        "titles": [one.value for one in RejectionTitle],
        **_who(study, visitor.language),
        "viewer_link": viewer_link(_link_template(site), study),
        "now": site.clock.now(),
        "duration": document.duration,
        "number": document.number,
        **_viewer(site, study, results, asked),
    }


def _who(study: Row, language: str) -> dict[str, Any]:
    """The patient and the day as they are read."""
    patient = study["patient"]
    born = acquired(patient["birth_date"], "")
    made = study["acquired_at"]
    return {
        "name": reading.person_name(patient["name"], language),
        "born": born or patient["birth_date"],
        "years": reading.age_years(patient["birth_date"], made),
        "acquired": "" if made is None else made[:16].replace("T", " "),
    }


def _urgency(result: Result) -> tuple[int, str]:
    """The most urgent first; one that only demonstrates behind the others."""
    order = [one.value for one in IMPORTANCE]
    return order.index(result.outcome) + len(order) * result.demonstration, result.model


def _marks(site: Site, job: Row) -> Sequence[Mark]:
    """None where the images or the objects are gone, or cannot be read: the findings are told all the same."""
    if job["state"] != JobState.COMPLETED or not job["findings"]:
        return ()
    try:
        return site.views.marks(job["id"])
    except AinodeError:
        return ()


# ---------------------------------------------------------------- the image


def _viewer(site: Site, study: Row, results: Sequence[Result], asked: Asked) -> dict[str, Any]:
    uid = study["study_instance_uid"]
    chosen = _chosen(results, asked)
    for series in _candidates(study, chosen, asked):
        try:
            view = site.views.series(uid, series)
        except ObjectMissing:
            return {"viewer": None, "gone": True, "keys": []}
        except NotFound:
            continue
        if view.slices:
            return _shown(site, uid, study, results, chosen, view, asked)
    return {"viewer": None, "gone": False, "keys": []}


def _chosen(results: Sequence[Result], asked: Asked) -> Result | None:
    """The result that is laid over the image: the one asked for, one about the series asked for, the most urgent."""
    fitting = [one for one in results if asked.series is None or asked.series in one.series]
    by_id = next((one for one in fitting if one.job == asked.job), None)
    return by_id or next((one for one in fitting if one.findings), None) or next(iter(fitting), None)


def _candidates(study: Row, chosen: Result | None, asked: Asked) -> list[str]:
    """Series in the order in which they may be shown; the first that has images is."""
    best = [found.mark.series_instance_uid for found in _marked(chosen)]
    all_series = [one["series_instance_uid"] for one in study["series"]]
    wanted = [asked.series, *best, *(chosen.series if chosen else ()), *all_series]
    return list(dict.fromkeys(one for one in wanted if one in all_series))


def _marked(result: Result | None) -> list[Any]:
    """Findings that an image shows."""
    return [] if result is None else [one for one in result.findings if one.mark is not None and one.slice is not None]


def _shown(
    site: Site, uid: str, study: Row, results: Sequence[Result], chosen: Result | None, view: ViewedSeries, asked: Asked
) -> dict[str, Any]:
    series, count = view.series_instance_uid, len(view.slices)
    best = [one.slice for one in _marked(chosen) if one.mark.series_instance_uid == series]
    index = min(max(asked.slice or (best[0] if best else (count + 1) // 2), 1), count)
    overlaid = chosen if chosen is not None and series in chosen.series and chosen.findings else None
    heat = _heat(site, chosen, series)
    base = f"/api/v1/studies/{uid}"
    state: dict[str, Any] = {
        "job": None if chosen is None else chosen.job,
        "series": series,
        "slice": index,
        "window": asked.window,
        "overlay": int(asked.overlay),
        "heat": int(asked.heat),
        "compare": int(asked.compare),
    }

    def link(**changes: Any) -> str:
        written = {key: value for key, value in (state | changes).items() if value is not None}
        return f"/studies/{uid}?{urlencode(written)}"

    windows = [("default", "default"), ("auto", "auto"), ("full", "full")]
    windows += [(name, f"{one.center:g},{one.width:g}") for name, one in view.presets.items()]
    return {
        "gone": False,
        "viewer": {
            "base": base,
            "state": state,
            "count": count,
            "overlay_job": None if overlaid is None else overlaid.job,
            "image": f"{base}/series/{series}/slices/{index - 1}.png?window={quote(asked.window)}",
            "overlay": _overlay(base, overlaid, series, index) if asked.overlay else None,
            "heat": f"{base}/jobs/{state['job']}/series/{series}/slices/{index - 1}/heat.png"
            if asked.heat and index - 1 in heat
            else None,
            "heat_slices": heat,
            "prior": _prior(site, uid, series, index, asked),
            "windows": windows,
            "series": _series(study, results),
            "description": next(
                one["series_description"] for one in study["series"] if one["series_instance_uid"] == series
            ),
        },
        "link": link,
        "keys": _keys(base, results, link),
    }


def _prior(site: Site, uid: str, series: str, index: int, asked: Asked) -> dict[str, Any] | None:
    """The earlier series beside the one that is shown, with its image of the same place."""
    try:
        found = site.views.prior(uid, series)
    except AinodeError:
        return None
    if found is None:
        return None
    base = f"/api/v1/studies/{found.study_instance_uid}/series/{found.series_instance_uid}/slices"
    return {
        "study": found.study_instance_uid,
        "date": acquired(found.study_date, "") or found.study_date,
        "description": found.description,
        "base": base,
        "slices": found.slices,
        "image": f"{base}/{found.slices[index - 1]}.png?window={quote(asked.window)}",
    }


def _overlay(base: str, result: Result | None, series: str, index: int) -> str | None:
    return None if result is None else f"{base}/jobs/{result.job}/series/{series}/slices/{index - 1}.svg"


def _heat(site: Site, chosen: Result | None, series: str) -> list[int]:
    if chosen is None or series not in chosen.series:
        return []
    try:
        return list(site.views.heat_maps(chosen.job, series))
    except AinodeError:
        return []


def _series(study: Row, results: Sequence[Result]) -> list[dict[str, Any]]:
    """What can be looked at: those that a model looked at first."""
    looked = [uid for one in results for uid in one.series]
    found = [
        {
            "uid": one["series_instance_uid"],
            "label": " ".join(part for part in (one["modality"], one["series_description"]) if part),
            "instances": one["instances"],
            "looked": one["series_instance_uid"] in looked,
        }
        for one in study["series"]
    ]
    return sorted(found, key=lambda one: not one["looked"])


def _keys(base: str, results: Sequence[Result], link: Any) -> list[dict[str, Any]]:
    """The slices that show the findings best, each once."""
    found: dict[tuple[int, str, int], dict[str, Any]] = {}
    for result in results:
        for one in _marked(result):
            series, place = one.mark.series_instance_uid, one.mark.index
            key = found.setdefault(
                (result.job, series, place),
                {
                    "job": result.job,
                    "series": series,
                    "slice": place + 1,
                    "names": [],
                    "image": f"{base}/series/{series}/slices/{place}.png?edge={KEY_EDGE}",
                    "overlay": f"{base}/jobs/{result.job}/series/{series}/slices/{place}.svg",
                    "link": link(job=result.job, series=series, slice=place + 1),
                },
            )
            if one.name not in key["names"]:
                key["names"].append(one.name)
    return list(found.values())[:MOST_KEYS]


# ---------------------------------------------------------------- the rest


def _link_template(site: Site) -> str:
    """The one that is configured; else that of the viewer here, where one is installed."""
    if site.config.web.viewer_url or site.viewer is None or not installed(site.viewer):
        return site.config.web.viewer_url
    return LINK


def viewer_link(template: str, study: Row) -> str | None:
    """The address of the study in a viewer; None where none is configured. Values are quoted as parts of an address."""
    if not template:
        return None
    values = {
        "study_instance_uid": study["study_instance_uid"],
        "accession_number": study["accession_number"],
        "patient_id": study["patient"]["id"],
    }
    for name, value in values.items():
        template = template.replace(f"{{{name}}}", quote(str(value or ""), safe=""))
    return template


def _destinations(deliveries: Sequence[Row]) -> list[dict[str, Any]]:
    """For each destination how many objects are in which state."""
    found: dict[str, dict[str, int]] = {}
    for one in deliveries:
        states = found.setdefault(one["destination"], {})
        for said in (one["state"], *(["READ BACK"] if one["read_back_at"] is not None else [])):
            states[said] = states.get(said, 0) + 1
    return [{"name": name, "states": sorted(states.items())} for name, states in sorted(found.items())]
