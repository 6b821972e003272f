"""Is a series complete? There is no marker for it in DICOM, so it is decided by evidence, and the evidence is kept.

Two cases:

- Every association that contributed has ended: complete ``quiet_period_s`` after the later of the last instance and
  the last end of an association (a sender may open the next association for the same series at once).
- A contributing association is still open (some modalities keep one for hours): complete after the longer
  ``open_association_quiet_s`` without an instance.
"""

from __future__ import annotations

from datetime import datetime, timedelta

from node.domain.study import CloseReason, Closure, OpenSeries


def next_decision_at(series: OpenSeries, quiet_period_s: float, open_association_quiet_s: float) -> datetime:
    """The earliest time at which the series can be complete, if nothing more arrives and no association ends."""
    if series.open_associations > 0:
        return series.last_instance_at + timedelta(seconds=max(quiet_period_s, open_association_quiet_s))
    return _last_event_at(series) + timedelta(seconds=quiet_period_s)


def decide(series: OpenSeries, now: datetime, quiet_period_s: float, open_association_quiet_s: float) -> Closure | None:
    """The closure with its evidence (times in ISO 8601, durations in seconds), or None while it is too early."""
    if series.instances < 1 or now < next_decision_at(series, quiet_period_s, open_association_quiet_s):
        return None
    still_open = series.open_associations > 0
    ended = series.last_association_ended_at
    return Closure(
        reason=CloseReason.QUIET if still_open else CloseReason.ASSOCIATION_RELEASED,
        evidence={
            "decided_at": now.isoformat(),
            "instances": series.instances,
            "last_instance_at": series.last_instance_at.isoformat(),
            "last_association_ended_at": None if ended is None else ended.isoformat(),
            "open_associations": series.open_associations,
            "quiet_s": round(
                (now - (series.last_instance_at if still_open else _last_event_at(series))).total_seconds(), 3
            ),
            "quiet_needed_s": max(quiet_period_s, open_association_quiet_s) if still_open else quiet_period_s,
        },
    )


def _last_event_at(series: OpenSeries) -> datetime:
    if series.last_association_ended_at is None:
        return series.last_instance_at
    return max(series.last_instance_at, series.last_association_ended_at)
