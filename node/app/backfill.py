"""Many studies from archives, day by day and not too fast. What came once is not fetched again: it may be repeated."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from datetime import date, timedelta

from node.app.fetching import Fetched, Fetching, FetchState
from node.domain.retrieval import RemoteStudy, StudySearch
from node.errors import DeliveryError
from node.ports.retrieval import Archive

# An archive that fails so often in a row is left alone: the rest is for another time.
MOST_FAILURES = 3


@dataclass(frozen=True, slots=True)
class Range:
    """Which studies: by their Study Date, both ends included, and a modality (any where it is empty)."""

    first: date
    last: date
    modality: str = ""

    def days(self) -> Iterator[str]:
        """As DICOM writes them."""
        for number in range((self.last - self.first).days + 1):
            yield (self.first + timedelta(days=number)).strftime("%Y%m%d")


@dataclass(slots=True)
class Progress:
    """``found`` studies were looked at, ``skipped`` of them came in an earlier run or were here already.

    ``limited``: more would have been fetched. ``days_failed`` could not be asked about.
    """

    found: int = 0
    skipped: int = 0
    fetched: int = 0
    limited: bool = False
    given_up: bool = False
    failed: list[Fetched] = field(default_factory=list)
    days_failed: list[tuple[str, DeliveryError]] = field(default_factory=list)

    @property
    def ok(self) -> bool:
        return not self.failed and not self.days_failed and not self.given_up


class Pace:
    """At most so many a minute; None: as fast as it goes."""

    def __init__(
        self,
        per_minute: float | None,
        now: Callable[[], float] = time.monotonic,
        sleep: Callable[[float], None] = time.sleep,
    ) -> None:
        self._interval_s = 60.0 / per_minute if per_minute else 0.0
        self._now = now
        self._sleep = sleep
        self._next_at = now()

    def wait(self) -> None:
        """Until the next one may begin."""
        left_s = self._next_at - self._now()
        if left_s > 0:
            self._sleep(left_s)
        self._next_at = max(self._now(), self._next_at) + self._interval_s


def backfill(
    fetching: Fetching,
    wanted: Range,
    pace: Pace,
    limit: int | None = None,
    tell: Callable[[str, Progress], None] = lambda day, progress: None,
) -> Progress:
    """Fetch what ``wanted`` names, ``limit`` studies at most; ``tell`` is called after every study and every day."""
    progress, in_a_row = Progress(), 0
    for day in wanted.days():
        for archive in fetching.archives:
            try:
                studies = archive.studies(StudySearch(first_date=day, last_date=day, modality=wanted.modality))
            except DeliveryError as error:
                progress.days_failed.append((day, error))
                studies, in_a_row = [], in_a_row + 1
            for study in sorted(studies, key=lambda one: one.study_instance_uid):
                used_up = progress.fetched + len(progress.failed) == limit
                if used_up and not fetching.was_fetched(study.study_instance_uid):
                    progress.limited = True
                    return progress
                state = _fetch(fetching, archive, study, pace, progress)
                in_a_row = in_a_row + 1 if state is FetchState.FAILED else 0
                tell(day, progress)
                if in_a_row == MOST_FAILURES:
                    break
            if in_a_row >= MOST_FAILURES:
                progress.given_up = True
                return progress
        tell(day, progress)
    return progress


def _fetch(
    fetching: Fetching, archive: Archive, study: RemoteStudy, pace: Pace, progress: Progress
) -> FetchState | None:
    """What became of it; None where nothing had to be done."""
    progress.found += 1
    if fetching.was_fetched(study.study_instance_uid):
        progress.skipped += 1
        return None
    pace.wait()
    fetched = fetching.fetch(archive, study)
    if fetched.state is FetchState.FAILED:
        progress.failed.append(fetched)
    elif fetched.state is FetchState.HELD:
        progress.skipped += 1
    else:
        progress.fetched += 1
    return fetched.state
