"""Gathering what is known of open series: read once for each state of a series, asked without waiting, learned from."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from datetime import datetime, timedelta

from node.domain.completeness import Habit, Sender
from node.domain.study import CloseReason, OpenSeries, Series
from node.ports import Catalogue, Closings
from node.route import habits
from node.route.completeness import CompletenessRule
from node.route.images import Images, look_at
from node.route.inquiry import Inquiry, Known
from node.route.proofs import PROOFS, Evidence, can_prove

# Another host's closer may have learned too.
HABITS_READ_AGAIN = timedelta(seconds=10)
# Its images came first: nothing closed before it.
FIRST_REVISION = 1
MISLEADING = frozenset(reason.value for reason in PROOFS)


class Gathering:
    """Without ``closings`` nothing is learned, without ``inquiry`` nobody is asked."""

    def __init__(
        self,
        catalogue: Catalogue,
        rule: CompletenessRule,
        closings: Closings | None = None,
        inquiry: Inquiry | None = None,
    ) -> None:
        self._catalogue = catalogue
        self._rule = rule
        self._closings = closings
        self._inquiry = inquiry
        self._habits: Mapping[Sender, Habit] = {}
        self._habits_read_at: datetime | None = None
        self._images: dict[int, tuple[tuple[int, int], Images]] = {}
        self._last_read: Series | None = None

    def of(self, series: OpenSeries, as_of: datetime) -> Evidence:
        """What is known of ``series`` now. Headers are read and sources asked only when they could prove something."""
        habit = self._habit(series, as_of)
        if not can_prove(series, as_of, self._rule.settle_s):
            return Evidence(series, habit)
        known = self._inquiry.about(series) if self._inquiry is not None else Known()
        by_study = any(one.count.of_series is None and one.count.of_study is not None for one in known.answers)
        of_study = 0
        if by_study and self._closings is not None:
            of_study = self._closings.instances_of_study(series.study_instance_uid)
        return Evidence(series, habit, self._images_of(series), known.answers, known.asking, of_study)

    def series(self, series: OpenSeries) -> Series:
        """The series with its instances; not read again where it was read for its headers in this turn."""
        read, self._last_read = self._last_read, None
        state = (series.series_id, series.revision, series.instances)
        if read is not None and (read.series_id, read.revision, len(read.instances)) == state:
            return read
        return self._catalogue.series(series.series_id)

    def learn(self, series: OpenSeries, closed: Series, now: datetime) -> None:
        """What the closing of ``series`` teaches about its sender."""
        if self._closings is None:
            return
        silence_s = habits.longest_silence_s(closed.instances, self._rule.longest_s)
        misled_by = self._misled_by(closed)
        sender = Sender(series.calling_ae, series.modality)
        habit = self._closings.learn(sender, lambda before: habits.after_closing(before, silence_s, misled_by))
        self._habits = {**self._known_habits(now), sender: habit}

    def forget_all_but(self, series_ids: Collection[int]) -> None:
        """Series that are open no longer are of no interest."""
        self._images = {one: found for one, found in self._images.items() if one in series_ids}
        self._last_read = None
        if self._inquiry is not None:
            self._inquiry.forget_all_but(series_ids)

    def _misled_by(self, closed: Series) -> CloseReason | None:
        """The kind of evidence that closed the revision before this one, where a further image came soon after."""
        assert self._closings is not None
        if closed.revision <= FIRST_REVISION:
            return None
        earlier = self._closings.earlier(closed.series_id, closed.revision - 1)
        if earlier is None or earlier.reason not in MISLEADING:
            return None
        late = min((one.received_at for one in closed.instances if one.received_at > earlier.closed_at), default=None)
        soon = late is not None and (late - earlier.closed_at).total_seconds() <= self._rule.longest_s
        return CloseReason(earlier.reason) if soon else None

    def _images_of(self, series: OpenSeries) -> Images:
        state = (series.revision, series.instances)
        known = self._images.get(series.series_id)
        if known is not None and known[0] == state:
            return known[1]
        self._last_read = self._catalogue.series(series.series_id)
        images = look_at(self._last_read)
        self._images[series.series_id] = (state, images)
        return images

    def _habit(self, series: OpenSeries, now: datetime) -> Habit:
        return self._known_habits(now).get(Sender(series.calling_ae, series.modality), Habit())

    def _known_habits(self, now: datetime) -> Mapping[Sender, Habit]:
        stale = self._habits_read_at is None or now >= self._habits_read_at + HABITS_READ_AGAIN
        if self._closings is not None and stale:
            self._habits = self._closings.habits()
            self._habits_read_at = now
        return self._habits
