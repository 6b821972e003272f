"""Every picture is looked at once: the broken, the empty and the twins are passed over, the near twins joined."""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
import numpy.typing as npt

from models.kit.cases import Case, Listing, Problem
from models.kit.data.fingerprints import SAME, Fingerprint, Pair, digest, fingerprint, near_pairs
from models.kit.data.studies import read_pixels
from node.errors import AinodeError

logger = logging.getLogger(__name__)

Float = npt.NDArray[np.float32]
Reader = Callable[[Path], Float]


@dataclass(frozen=True, slots=True)
class _Seen:
    case: Case
    print: Fingerprint
    mask: str


def deduplicated(listing: Listing, read: Reader = read_pixels) -> Listing:
    """Decode every picture, pass over what cannot teach anything, and join the groups of near twins.

    A listing whose pictures were looked at (``near`` is known) is returned as it is.

    Passed over, each with its reason: broken pictures and masks, pictures without contrast, masks of another size,
    exact twins but the first, and all twins (exact, or the same but for encoding and brightness) that contradict each
    other in label or, of exact twins, in mask. Groups that share a twin or a near twin become one group, named as
    its first: whoever lost the patients' names most likely shows one patient there.
    """
    if listing.near is not None:
        return listing
    problems = list(listing.problems)
    seen: list[_Seen] = []
    for case in sorted(listing.cases, key=lambda case: case.id):
        try:
            seen.append(_look(case, read))
        except (AinodeError, _Useless) as error:
            problems.append(Problem(case.id, str(error) if isinstance(error, _Useless) else f"broken: {error}"))
    pairs = near_pairs([one.print for one in seen])
    group_of = _joined(seen, [(seen[pair.first], seen[pair.second]) for pair in pairs])
    dropped = _contradictions(seen, pairs)
    dropped |= {case: reason for case, reason in _twins(seen).items() if case not in dropped}
    problems += [Problem(case, reason) for case, reason in sorted(dropped.items())]
    kept = tuple(replace(one.case, group=group_of[one.case.group]) for one in seen if one.case.id not in dropped)
    names = [one.case.id for one in seen]
    near = ((names[pair.first], names[pair.second]) for pair in pairs)
    remaining = tuple(pair for pair in near if dropped.keys().isdisjoint(pair))
    if problems:
        logger.info("%d cases, %d files passed over", len(kept), len(problems))
    return Listing(kept, tuple(problems), remaining)


class _Useless(ValueError):
    """A picture that can be decoded and teaches nothing."""


def _look(case: Case, read: Reader) -> _Seen:
    pixels = read(case.image)
    if not np.isfinite(pixels).all():
        raise _Useless("broken: values that are not finite")
    if not pixels.size or float(pixels.min()) == float(pixels.max()):
        raise _Useless("empty: every pixel has the same value")
    if case.mask is None:
        return _Seen(case, fingerprint(pixels), "")
    mask = read(case.mask)
    if mask.shape[:2] != pixels.shape[:2]:
        raise _Useless(f"broken: a mask of {mask.shape[:2]} on a picture of {pixels.shape[:2]} pixels")
    return _Seen(case, fingerprint(pixels), digest(mask))


def _contradictions(seen: Sequence[_Seen], pairs: Iterable[Pair]) -> dict[str, str]:
    """Case ids to reasons: pictures that are the same and labelled differently, or that have different masks."""
    dropped: dict[str, str] = {}
    for pair in pairs:
        one, other = seen[pair.first], seen[pair.second]
        same = one.print.digest == other.print.digest
        labels = pair.correlation >= SAME and one.case.label != other.case.label
        if labels or (same and one.mask != other.mask):
            what = "labelled" if labels else "outlined"
            dropped.setdefault(one.case.id, f"conflicting: {other.case.id} is the same picture, {what} differently")
            dropped.setdefault(other.case.id, f"conflicting: {one.case.id} is the same picture, {what} differently")
    return dropped


def _twins(seen: Sequence[_Seen]) -> dict[str, str]:
    """Case ids to reasons: all but the first of pictures with the same pixels."""
    first: dict[str, str] = {}
    twins: dict[str, str] = {}
    for one in seen:
        original = first.setdefault(one.print.digest, one.case.id)
        if original != one.case.id:
            twins[one.case.id] = f"twin: the same pixels as {original}"
    return twins


def _joined(seen: Sequence[_Seen], pairs: Iterable[tuple[_Seen, _Seen]]) -> dict[str, str]:
    """Each group to the first of the groups that it is joined with (union-find)."""
    parent = {one.case.group: one.case.group for one in seen}

    def root(group: str) -> str:
        while parent[group] != group:
            parent[group] = parent[parent[group]]
            group = parent[group]
        return group

    for one, other in pairs:
        low, high = sorted((root(one.case.group), root(other.case.group)))
        parent[high] = low
    return {group: root(group) for group in parent}
