"""What each destination is sent: as configured, and fitted to what it says that it takes."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator, Mapping
from dataclasses import replace
from datetime import datetime, timedelta
from typing import Any

from node.config import Config, DimseDestination, ForObjects, Served, Told
from node.database.destination_rows import SqlDestinations
from node.domain.rendition import Rendition, Wishes
from node.errors import AinodeError
from node.ports import Clock

ASK_AGAIN_AFTER = timedelta(seconds=5)


def wishes(config: Config) -> dict[str, Wishes]:
    """What each destination is sent, by its name, as configured."""
    return {one.name: _wishes(one) for one in config.destinations}


class FittedWishes(Mapping[str, Wishes]):
    """As configured, and fitted to what each destination said that it takes: asked for anew now and then.

    What does not know it yet, or cannot ask, goes by the configuration alone.
    """

    def __init__(self, config: Config, known: SqlDestinations, clock: Clock) -> None:
        self._configured = wishes(config)
        self._negotiating = {one.name for one in config.destinations if isinstance(one, DimseDestination)}
        self._known = known
        self._clock = clock
        self._asked_at: datetime | None = None
        self._fitted = self._configured

    def __getitem__(self, name: str) -> Wishes:
        return self._now()[name]

    def __iter__(self) -> Iterator[str]:
        return iter(self._configured)

    def __len__(self) -> int:
        return len(self._configured)

    def _now(self) -> Mapping[str, Wishes]:
        now = self._clock.now()
        if self._asked_at is None or not timedelta(0) <= now - self._asked_at < ASK_AGAIN_AFTER:
            with contextlib.suppress(AinodeError):
                # What another kind of destination said that had the same name is nothing to this one.
                takes = {name: said for name, said in self._known.takes().items() if name in self._negotiating}
                self._fitted = fitted(self._configured, takes)
            self._asked_at = now
        return self._fitted


def fitted(configured: Mapping[str, Wishes], takes: Mapping[str, Mapping[str, Any]]) -> dict[str, Wishes]:
    """``takes`` is what some destinations said: ``label_maps``, whether they take them. Pure."""
    return {
        name: replace(one, no_label_maps=takes.get(name, {}).get("label_maps") is False)
        for name, one in configured.items()
    }


def _wishes(settings: Served) -> Wishes:
    if not isinstance(settings, ForObjects):
        chosen = frozenset(settings.outcomes) if isinstance(settings, Told) else None
        return Wishes(main_report_only=True, outcomes=chosen)
    return Wishes(
        frozenset(Rendition(kind.upper()) for kind in settings.pictures),
        None if settings.segmentation == "model" else Rendition(settings.segmentation.upper()),
    )
