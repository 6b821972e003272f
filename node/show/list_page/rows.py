"""Lines of the worklist as rows of the page: in a visitor's language, at a moment."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Any

from markupsafe import Markup, escape

from node.domain.result import Outcome
from node.show import reading
from node.show.language import LANGUAGES
from node.show.line import arrived_key
from node.show.pages import Pages
from node.show.visitor import Visitor

Document = Mapping[str, Any]
# What is said of more would not fit, and of a job that is this late nothing honest can be said.
A_MINUTE_S = 60
SHOWN_FIRST = (Outcome.POSITIVE, Outcome.FAILED, Outcome.PENDING, Outcome.NOT_EVALUABLE, Outcome.WITHDRAWN)


class Rows:
    def __init__(self, pages: Pages) -> None:
        self._pages = pages
        # The same in every row: rendered once.
        self._chips = {
            language: {one.value: pages.text(Visitor(language=language), "_chip.html", outcome=one) for one in Outcome}
            for language in LANGUAGES
        }

    def html(self, study: Document, visitor: Visitor, now: datetime, done_at: Mapping[int, datetime]) -> Markup:
        """``done_at`` is when jobs will be done, where that is known."""
        chips = [
            self._chip(one, visitor, now, done_at) for one in study["models"] if one["outcome"] != Outcome.NOT_WANTED
        ]
        chips.sort(key=lambda one: SHOWN_FIRST.index(one["outcome"]) if one["outcome"] in SHOWN_FIRST else 99)
        return self._pages.text(
            visitor,
            "_row.html",
            study=study,
            arrived=arrived_key(datetime.fromisoformat(study["received_at"]), study["study_instance_uid"]),
            age=self._age(study, visitor, now),
            name=reading.person_name(study["patient"]["name"], visitor.language),
            years=reading.age_years(study["patient"]["birth_date"], study["acquired_at"]),
            chips=chips,
            chip_not_wanted=self._chips[visitor.language][Outcome.NOT_WANTED],
            not_wanted=[one["model"] for one in study["models"] if one["outcome"] == Outcome.NOT_WANTED],
            dots=self._dots(study["delivery"], visitor),
        )

    def _age(self, study: Document, visitor: Visitor, now: datetime) -> Markup:
        """Since the acquisition, in local time; since the reception where it is not known, or not over yet."""
        received = datetime.fromisoformat(study["received_at"])
        acquired, known = received, False
        if study["acquired_at"] and "T" in study["acquired_at"]:
            stated = datetime.fromisoformat(study["acquired_at"]).astimezone()
            known = stated <= now
            acquired = stated if known else received
        unit, count = reading.ago((now - acquired).total_seconds())
        words = self._pages.say(visitor, unit, n=count)
        told = f"{self._pages.say(visitor, 'list.received')} {received.astimezone(UTC):%Y-%m-%d %H:%M:%S} UTC"
        if study["acquired_at"]:
            stated_words = study["acquired_at"].replace("T", " ")
            told = f"{self._pages.say(visitor, 'list.acquired_local', at=stated_words)}, {told}"
        machine = acquired.astimezone(UTC).isoformat(timespec="seconds")
        return Markup(  # noqa: S704  escaped
            f'<time datetime="{machine}" data-ago title="{escape(told)}">{escape(words)}</time>'
        )

    def _chip(self, one: Document, visitor: Visitor, now: datetime, done_at: Mapping[int, datetime]) -> dict[str, Any]:
        finding = one["finding"]
        title = [one["model"]]
        if finding is not None:
            title.append(f"{finding['concept']} {reading.key_number(finding)}".strip())
            title += [f"p = {finding['probability']:.2f}"] if finding["probability"] is not None else []
        if one["reason"]:
            title.append(one["reason"])
        due = [done_at[job] for job in one["jobs"] if job in done_at] if one["jobs"] else []
        # The study waits for all of them.
        last = max(due) if due and len(due) == len(one["jobs"]) else None
        receiving = one["outcome"] == Outcome.PENDING and not one["jobs"]
        return {
            "model": one["model"],
            "outcome": one["outcome"],
            "chip": self._chips[visitor.language][one["outcome"]],
            "number": reading.key_number(finding),
            "title": ", ".join(title),
            "done_at": None if last is None else last.astimezone(UTC).isoformat(timespec="seconds"),
            "eta": self._pages.say(visitor, "list.receiving") if receiving else self._eta(last, visitor, now),
        }

    def _eta(self, done_at: datetime | None, visitor: Visitor, now: datetime) -> str:
        if done_at is None:
            return ""
        left_s = (done_at - now).total_seconds()
        if left_s < 0:
            return self._pages.say(visitor, "eta.late")
        if left_s < 2 * A_MINUTE_S:
            return self._pages.say(visitor, "eta.seconds", n=max(5, round(left_s / 5) * 5))
        return self._pages.say(visitor, "eta.minutes", n=round(left_s / A_MINUTE_S))

    def _dots(self, delivery: Document, visitor: Visitor) -> list[dict[str, str]]:
        say = self._pages.say
        return [
            {"state": state, "words": str(say(visitor, f"dot.state.{state}", what=say(visitor, f"dot.{what}")))}
            for what, state in reading.dots(delivery)
        ]
