"""UPS-RS over the real service and a real table."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator
from types import SimpleNamespace
from typing import Any, cast

import httpx
import pytest
from fastapi import FastAPI
from fastapi.routing import APIRoute
from pydicom.dataset import Dataset

from node.app import workitems
from node.app.records import Records, open_records
from node.domain.workitem import FILTERED, GLOBAL
from node.jobs.subscriptions import SqlSubscriptions
from node.show.pages import Pages
from node.show.session import Operator, program
from node.show.site import Site
from node.show.ups.router import MAX_BODY, ups_router
from tests.contract.rows import SERIES, STUDY
from tests.integration.test_ups import (
    MODEL,
    OTHER,
    TRANSACTION,
    configuration,
    performed,
    plain,
    receive_a_series,
    request,
)

BASE = "/api/dicom-web/workitems"


class Web:
    """An application, asked without a network."""

    def __init__(self, application: FastAPI) -> None:
        self._application = application

    def request(self, method: str, url: str, **values: Any) -> httpx.Response:
        async def ask() -> httpx.Response:
            transport = httpx.ASGITransport(self._application)
            async with httpx.AsyncClient(transport=transport, base_url="http://node") as client:
                return await client.request(method, url, **values)

        return asyncio.run(ask())

    def get(self, url: str) -> httpx.Response:
        return self.request("GET", url)

    def post(self, url: str, **values: Any) -> httpx.Response:
        return self.request("POST", url, **values)

    def delete(self, url: str) -> httpx.Response:
        return self.request("DELETE", url)


@pytest.fixture(scope="module")
def records(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Records]:
    folder = tmp_path_factory.mktemp("ups-rs")
    opened = open_records(configuration(folder, 1, 2))
    receive_a_series(opened)
    yield opened
    opened.close()


@pytest.fixture(scope="module")
def web(records: Records) -> Web:
    site = cast(Site, SimpleNamespace(steps=workitems.procedure_steps(records), config=records.config))
    application = FastAPI()
    application.include_router(ups_router(site, cast(Pages, None)))
    application.dependency_overrides[program] = lambda: Operator("desk", {})
    return Web(application)


def sent(web: Web, method: str, path: str, **values: Any) -> Any:
    return web.request(
        method, f"{BASE}{path}", json=[plain(**values)], headers={"Content-Type": "application/dicom+json"}
    )


def create(web: Web, uid: str, **changes: Any) -> Any:
    return web.post(f"{BASE}?{uid}", json=[request(**changes)], headers={"Content-Type": "application/dicom+json"})


def got(web: Web, uid: str) -> Dataset:
    answer = web.get(f"{BASE}/{uid}")
    assert answer.status_code == 200
    assert answer.headers["content-type"] == "application/dicom+json"
    [found] = answer.json()
    return Dataset.from_json(found)


def test_only_named_users_change_anything(records: Records) -> None:
    site = cast(Site, SimpleNamespace(steps=workitems.procedure_steps(records), config=records.config))
    routes = [route for route in ups_router(site, cast(Pages, None)).routes if isinstance(route, APIRoute)]
    assert len(routes) == 9
    for route in routes:
        asked = [one.call for one in route.dependant.dependencies]
        assert (program in asked) is (route.methods != {"GET"})


def test_without_the_service_nothing_is_served() -> None:
    assert ups_router(cast(Site, SimpleNamespace(steps=None)), cast(Pages, None)).routes == []


def test_a_workitem_from_its_creation_to_its_end(web: Web) -> None:
    made = create(web, "1.2.60.1")
    assert made.status_code == 201
    assert made.headers["location"] == f"{BASE}/1.2.60.1"
    assert create(web, "1.2.60.1").status_code == 409
    assert got(web, "1.2.60.1").ProcedureStepState == "SCHEDULED"
    state = "/1.2.60.1/state"
    assert sent(web, "PUT", state, ProcedureStepState="IN PROGRESS").status_code == 400
    assert sent(web, "PUT", state, ProcedureStepState="IN PROGRESS", TransactionUID=TRANSACTION).status_code == 200
    lost = sent(web, "PUT", state, ProcedureStepState="IN PROGRESS", TransactionUID=OTHER)
    assert (lost.status_code, lost.json()["dimse_status"]) == (409, "C302")
    assert lost.headers["warning"].startswith("299 ")
    early = sent(web, "PUT", state, ProcedureStepState="COMPLETED", TransactionUID=TRANSACTION)
    assert (early.status_code, early.json()["code"]) == (409, "FinalStateIncomplete")
    said = {"UnifiedProcedureStepPerformedProcedureSequence": performed()}
    assert sent(web, "POST", f"/1.2.60.1?{OTHER}", **said).status_code == 409
    assert sent(web, "POST", f"/1.2.60.1?{TRANSACTION}", **said).status_code == 200
    assert sent(web, "PUT", state, ProcedureStepState="COMPLETED", TransactionUID=TRANSACTION).status_code == 200
    again = sent(web, "PUT", state, ProcedureStepState="COMPLETED", TransactionUID=TRANSACTION)
    assert (again.status_code, "COMPLETED" in again.headers["warning"]) == (200, True)
    done = got(web, "1.2.60.1")
    assert done.ProcedureStepState == "COMPLETED"
    assert "TransactionUID" not in done
    assert sent(web, "POST", "/1.2.60.1/cancelrequest").status_code == 409


def test_a_workitem_is_canceled(web: Web) -> None:
    made = web.post(BASE, json=request(), headers={"Content-Type": "application/dicom+json"})
    path = made.headers["location"].removeprefix(BASE)
    assert sent(web, "POST", f"{path}/cancelrequest", ReasonForCancellation="wrong side").status_code == 202
    [progress] = got(web, path.lstrip("/")).ProcedureStepProgressInformationSequence
    assert progress.ReasonForCancellation == "wrong side"
    again = sent(web, "POST", f"{path}/cancelrequest")
    assert (again.status_code, "CANCELED" in again.headers["warning"]) == (202, True)


def test_workitems_are_searched(web: Web) -> None:
    assert create(web, "1.2.60.2", ScheduledProcedureStepPriority="LOW").status_code == 201
    found = web.get(f"{BASE}?ScheduledProcedureStepPriority=LOW&00741000=SCHEDULED&includefield=00404021").json()
    assert [each["00080018"]["Value"] for each in found] == [["1.2.60.2"]]
    [references] = found[0]["00404021"]["Value"]
    assert references["0020000E"]["Value"] == [SERIES]
    by_code = f"ScheduledWorkitemCodeSequence.CodeValue={MODEL}"
    assert len(web.get(f"{BASE}?{by_code}&StudyInstanceUID={STUDY}&limit=1").json()) == 1
    assert web.get(f"{BASE}?{by_code}&limit=1&offset=1").json() != web.get(f"{BASE}?{by_code}&limit=1").json()
    assert web.get(f"{BASE}?PatientID=NOBODY").status_code == 204
    for wrong in ("NoSuchKeyword=1", "limit=many", "PatientID.CodeValue=1", "ScheduledProcedureStepStartDateTime=now"):
        assert web.get(f"{BASE}?{wrong}").status_code == 400, wrong


def test_subscriptions(web: Web, records: Records) -> None:
    assert web.post(f"{BASE}/{GLOBAL}/subscribers/STRANGER").status_code == 404
    assert web.post(f"{BASE}/{FILTERED}/subscribers/WATCHER").status_code == 400
    asked = web.post(
        f"{BASE}/{FILTERED}/subscribers/WATCHER?filter=00741200=HIGH,WorklistLabel=Night&deletionlock=true"
    )
    assert (asked.status_code, asked.headers["warning"].endswith('"Deletion Lock not granted."')) == (201, True)
    [kept] = SqlSubscriptions(records.engine, records.clock).all()
    assert kept.matching is not None
    assert kept.matching["00741200"]["Value"] == ["HIGH"]
    assert web.post(f"{BASE}/{GLOBAL}/subscribers/WATCHER/suspend").status_code == 200
    assert web.post(f"{BASE}/1.2.60.1/subscribers/WATCHER/suspend").status_code == 400
    assert web.delete(f"{BASE}/{GLOBAL}/subscribers/WATCHER").status_code == 200
    assert SqlSubscriptions(records.engine, records.clock).all() == []


def test_what_is_no_workitem_is_refused(web: Web) -> None:
    headers = {"Content-Type": "application/dicom+json"}
    assert web.post(BASE, content=b"{}", headers={"Content-Type": "text/plain"}).status_code == 415
    for wrong in (b"", b"[]", b"not JSON", b"[1]", b"[" * 5000, b'[{"00741000": {"vr": "ZZ", "Value": 7}}]'):
        assert web.post(BASE, content=wrong, headers=headers).status_code == 400, wrong[:20]
    assert web.post(BASE, content=b" " * (MAX_BODY + 1), headers=headers).status_code == 413
    assert create(web, "not-a-uid").status_code == 201  # no UID: the node makes one
    assert web.get(f"{BASE}/9.9.9").status_code == 404
    answer = create(web, "1.2.60.9", PatientID="SOMEBODY ELSE")
    assert (answer.status_code, answer.json()["code"]) == (400, "InvalidAttributeValue")
    assert "SOMEBODY" not in answer.text
