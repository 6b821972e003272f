"""What proves that a series is complete before a quiet period is over, and what it would take. Pure.

There is no marker for the last image in DICOM. In this order:

1. *A source counts* as many instances as have come (C-FIND Number of Series Related Instances; where a source does not
   give that, Number of Study Related Instances against all that has come of the study). Proof however the associations
   ended: an archive knows. While an association is open it is proof only after ``settle_s`` without an instance, for a
   source that forwards what it is itself receiving has, at any moment, nearly as much as it sent.
2. *The headers state the count*: every image says the same number, and that many have come. With an association open
   likewise after ``settle_s`` only, for an acquisition may be followed by another one.
3. *No gap*: Instance Numbers 1 to n, each once, over positions at even distances with equally many images at each.
   That shows that nothing in the middle is missing, never that the last image is here. So it is proof only where one
   single association brought everything and was then released: a sender that ends in peace has sent what it had. A
   sender that opens an association for every image, or parts a series, never meets this; an abort is no release.
4. *One enhanced object* with its frames, from one association that was released.

Against any of 2 to 4 stands what is known to be missing: a source that counts more, headers that state more, a gap in
the numbers. Evidence that misled us about this sender is not believed for a while. Being wrong costs a revision and a
second job, never an image.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from datetime import datetime, timedelta

from node.domain.completeness import Habit, SourceAnswer
from node.domain.study import CloseReason, OpenSeries, Value
from node.route.images import Images

# Fewer positions show no regularity.
MIN_POSITIONS = 5
# The kinds of evidence of this module.
PROOFS = (CloseReason.SOURCE_COUNT, CloseReason.STATED_COUNT, CloseReason.GAPLESS, CloseReason.WHOLE_OBJECT)


@dataclass(frozen=True, slots=True)
class Evidence:
    """What is known of an open series, besides the clock.

    Attributes:
        images: what its headers say; None: not read yet.
        answers: what the sources answered about this state of the series.
        asking: a source may still answer within the time that is granted it.
        of_study: how many instances of the whole study have come.
    """

    series: OpenSeries
    habit: Habit = field(default_factory=Habit)
    images: Images | None = None
    answers: tuple[SourceAnswer, ...] = ()
    asking: bool = False
    of_study: int = 0


@dataclass(frozen=True, slots=True)
class Proof:
    """Why a series is complete, and the numbers that say so."""

    reason: CloseReason
    found: Mapping[str, Value]


def last_event_at(series: OpenSeries) -> datetime:
    """The last instance, or the end of the last association."""
    if series.last_association_ended_at is None:
        return series.last_instance_at
    return max(series.last_instance_at, series.last_association_ended_at)


def can_prove(series: OpenSeries, as_of: datetime, settle_s: float) -> bool:
    """Whether it is worth reading headers and asking sources: nothing proves anything before this is so."""
    if series.open_associations > 0:
        return as_of >= series.last_instance_at + timedelta(seconds=settle_s)
    return as_of >= last_event_at(series)


def prove(evidence: Evidence, as_of: datetime, settle_s: float) -> Proof | None:
    """The first proof that holds. ``as_of``: everything received until then is in the evidence."""
    if evidence.series.instances < 1 or not can_prove(evidence.series, as_of, settle_s):
        return None
    believed = [reason for reason in PROOFS if reason not in evidence.habit.distrusted]
    source = _by_source(evidence) if CloseReason.SOURCE_COUNT in believed else None
    if source is not None or evidence.asking or missing(evidence):
        return source
    found = (RULES[reason](evidence) for reason in believed if reason in RULES)
    return next((proof for proof in found if proof is not None), None)


def missing(evidence: Evidence) -> list[str]:
    """What is known not to be here, in words."""
    here, images = evidence.series.instances, evidence.images
    words = [
        f"source {answer.source} counts {answer.count.of_series} instances"
        for answer in evidence.answers
        if answer.count.of_series is not None and answer.count.of_series > here
    ]
    if images is None:
        return words
    if images.stated is not None and images.stated > here:
        words.append(f"{images.stated_by} states {images.stated}")
    if images.missing:
        words.append("no image has number " + ", ".join(map(str, images.missing)))
    return words


def _by_source(evidence: Evidence) -> Proof | None:
    here = evidence.series.instances
    for answer in evidence.answers:
        counts: dict[str, Value] = {"source": answer.source, "asked_at": answer.asked_at.isoformat()}
        if answer.count.of_series == here:
            return Proof(CloseReason.SOURCE_COUNT, counts | {"source_counts": here, "source_level": "SERIES"})
        if answer.count.of_series is None and answer.count.of_study == evidence.of_study >= here:
            of_study: dict[str, Value] = {"source_counts": evidence.of_study, "source_level": "STUDY"}
            return Proof(CloseReason.SOURCE_COUNT, counts | of_study)
    return None


def _by_statement(evidence: Evidence) -> Proof | None:
    images = evidence.images
    if images is None or images.stated != evidence.series.instances or images.instances != images.stated:
        return None
    return Proof(CloseReason.STATED_COUNT, {"stated": images.stated, "stated_by": images.stated_by})


def _by_grid(evidence: Evidence) -> Proof | None:
    images = evidence.images
    if images is None or not _one_released_association(evidence.series):
        return None
    count = evidence.series.instances
    gapless = images.numbered and images.highest_number == images.instances == count
    regular = images.positions >= MIN_POSITIONS and images.spacing_mm is not None
    if not gapless or not regular or images.positions * images.each != count:
        return None
    return Proof(
        CloseReason.GAPLESS,
        {
            "numbers": f"1 to {count}",
            "positions": images.positions,
            "images_at_each_position": images.each,
            "spacing_mm": round(images.spacing_mm or 0.0, 4),
        },
    )


def _by_whole_object(evidence: Evidence) -> Proof | None:
    images = evidence.images
    if images is None or not images.frames or evidence.series.instances != 1:
        return None
    if not _one_released_association(evidence.series):
        return None
    return Proof(CloseReason.WHOLE_OBJECT, {"frames": images.frames})


def _one_released_association(series: OpenSeries) -> bool:
    released = series.last_release_at is not None and series.last_release_at == series.last_association_ended_at
    return released and series.associations == 1 and series.open_associations == 0


RULES: Mapping[CloseReason, Callable[[Evidence], Proof | None]] = {
    CloseReason.STATED_COUNT: _by_statement,
    CloseReason.GAPLESS: _by_grid,
    CloseReason.WHOLE_OBJECT: _by_whole_object,
}
