"""Why a series was closed when it was, in words. Pure; what the evidence does not hold is not told."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from datetime import datetime
from typing import Any

from node.domain.study import CloseReason

Evidence = Mapping[str, Any]


def words(reason: str | None, evidence: Evidence | None) -> list[str]:
    """Sentences on one closure: what it rested on, then what had come by then."""
    found = evidence or {}
    tell = SENTENCES.get(reason or "")
    return [*(tell(found) if tell else ()), *_arrivals(found), *_lacking(found)]


def _by_word(found: Evidence) -> Iterator[str]:
    yield f"{found.get('operator', 'An operator')} said that it is complete."


def _by_source(found: Evidence) -> Iterator[str]:
    if _holds(found, "source", "source_level", "source_counts", "asked_at"):
        level = "the study" if found["source_level"] == "STUDY" else "the series"
        yield (
            f"Source {found['source']}, asked by C-FIND at {_clock(found['asked_at'])}, "
            f"counts {found['source_counts']} instances of {level}; all of them are here."
        )


def _by_statement(found: Evidence) -> Iterator[str]:
    if _holds(found, "stated", "stated_by"):
        yield f"Every image states {found['stated']} images ({found['stated_by']}); so many are here."


def _by_grid(found: Evidence) -> Iterator[str]:
    if _holds(found, "numbers", "positions", "spacing_mm", "images_at_each_position"):
        each = found["images_at_each_position"]
        yield (
            f"Instance Numbers {found['numbers']} are all here, on {found['positions']} positions "
            f"{found['spacing_mm']:g} mm apart{'' if each == 1 else f', {each} images at each'}; "
            "one association brought them and was released."
        )


def _by_whole_object(found: Evidence) -> Iterator[str]:
    if _holds(found, "frames"):
        yield f"One enhanced object with {found['frames']} frames; its association was released."


def _by_silence(found: Evidence) -> Iterator[str]:
    if _holds(found, "quiet_s", "quiet_needed_s"):
        learned = found.get("quiet_learned_from")
        source = "configured" if learned is None else f"learned from {learned} series of this sender"
        yield f"Nothing came for {found['quiet_s']:g} s; {found['quiet_needed_s']:g} s are needed ({source})."


SENTENCES: Mapping[str, Callable[[Evidence], Iterator[str]]] = {
    CloseReason.OPERATOR: _by_word,
    CloseReason.SOURCE_COUNT: _by_source,
    CloseReason.STATED_COUNT: _by_statement,
    CloseReason.GAPLESS: _by_grid,
    CloseReason.WHOLE_OBJECT: _by_whole_object,
    CloseReason.ASSOCIATION_RELEASED: _by_silence,
    CloseReason.QUIET: _by_silence,
}


def _arrivals(found: Evidence) -> Iterator[str]:
    if _holds(found, "instances", "last_instance_at"):
        yield f"{found['instances']} instances had come, the last at {_clock(found['last_instance_at'])}."
    ended = found.get("last_association_ended_at")
    if ended is not None:
        yield f"The last association that ended did so at {_clock(ended)}."
    if found.get("open_associations"):
        yield f"{found['open_associations']} associations that brought images were still open."


def _lacking(found: Evidence) -> Iterator[str]:
    for one in found.get("lacking", ()):
        yield f"Not shown to be complete: {one}."


def _holds(found: Evidence, *keys: str) -> bool:
    """Another version of the node may have kept less."""
    return all(key in found for key in keys)


def _clock(at: str) -> str:
    return f"{datetime.fromisoformat(at):%Y-%m-%d %H:%M:%S.%f}"[:-3] + "Z"
