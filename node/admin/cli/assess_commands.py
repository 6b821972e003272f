"""What persons say of results: ``ainode results assess|agreement``."""

from __future__ import annotations

import enum
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Annotated, Any

import typer

from node.admin.cli.options import ConfigOption, JsonOption, records
from node.admin.cli.output import console, line, print_json, table
from node.domain.assessment import CorrectedValue
from node.domain.document import RejectionTitle
from node.domain.result import Outcome
from node.show.assessments import agreement_documents, assessment_document

if TYPE_CHECKING:
    from node.app.records import Records

AGREEMENT_COLUMNS = {
    "model": "model",
    "model_version": "version",
    "scanner": "scanner",
    "accepted": "accepted",
    "corrected": "corrected",
    "rejected": "rejected",
    "excluded": "excluded",
    "ppv": "positive predictive value",
    "agreed": "agreement",
}


class Say(enum.StrEnum):
    ACCEPT = "accept"
    REJECT = "reject"
    CORRECT = "correct"
    UNDO = "undo"


class CorrectedOutcome(enum.StrEnum):
    POSITIVE = "POSITIVE"
    NEGATIVE = "NEGATIVE"


def register(results: typer.Typer) -> None:
    """Below ``ainode results``."""
    results.command("assess")(assess)
    results.command("agreement")(agreement)


def assess(
    context: typer.Context,
    uid: Annotated[str, typer.Argument(metavar="UID", help="Of an object, a series of results, or a study.")],
    say: Annotated[Say, typer.Argument(help="What the person says of the result.")],
    user: Annotated[str, typer.Option("--user", metavar="NAME", help="The account of the person who says so.")],
    reason: Annotated[str, typer.Option("--reason", metavar="TEXT", help="For readers; a rejection needs one.")] = "",
    title: Annotated[RejectionTitle, typer.Option("--title", help="Of a rejection: why, as a code.")] = (
        RejectionTitle.QUALITY
    ),
    outcome: Annotated[
        CorrectedOutcome | None, typer.Option("--outcome", help="Of a correction: what it should have been.")
    ] = None,
    value: Annotated[
        list[str] | None,
        typer.Option("--value", metavar="[N.]CONCEPT=NUMBER", help="Of a correction: a measurement (of finding N)."),
    ] = None,
    config: ConfigOption = None,
    as_json: JsonOption = False,
) -> None:
    """Accept, reject or correct a result. It is sent ten seconds later; until then 'undo' takes it back."""
    from node.app.assessing import assessing, job_named, require_account  # noqa: PLC0415  help needs none of it

    with records(context, config) as opened:
        job, book = job_named(opened, uid), assessing(opened)
        require_account(opened, user)
        if say is Say.UNDO:
            said = book.undo(_latest(opened, job), user)
        elif say is Say.ACCEPT:
            said = book.accept(job, user, reason)
        elif say is Say.REJECT:
            said = book.reject(job, user, reason, title)
        else:
            values = _values(value or (), opened.worklist.job(job)["findings"])
            said = book.correct(job, user, None if outcome is None else Outcome(outcome), values, reason)
    found = assessment_document(said)
    if as_json:
        print_json(found)
        return
    words = f"job {said.job}: {said.word.decision.value} by {said.word.by}, {said.state.value}"
    console().print(line(words), soft_wrap=True)


def agreement(context: typer.Context, config: ConfigOption = None, as_json: JsonOption = False) -> None:
    """How often persons confirmed each model, by version and scanner: positive predictive value and agreement."""
    from node.app.assessing import assessing  # noqa: PLC0415  help needs none of it

    with records(context, config) as opened:
        found = agreement_documents(assessing(opened).agreement())
    if as_json:
        print_json({"agreement": found})
        return
    rows = [
        one | {"ppv": _words(one["positive_predictive_value"]), "agreed": _words(one["agreement"])} for one in found
    ]
    console().print(table("agreement", rows, AGREEMENT_COLUMNS))


def _latest(opened: Records, job: int) -> int:
    """
    Raises:
        typer.BadParameter: nobody has assessed it.
    """
    study = opened.worklist.job(job)["study_instance_uid"]
    said = [one.id for one in opened.assessments.of_study(study) if one.job == job]
    if not said:
        raise typer.BadParameter("nobody has assessed this result")
    return said[-1]


def _values(given: Sequence[str], findings: Sequence[Mapping[str, Any]]) -> list[CorrectedValue]:
    return [_value(one, findings) for one in given]


def _value(given: str, findings: Sequence[Mapping[str, Any]]) -> CorrectedValue:
    """
    Raises:
        typer.BadParameter: it is no number, or names no measurement, or several.
    """
    name, separator, number = given.rpartition("=")
    chosen, dot, concept = name.partition(".")
    only = int(chosen) - 1 if dot and chosen.isdigit() else None
    concept = concept if only is not None else name
    places = [
        (finding, measurement)
        for finding, one in enumerate(findings)
        for measurement, each in enumerate(one["measurements"])
        if each["concept"].lower() == concept.strip().lower() and only in (None, finding)
    ]
    if not separator or len(places) != 1:
        raise typer.BadParameter(f"{given!r} names {len(places)} measurements: [N.]CONCEPT=NUMBER names one")
    try:
        return CorrectedValue(*places[0], float(number))
    except ValueError:
        raise typer.BadParameter(f"{number!r} is no number") from None


def _words(share: Mapping[str, Any]) -> str:
    """As a person reads it: the share, its interval, and of how many."""
    if share["value"] is None:
        return f"- (0 of {share['assessed']})"
    low, high = share["interval_95"]
    counted = f"{share['confirmed']} of {share['assessed']}"
    return f"{100 * share['value']:.0f} % ({100 * low:.0f} to {100 * high:.0f} %; {counted})"
