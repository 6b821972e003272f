"""What closed series teach about their sender. Pure.

Two things are learned for each (calling AE title, modality):

- How long the sender is silent between two associations that bring images of one series. Silences while an association
  is open say nothing about that. The longest one of each series is kept; longer ones than any quiet period could
  bridge are additions, not pauses, and teach nothing.
- Which kind of evidence has misled us: a series that it closed got a further image soon after.

A quiet period cuts off no more than 1 % of the series when it is the 0.99 quantile of these silences, taken at rank
0.99 (n + 1) so that it holds for a future series: of the last 100 that is the longest. A margin is added, as nobody's
past is his future. Before there are enough series, habits may lengthen the configured period but not shorten it.
"""

from __future__ import annotations

import itertools
import math
from collections.abc import Sequence

from node.domain.completeness import Habit
from node.domain.study import CloseReason, StoredInstance

QUANTILE = 0.99
MARGIN = 2.0
REMEMBERED = 100
ENOUGH = 20
DISTRUSTED_FOR = 50


def quiet_period_s(habit: Habit, configured_s: float, min_s: float, max_s: float) -> float:
    """The quiet period that the sender's habit asks for, within the bounds."""
    if not habit.silences_s:
        return configured_s
    learned = min(max(MARGIN * _quantile(habit.silences_s), min_s), max_s)
    return learned if len(habit.silences_s) >= ENOUGH else max(learned, configured_s)


def longest_silence_s(instances: Sequence[StoredInstance], max_s: float) -> float:
    """The longest time, up to ``max_s``, between an instance and the next one that another association brought."""
    arrivals = sorted(instances, key=lambda one: one.received_at)
    silences = (
        (after.received_at - before.received_at).total_seconds()
        for before, after in itertools.pairwise(arrivals)
        if before.association_id is None or before.association_id != after.association_id
    )
    return max((silence for silence in silences if silence <= max_s), default=0.0)


def after_closing(habit: Habit, silence_s: float, misled_by: CloseReason | None) -> Habit:
    """The habit once a further series was closed."""
    distrusted = {reason: left - 1 for reason, left in habit.distrusted.items() if left > 1}
    if misled_by is not None:
        distrusted[misled_by.value] = DISTRUSTED_FOR
    return Habit((*habit.silences_s, round(silence_s, 3))[-REMEMBERED:], distrusted)


def _quantile(values: Sequence[float]) -> float:
    rank = min(math.ceil(QUANTILE * (len(values) + 1)), len(values))
    return sorted(values)[rank - 1]
