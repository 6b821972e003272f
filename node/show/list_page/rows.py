"""Lines of the worklist as rows of the page: in a visitor's language, at a moment."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime
from functools import lru_cache
from typing import Any, NamedTuple

from markupsafe import Markup, escape

from node.domain.result import Outcome
from node.show import reading
from node.show.concepts import named
from node.show.language import LANGUAGES
from node.show.line import arrived_key
from node.show.pages import Pages
from node.show.reasons import in_chinese
from node.show.visitor import Visitor

Document = Mapping[str, Any]
# What is said of more would not fit, and of a job that is this late nothing honest can be said.
A_MINUTE_S = 60
SHOWN_FIRST = (Outcome.POSITIVE, Outcome.FAILED, Outcome.PENDING, Outcome.NOT_EVALUABLE, Outcome.WITHDRAWN)


# So many rows are kept: those of some pages, of which a busy day shows the same again and again.
KEPT = 2000
# Of a model: when its jobs will be done, as a machine reads it, and in words; each may be missing.
Wait = tuple[str | None, str]


@dataclass(frozen=True, slots=True)
class Written:
    """A study by its content, so that it can be looked up: ``text`` is its JSON."""

    text: str
    study: Document = field(compare=False)


class Since(NamedTuple):
    """Unit and amount of a study's age, and the time that it is counted from as a machine reads it."""

    unit: str
    amount: int
    machine: str


class Rows:
    """A row depends on nothing but the study, the language and, in minutes, the time: one that was rendered is kept."""

    def __init__(self, pages: Pages) -> None:
        self._pages = pages
        # The same in every row: rendered once.
        self._chips = {
            language: {one.value: pages.text(Visitor(language=language), "_chip.html", outcome=one) for one in Outcome}
            for language in LANGUAGES
        }
        self._rendered = lru_cache(maxsize=KEPT)(self._render)
        self._dots = lru_cache(maxsize=KEPT)(self._render_dots)

    def html(self, study: Document, visitor: Visitor, now: datetime, done_at: Mapping[int, datetime]) -> Markup:
        """``done_at`` is when jobs will be done, where that is known."""
        waits = tuple(self._wait(one, visitor, now, done_at) for one in study["models"])
        return self._rendered(visitor.language, Written(json.dumps(study), study), _since(study, now), waits)

    def _render(self, language: str, written: Written, since: Since, waits: tuple[Wait, ...]) -> Markup:
        """Not for one visitor: what is kept must not tell who asked first."""
        study, visitor = written.study, Visitor(language=language)
        chips = [
            self._chip(one, visitor, wait)
            for one, wait in zip(study["models"], waits, strict=True)
            if one["outcome"] != Outcome.NOT_WANTED
        ]
        chips.sort(key=lambda one: SHOWN_FIRST.index(one["outcome"]) if one["outcome"] in SHOWN_FIRST else 99)
        return self._pages.text(
            visitor,
            "_row.html",
            study=study,
            arrived=arrived_key(datetime.fromisoformat(study["received_at"]), study["study_instance_uid"]),
            age=self._age(study, visitor, since),
            name=reading.person_name(study["patient"]["name"], language),
            years=reading.age_years(study["patient"]["birth_date"], study["acquired_at"]),
            chips=chips,
            chip_not_wanted=self._chips[language][Outcome.NOT_WANTED],
            not_wanted=[one["model"] for one in study["models"] if one["outcome"] == Outcome.NOT_WANTED],
            dots=self._dots(language, *reading.dots(study["delivery"])),
        )

    def _age(self, study: Document, visitor: Visitor, since: Since) -> Markup:
        """Since the acquisition, in local time; since the reception where it is not known, or not over yet."""
        received = datetime.fromisoformat(study["received_at"]).astimezone(UTC)
        words = self._pages.say(visitor, since.unit, n=since.amount)
        told = f"{self._pages.say(visitor, 'list.received')} {received:%Y-%m-%d %H:%M:%S} UTC"
        if study["acquired_at"]:
            stated_words = study["acquired_at"].replace("T", " ")
            told = f"{self._pages.say(visitor, 'list.acquired_local', at=stated_words)}, {told}"
        return Markup(  # noqa: S704  escaped
            f'<time datetime="{since.machine}" data-ago title="{escape(told)}">{escape(words)}</time>'
        )

    def _chip(self, one: Document, visitor: Visitor, wait: Wait) -> dict[str, Any]:
        finding = one["finding"]
        concept = "" if finding is None else named(finding["concept"], visitor.language)
        title = [one["model"]]
        if finding is not None:
            title.append(f"{concept} {reading.key_number(finding)}".strip())
            title += [f"p = {finding['probability']:.2f}"] if finding["probability"] is not None else []
        if one["reason"]:
            title.append(_reason(one, visitor))
        done_at, eta = wait
        return {
            "model": one["model"],
            "outcome": one["outcome"],
            "chip": self._chips[visitor.language][one["outcome"]],
            "concept": concept,
            "number": reading.key_number(finding),
            "title": ", ".join(title),
            "done_at": done_at,
            "eta": eta,
        }

    def _wait(self, one: Document, visitor: Visitor, now: datetime, done_at: Mapping[int, datetime]) -> Wait:
        if not one["jobs"]:
            return None, self._pages.say(visitor, "list.receiving") if one["outcome"] == Outcome.PENDING else ""
        due = [done_at[job] for job in one["jobs"] if job in done_at]
        # The study waits for all of them.
        last = max(due) if len(due) == len(one["jobs"]) else None
        machine = None if last is None else last.astimezone(UTC).isoformat(timespec="seconds")
        return machine, self._eta(last, visitor, now)

    def _eta(self, done_at: datetime | None, visitor: Visitor, now: datetime) -> str:
        if done_at is None:
            return ""
        left_s = (done_at - now).total_seconds()
        if left_s < 0:
            return self._pages.say(visitor, "eta.late")
        if left_s < 2 * A_MINUTE_S:
            return self._pages.say(visitor, "eta.seconds", n=max(5, round(left_s / 5) * 5))
        return self._pages.say(visitor, "eta.minutes", n=round(left_s / A_MINUTE_S))

    def _render_dots(self, language: str, *states: tuple[str, str]) -> Markup:
        """Few can be told apart: a row takes them as they are."""
        visitor, say = Visitor(language=language), self._pages.say
        dots = [
            {"state": state, "words": say(visitor, f"dot.state.{state}", what=say(visitor, f"dot.{what}"))}
            for what, state in states
        ]
        return self._pages.text(visitor, "_dots.html", dots=dots)


def _since(study: Document, now: datetime) -> Since:
    acquired = datetime.fromisoformat(study["received_at"])
    if study["acquired_at"] and "T" in study["acquired_at"]:
        stated = datetime.fromisoformat(study["acquired_at"]).astimezone()
        acquired = stated if stated <= now else acquired
    unit, amount = reading.ago((now - acquired).total_seconds())
    return Since(unit, amount, acquired.astimezone(UTC).isoformat(timespec="seconds"))


def _reason(one: Document, visitor: Visitor) -> str:
    """Why there is no evaluation; a line of an earlier version has no code of it."""
    code = one.get("reason_code")
    return in_chinese(code, ()) if visitor.language == "zh" and code else str(one["reason"])
