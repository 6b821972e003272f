"""Is a series complete? There is no marker for it in DICOM, so it is decided by evidence, and the evidence is kept.

In this order:

1. An operator's word (``by_word``).
2. Proof that nothing is missing: see ``proofs``.
3. Silence. Every association that contributed has ended: complete one quiet period after the later of the last
   instance and the last end of an association (a sender may open the next association for the same series at once).
   The period is learned from the sender's habits where it may be, see ``habits``, else the configured one. A
   contributing association is still open (some modalities keep one for hours): complete after the longer
   ``open_association_quiet_s`` without an instance.

Silence closes even a series of which something is known to be missing: who waits for ever for an image that was never
sent helps nobody, and a late one makes a new revision. Evidence never makes anybody wait longer.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime, timedelta

from node.domain.study import CloseReason, Closure, OpenSeries, Value
from node.route import habits, proofs
from node.route.proofs import Evidence, last_event_at


@dataclass(frozen=True, slots=True)
class CompletenessRule:
    """Seconds. ``quiet_min_s`` and ``quiet_max_s`` bound what is learned; the configured period is always allowed."""

    quiet_period_s: float
    open_association_quiet_s: float
    learned: bool = True
    quiet_min_s: float = 1.0
    quiet_max_s: float = 60.0

    @property
    def settle_s(self) -> float:
        """The shortest time without an instance that means anything while an association is open."""
        return min(self.quiet_min_s, self.quiet_period_s)

    @property
    def longest_s(self) -> float:
        return max(self.quiet_max_s, self.quiet_period_s)


def quiet_period_s(evidence: Evidence, rule: CompletenessRule) -> float:
    """The quiet period that holds for the sender of this series."""
    if not rule.learned:
        return rule.quiet_period_s
    return habits.quiet_period_s(evidence.habit, rule.quiet_period_s, rule.settle_s, rule.longest_s)


def next_decision_at(series: OpenSeries, quiet_period_s: float, open_association_quiet_s: float) -> datetime:
    """The earliest time at which silence can close it, if nothing more arrives and no association ends."""
    if series.open_associations > 0:
        return series.last_instance_at + timedelta(seconds=max(quiet_period_s, open_association_quiet_s))
    return last_event_at(series) + timedelta(seconds=quiet_period_s)


def decide(
    evidence: Evidence, now: datetime, rule: CompletenessRule, recorded_until: datetime | None = None
) -> Closure | None:
    """The closure with its evidence (times in ISO 8601, durations in seconds), or None while it is too early.

    ``recorded_until``: what was received later has no row yet, so nobody was seen to be silent after it.
    """
    if evidence.series.instances < 1:
        return None
    as_of = now if recorded_until is None else min(now, recorded_until)
    proof = proofs.prove(evidence, as_of, rule.settle_s)
    if proof is not None:
        return Closure(proof.reason, {**_times(evidence.series, now, as_of), **proof.found})
    return _silence(evidence, now, as_of, rule)


def by_word(series: OpenSeries, now: datetime, operator: str) -> Closure:
    """The closure of a series of which an operator says that it is complete."""
    said: dict[str, Value] = {"operator": operator}
    return Closure(CloseReason.OPERATOR, _times(series, now, now) | said)


def _silence(evidence: Evidence, now: datetime, as_of: datetime, rule: CompletenessRule) -> Closure | None:
    series = evidence.series
    quiet_s = quiet_period_s(evidence, rule)
    if as_of < next_decision_at(series, quiet_s, rule.open_association_quiet_s):
        return None
    still_open = series.open_associations > 0
    found: dict[str, Value] = {
        "quiet_needed_s": round(max(quiet_s, rule.open_association_quiet_s) if still_open else quiet_s, 3),
    }
    if quiet_s != rule.quiet_period_s and not still_open:
        found["quiet_learned_from"] = len(evidence.habit.silences_s)
    lacking: list[Value] = [*proofs.missing(evidence), *_of_no_use(evidence)]
    if lacking:
        found["lacking"] = lacking
    reason = CloseReason.QUIET if still_open else CloseReason.ASSOCIATION_RELEASED
    return Closure(reason, _times(series, now, as_of) | found)


def _of_no_use(evidence: Evidence) -> Iterator[str]:
    """What else the sources said, or did not."""
    for answer in evidence.answers:
        count = answer.count
        if answer.error:
            yield f"source {answer.source} did not answer: {answer.error}"
        elif count.of_series is not None and count.of_series < evidence.series.instances:
            yield f"source {answer.source} counts only {count.of_series} instances"
        elif count.of_series is None and count.of_study is not None:
            yield f"source {answer.source} counts {count.of_study} instances of the study, {evidence.of_study} are here"
        elif count.of_series is None:
            yield f"source {answer.source} does not know the series"


def _times(series: OpenSeries, now: datetime, as_of: datetime) -> dict[str, Value]:
    """What every closure tells. ``instances`` fences it: one that comes meanwhile is not overlooked."""
    ended = series.last_association_ended_at
    since = series.last_instance_at if series.open_associations > 0 else last_event_at(series)
    return {
        "decided_at": now.isoformat(),
        "instances": series.instances,
        "last_instance_at": series.last_instance_at.isoformat(),
        "last_association_ended_at": None if ended is None else ended.isoformat(),
        "open_associations": series.open_associations,
        "quiet_s": round((as_of - since).total_seconds(), 3),
    }
