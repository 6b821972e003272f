"""UPS-RS (PS3.18 section 11): workitems for programs. What may be done is decided where DIMSE asks too.

Nothing is served where ``[ups]`` is not enabled. Events go to the AE titles of ``ups.receivers`` by N-EVENT-REPORT, or
over the event channel (``channel``) where they have no address.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Annotated, Any
from urllib.parse import quote

from fastapi import APIRouter, Depends, HTTPException, Request, Response
from fastapi.responses import JSONResponse
from pydicom.dataset import Dataset

from node.domain.dicom_web import ROOT
from node.domain.identity import is_uid
from node.errors import InvalidAttributeValue, WorkitemError, WrongTransaction
from node.ports import ProcedureSteps
from node.show.pages import Pages
from node.show.session import Calling
from node.show.site import Site
from node.show.ups.answers import DICOM_JSON, answered, status_of
from node.show.ups.identifiers import data_set_of, filter_of, identifier_of, put

MAX_BODY = 1 << 20
DEFAULT_LIMIT = 200
MEDIA_TYPES = frozenset({DICOM_JSON, "application/json"})


async def read_data_set(request: Request) -> Dataset:
    """The data set in the body.

    Raises:
        HTTPException: it is none, or too long.
    """
    if request.headers.get("content-type", "").partition(";")[0].strip().lower() not in MEDIA_TYPES:
        raise HTTPException(415, f"a workitem is sent as {DICOM_JSON}")
    body = b""
    async for chunk in request.stream():
        body += chunk
        if len(body) > MAX_BODY:
            raise HTTPException(413, f"a workitem has at most {MAX_BODY} bytes")
    try:
        return data_set_of(json.loads(body))
    except (ValueError, RecursionError, InvalidAttributeValue) as error:
        raise HTTPException(400, "the body is no data set in the DICOM JSON model") from error


Body = Annotated[Dataset, Depends(read_data_set)]


def ups_router(site: Site, pages: Pages) -> APIRouter:
    del pages
    router = APIRouter(prefix=ROOT, include_in_schema=False)
    if site.steps is not None:
        _add_reading(router, site.steps)
        _add_changing(router, site.steps)
        channels = frozenset(one.ae_title for one in site.config.ups.receivers if one.host is None)
        _add_subscriptions(router, site.steps, channels)
    return router


def _add_reading(router: APIRouter, steps: ProcedureSteps) -> None:
    @router.get("/workitems")
    def search(request: Request) -> Response:
        def act() -> Response:
            identifier, offset, limit = identifier_of(request.query_params.multi_items(), DEFAULT_LIMIT)
            found = [each.to_json_dict() for each in steps.find(identifier, offset, limit)]
            if not found:
                return Response(status_code=204)
            return JSONResponse(found, media_type=DICOM_JSON)

        return _tried(request, act)

    @router.get("/workitems/{uid}")
    def retrieve(request: Request, uid: str) -> Response:
        return _tried(request, lambda: JSONResponse([steps.get(uid).to_json_dict()], media_type=DICOM_JSON))


def _add_changing(router: APIRouter, steps: ProcedureSteps) -> None:
    @router.post("/workitems")
    def create(request: Request, asker: Calling, body: Body) -> Response:
        uid = _named(request, "workitem")

        def act() -> Response:
            made, warned = steps.create(uid, body, asker.name)
            location = f"{request.url.path}/{made}"
            return answered(request, warned, 201, {"Location": location, "Content-Location": location})

        return _tried(request, act)

    @router.post("/workitems/{uid}")
    def update(request: Request, uid: str, asker: Calling, body: Body) -> Response:
        transaction = _named(request, "transaction-uid")
        if transaction:
            put(body, TransactionUID=transaction)
        return _tried(request, lambda: answered(request, steps.update(uid, body, asker.name)))

    @router.put("/workitems/{uid}/state")
    def change_state(request: Request, uid: str, asker: Calling, body: Body) -> Response:
        def act() -> Response:
            try:
                return answered(request, steps.change_state(uid, body, asker.name))
            except WrongTransaction as error:
                return _refused(request, error, 409 if body.get("TransactionUID") else 400)

        return _tried(request, act)

    @router.post("/workitems/{uid}/cancelrequest")
    def request_cancel(request: Request, uid: str, asker: Calling, body: Body) -> Response:
        return _tried(request, lambda: answered(request, steps.request_cancel(uid, body, asker.name), 202))


def _add_subscriptions(router: APIRouter, steps: ProcedureSteps, channels: frozenset[str]) -> None:
    @router.post("/workitems/{uid}/subscribers/{receiver}")
    def subscribe(request: Request, uid: str, receiver: str, asker: Calling) -> Response:
        del asker

        def act() -> Response:
            asked = filter_of(request.query_params.getlist("filter"))
            locks = request.query_params.get("deletionlock", "false").upper()
            put(asked, ReceivingAE=receiver, DeletionLock=locks)
            warned = steps.subscribe(uid, asked)
            # PS3.18 Table 11.10.3-2: where the subscriber hears of it.
            place = {"Content-Location": _channel(request, receiver)} if receiver in channels else {}
            return answered(request, warned, 201, place)

        return _tried(request, act)

    @router.delete("/workitems/{uid}/subscribers/{receiver}")
    def unsubscribe(request: Request, uid: str, receiver: str, asker: Calling) -> Response:
        del asker
        return _tried(request, lambda: answered(request, steps.unsubscribe(uid, _receiver(receiver))))

    @router.post("/workitems/{uid}/subscribers/{receiver}/suspend")
    def suspend(request: Request, uid: str, receiver: str, asker: Calling) -> Response:
        del asker
        return _tried(request, lambda: answered(request, steps.suspend(uid, _receiver(receiver))))


def _channel(request: Request, receiver: str) -> str:
    """The URL of the event channel."""
    scheme = "wss" if request.url.scheme == "https" else "ws"
    return f"{scheme}://{request.url.netloc}/api/dicom-web/subscribers/{quote(receiver)}"


def _receiver(ae_title: str) -> Dataset:
    return put(Dataset(), ReceivingAE=ae_title)


def _named(request: Request, name: str) -> str:
    """A UID in the query: by its name, or alone, as the standard writes it (``/workitems?1.2.3``)."""
    alone = request.url.query
    return alone if alone and is_uid(alone) else request.query_params.get(name, "")


def _tried(request: Request, act: Any) -> Response:
    try:
        response: Response = act()
    except WorkitemError as error:
        return _refused(request, error, status_of(error))
    return response


def _refused(request: Request, error: WorkitemError, status: int) -> Response:
    headers: Mapping[str, str] = {"Warning": f'299 {request.url.netloc} "{error.message}"'}
    body = {"status": status, "code": error.code, "detail": error.message, "dimse_status": f"{error.dimse_status:04X}"}
    return JSONResponse(body, status, dict(headers), media_type="application/problem+json")
