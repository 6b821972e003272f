"""QIDO-RS: studies, series and instances by their attributes (PS3.18 section 10.6)."""

from __future__ import annotations

from fastapi import APIRouter, Request, Response
from fastapi.responses import JSONResponse

from node.domain.holdings import UNIQUE
from node.domain.identity import require_uid
from node.domain.query import Level
from node.ports.dicom_web import DicomWeb
from node.show.dicom_web import accepting
from node.show.dicom_web.addresses import accept_of, address, service
from node.show.dicom_web.model import Json, data_set, element
from node.show.dicom_web.search import LEVELS, Entity, Search, found_by, search_of


def add_searches(router: APIRouter, web: DicomWeb) -> None:
    @router.get("/studies")
    def studies(request: Request) -> Response:
        return _answer(request, web, Level.STUDY)

    @router.get("/series")
    def all_series(request: Request) -> Response:
        return _answer(request, web, Level.SERIES)

    @router.get("/instances")
    def all_instances(request: Request) -> Response:
        return _answer(request, web, Level.IMAGE)

    @router.get("/studies/{study}/series")
    def series(request: Request, study: str) -> Response:
        return _answer(request, web, Level.SERIES, study)

    @router.get("/studies/{study}/instances")
    def instances_of_study(request: Request, study: str) -> Response:
        return _answer(request, web, Level.IMAGE, study)

    @router.get("/studies/{study}/series/{series}/instances")
    def instances(request: Request, study: str, series: str) -> Response:
        return _answer(request, web, Level.IMAGE, study, series)


def _answer(request: Request, web: DicomWeb, level: Level, *uids: str) -> Response:
    accepting.json_wanted(accept_of(request))
    named = {UNIQUE[each]: require_uid(uid, UNIQUE[each]) for each, uid in zip(LEVELS, uids, strict=False)}
    search = search_of(level, named, request.query_params.multi_items())
    entities, remarks = found_by(search, web)
    headers = [(b"warning", f'299 {service(request)}: "{remark}"'.encode()) for remark in remarks]
    if not entities:
        response = Response(status_code=204)
    else:
        found = [_told(request, search, entity) for entity in entities]
        response = JSONResponse(found, media_type=accepting.DICOM_JSON)
    response.raw_headers += headers
    return response


def _told(request: Request, search: Search, entity: Entity) -> Json:
    path = [str(entity[UNIQUE[level]]) for level in LEVELS[: LEVELS.index(search.level) + 1]]
    told = data_set(entity, search.told()) | {
        "00080005": element("CS", "ISO_IR 192"),
        "00080056": element("CS", "ONLINE"),
        "00081190": element("UR", address(request, *path)),
    }
    return dict(sorted(told.items()))
