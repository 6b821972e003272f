"""Accept, reject, correct, undo: by the forms of the page and by the API; and how often models were confirmed."""

from __future__ import annotations

import math
from typing import Annotated, Any, Literal

from fastapi import APIRouter, HTTPException, Path, Request
from fastapi.responses import HTMLResponse, RedirectResponse
from pydantic import BaseModel, Field

from node.domain.assessment import REASON_LENGTH, Assessment, CorrectedValue
from node.domain.document import RejectionTitle
from node.domain.identity import require_uid
from node.domain.result import Outcome
from node.errors import NotFound
from node.show.assessments import agreement_documents, assessment_document
from node.show.pages import Pages
from node.show.session import Acting, Calling, Operator
from node.show.site import Site
from node.show.visitor import Visiting

VALUE = "value."
Study = Annotated[str, Path(description="Study Instance UID", max_length=64)]
Id = Annotated[int, Path(ge=0, le=2**53)]


class Value(BaseModel):
    """Another number for a measurement, in its unit; finding and measurement count from 0."""

    finding: Annotated[int, Field(ge=0, le=10000)]
    measurement: Annotated[int, Field(ge=0, le=10000)]
    value: Annotated[float, Field(allow_inf_nan=False)]


class Said(BaseModel):
    """What a person says of a result."""

    decision: Literal["ACCEPT", "REJECT", "CORRECT"]
    reason: Annotated[str, Field(max_length=REASON_LENGTH)] = ""
    title: RejectionTitle = RejectionTitle.QUALITY
    outcome: Literal["POSITIVE", "NEGATIVE"] | None = None
    values: Annotated[list[Value], Field(max_length=1000)] = []


def assessing_router(site: Site, pages: Pages) -> APIRouter:
    router = APIRouter()

    @router.post("/studies/{study}/assess", include_in_schema=False)
    def by_form(study: Study, operator: Acting) -> RedirectResponse:
        if operator.field("decision") == "undo":
            assessment = _whole(operator.field("assessment"))
            _require_of_study(site, study, assessment)
            job = site.assessments.undo(assessment, operator.name).job
        else:
            job = _whole(operator.field("job"))
            _require_job(site, study, job)
            _say(site, job, operator.name, _said(operator))
        return RedirectResponse(f"/studies/{study}?job={job}#result-{job}", 303)

    @router.get("/agreement", include_in_schema=False)
    def agreement_page(request: Request, visitor: Visiting) -> HTMLResponse:
        rows = agreement_documents(site.assessments.agreement())
        return pages.page(request, visitor, "agreement.html", rows=rows)

    @router.get("/api/v1/agreement", tags=["assessments"])
    def agreement() -> dict[str, Any]:
        """Positive predictive value and agreement by model, version and scanner."""
        return {"agreement": agreement_documents(site.assessments.agreement())}

    @router.get("/api/v1/studies/{study}/assessments", tags=["assessments"])
    def assessments(study: Study) -> dict[str, Any]:
        """Everything that persons said of the results of a study, the oldest first."""
        said = site.assessments.of_study(require_uid(study, "UID"))
        return {"assessments": [assessment_document(one) for one in said]}

    @router.post("/api/v1/studies/{study}/jobs/{job}/assessments", tags=["assessments"], status_code=201)
    def assess(study: Study, job: Id, said: Said, caller: Calling) -> dict[str, Any]:
        """Sent ten seconds later; until then it can be undone."""
        _require_job(site, study, job)
        return assessment_document(_say(site, job, caller.name, said))

    @router.post("/api/v1/studies/{study}/assessments/{assessment}/undo", tags=["assessments"])
    def undo(study: Study, assessment: Id, caller: Calling) -> dict[str, Any]:
        """Within ten seconds, by the person who said it."""
        _require_of_study(site, study, assessment)
        return assessment_document(site.assessments.undo(assessment, caller.name))

    return router


def _say(site: Site, job: int, by: str, said: Said) -> Assessment:
    if said.decision == "ACCEPT":
        return site.assessments.accept(job, by, said.reason)
    if said.decision == "REJECT":
        return site.assessments.reject(job, by, said.reason, said.title)
    outcome = None if said.outcome is None else Outcome(said.outcome)
    values = [CorrectedValue(one.finding, one.measurement, one.value) for one in said.values]
    return site.assessments.correct(job, by, outcome, values, said.reason)


def _said(operator: Operator) -> Said:
    """What the fields of the form say; a number that was not changed is no correction.

    Raises:
        HTTPException: a field that no form of ours sends.
    """
    fields = {key: operator.field(key) for key in ("decision", "reason", "title", "outcome") if operator.field(key)}
    fields["decision"] = fields.get("decision", "").upper()
    given: dict[str, Any] = {
        **fields,
        "values": [_value(key, operator) for key in operator.form if _changed(key, operator)],
    }
    try:
        return Said.model_validate(given)
    except ValueError as error:
        raise HTTPException(422, "the form is not as it should be") from error


def _changed(key: str, operator: Operator) -> bool:
    """The number that stood in the field when the page was made goes with it."""
    return key.startswith(VALUE) and operator.field(key).strip() not in ("", operator.field(f"was.{key}").strip())


def _value(key: str, operator: Operator) -> dict[str, Any]:
    finding, _, measurement = key.removeprefix(VALUE).partition(".")
    try:
        value = float(operator.field(key).replace(",", "."))
    except ValueError:
        value = math.nan
    if math.isnan(value):
        raise HTTPException(422, "a corrected value is a number")
    return {"finding": _whole(finding), "measurement": _whole(measurement), "value": value}


def _whole(text: str) -> int:
    if not text.isascii() or not text.isdigit() or len(text) > 15:
        raise HTTPException(422, "a number is missing")
    return int(text)


def _require_job(site: Site, study: str, job: int) -> None:
    """
    Raises:
        NotFound: there is no such job of this study.
    """
    if site.worklist.job(job)["study_instance_uid"] != require_uid(study, "UID"):
        raise NotFound(f"no job {job} of this study")


def _require_of_study(site: Site, study: str, assessment: int) -> None:
    """
    Raises:
        NotFound: nobody said that of this study.
    """
    if assessment not in {one.id for one in site.assessments.of_study(require_uid(study, "UID"))}:
        raise NotFound(f"no assessment {assessment} of this study")
