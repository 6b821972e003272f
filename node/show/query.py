"""The filters of the worklist as they stand in an address: of the page, of the API and of the stream of events."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Annotated, Any, Literal
from urllib.parse import urlencode

from fastapi import Depends, Query

from node.domain.result import Outcome
from node.show.wanted import Wanted

PERIODS: Mapping[str, timedelta] = {
    "1h": timedelta(hours=1),
    "24h": timedelta(hours=24),
    "7d": timedelta(days=7),
    "30d": timedelta(days=30),
}
Period = Literal["", "1h", "24h", "7d", "30d"]
Order = Literal["", "urgency", "age"]


@dataclass(frozen=True, slots=True)
class Asked:
    modality: str
    outcome: Outcome | None
    model: str
    period: Period
    unassessed: bool
    q: str
    sort: Order

    def wanted(self, now: datetime) -> Wanted:
        return Wanted(
            modality=self.modality or None,
            outcome=None if self.outcome is None else self.outcome.value,
            model=self.model or None,
            since=now - PERIODS[self.period] if self.period else None,
            unassessed=self.unassessed,
            text=self.q,
        )

    def written(self, **more: Any) -> str:
        """As the query of an address; without what is not asked for."""
        parts: dict[str, Any] = {
            "modality": self.modality,
            "outcome": "" if self.outcome is None else self.outcome.value,
            "model": self.model,
            "period": self.period,
            "unassessed": "1" if self.unassessed else "",
            "q": self.q,
            "sort": "age" if self.by_age else "",
            **more,
        }
        return urlencode({key: value for key, value in parts.items() if value})

    @property
    def by_age(self) -> bool:
        return self.sort == "age"


def _asked(
    modality: Annotated[str, Query(max_length=16, description="Of one of the study's series.")] = "",
    outcome: Annotated[
        Outcome | Literal[""], Query(description="Of one of its models, or of the model asked for.")
    ] = "",
    model: Annotated[str, Query(max_length=64, description="A model that the study is wanted for.")] = "",
    period: Annotated[Period, Query(description="Received within.")] = "",
    unassessed: Annotated[bool, Query(description="Only what a model judged and nobody answered.")] = False,
    q: Annotated[
        str, Query(max_length=200, description="Beginnings of words of name, patient ID, accession and description.")
    ] = "",
    sort: Annotated[Order, Query(description="urgency (then the newest first), or age: the newest first.")] = "",
) -> Asked:
    return Asked(modality, outcome or None, model, period, unassessed, q, sort)


Filters = Annotated[Asked, Depends(_asked)]
